"""Pictures split by the symmetries of a rectangle or a square, an orthonormal change of basis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class PictureSymmetry:
    """Coefficients of pictures in blocks that no operator with these symmetries mixes.

    Each axis is split into even and odd parts, which gives four blocks. Of a square that may be
    transposed too, what is even (or odd) in both splits into what a transposition keeps and what it
    negates, of about n²/8 each, and what is odd across and even down, n²/4, occurs twice: an
    operator that commutes with the transposition treats it and its transpose alike.

    Attributes:
        height: rows.
        width: columns; the same number where transposed.
        transposed: whether a transposition is one of the symmetries.

    Source: Serre, "Linear Representations of Finite Groups", 1977, sections 2.6 and 5.3.
    """

    height: int
    width: int
    transposed: bool

    @property
    def sizes(self) -> tuple[int, ...]:
        """Coefficients in each block (in one copy of it); constant pictures are in the first."""
        (e, o), (f, p) = _parts(self.height), _parts(self.width)
        if self.transposed:
            return e * (e + 1) // 2, e * (e - 1) // 2, o * (o + 1) // 2, o * (o - 1) // 2, e * o
        return e * f, o * p, e * p, o * f

    @property
    def copies(self) -> tuple[int, ...]:
        """How often each block occurs."""
        return (1, 1, 1, 1, 2) if self.transposed else (1, 1, 1, 1)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the blocks `[*batch, copies, size]` of pictures `[*batch, H, W]`."""
        even_down, odd_down = _halves(x.mT)
        (ee, eo), (oe, oo) = _halves(even_down.mT), _halves(odd_down.mT)
        if not self.transposed:
            return tuple(part.flatten(-2).unsqueeze(-2) for part in (ee, oo, eo, oe))
        single = (part.unsqueeze(-2) for part in (*_triangles(ee), *_triangles(oo)))
        return (*single, torch.stack([eo.flatten(-2), oe.mT.flatten(-2)], -2))

    def join(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the pictures of the blocks; inverse and adjoint of `split`."""
        (e, o), (f, p) = _parts(self.height), _parts(self.width)
        if self.transposed:
            sym, anti, odd_sym, odd_anti = (block.squeeze(-2) for block in blocks[:4])
            ee, oo = _square(sym, anti, e), _square(odd_sym, odd_anti, o)
            eo, turned = (_shaped(part, e, o) for part in blocks[4].unbind(-2))
            oe = turned.mT
        else:
            shapes = ((e, f), (o, p), (e, p), (o, f))
            ee, oo, eo, oe = (
                _shaped(block.squeeze(-2), *shape)
                for block, shape in zip(blocks, shapes, strict=True)
            )
        return _whole(_whole(ee, eo).mT, _whole(oe, oo).mT).mT

    def places(self, block: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the coefficient of a block (its first copy) that each pixel adds to, `[HW]`.

        And the weight with which it does, 0 where it adds to none: a pixel adds to one at most.
        """
        number = torch.arange(self.sizes[block], device=device, dtype=torch.float64)

        def joined(values: Tensor) -> Tensor:
            blocks = [
                values.new_zeros(n, size) for n, size in zip(self.copies, self.sizes, strict=True)
            ]
            blocks[block][0] = values
            return self.join(blocks).flatten()

        weight = joined(torch.ones_like(number))
        place = joined(number) / torch.where(weight == 0, 1, weight)
        return place.round().long(), weight


def _parts(side: int) -> tuple[int, int]:
    return side - side // 2, side // 2


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Even and odd part of the last axis, the middle of an odd number last in the even one."""
    even, odd = _parts(x.shape[-1])
    first, middle = x.narrow(-1, 0, odd), x.narrow(-1, odd, even - odd)
    last = x.narrow(-1, even, odd).flip(-1)
    return torch.cat([(first + last) * _HALF, middle], -1), (first - last) * _HALF


def _whole(even: Tensor, odd: Tensor) -> Tensor:
    count = odd.shape[-1]
    pairs, middle = even.narrow(-1, 0, count), even.narrow(-1, count, even.shape[-1] - count)
    return torch.cat([(pairs + odd) * _HALF, middle, ((pairs - odd) * _HALF).flip(-1)], -1)


def _triangles(square: Tensor) -> tuple[Tensor, Tensor]:
    """What a transposition keeps (the diagonal first) and what it negates, each as a vector."""
    upper, lower = _corners(square.shape[-1], square.device)
    flat = square.flatten(-2)
    above, below = flat.index_select(-1, upper), flat.index_select(-1, lower)
    diagonal = square.diagonal(dim1=-2, dim2=-1)
    return torch.cat([diagonal, (above + below) * _HALF], -1), (above - below) * _HALF


def _square(sym: Tensor, anti: Tensor, side: int) -> Tensor:
    upper, lower = _corners(side, sym.device)
    order = torch.cat([torch.arange(side, device=sym.device) * (side + 1), upper, lower])
    diagonal, pairs = sym.narrow(-1, 0, side), sym.narrow(-1, side, sym.shape[-1] - side)
    values = torch.cat([diagonal, (pairs + anti) * _HALF, (pairs - anti) * _HALF], -1)
    return _shaped(values.index_select(-1, order.argsort()), side, side)


def _shaped(values: Tensor, height: int, width: int) -> Tensor:
    return values.reshape(*values.shape[:-1], height, width)


def _corners(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Flat places above the diagonal, and those that mirror them."""
    row, column = torch.triu_indices(side, side, 1, device=device)
    return row * side + column, column * side + row
