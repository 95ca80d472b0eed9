"""Line integrals along rays that cross every row of a picture, without a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from operators.base import LinearOperator
from operators.space import COMPLEX_TYPES, Space

# Rows of a piece, and crossings: what a processor's cache holds, what keeps an accelerator busy.
_ROWS, _CACHED, _PIECE = 64, 2**17, 2**22


class CrossingRays(LinearOperator):
    """y_r = l_r Σ_s x(s, a_r + b_r s), linear between the columns of each row s, 0 outside.

    Nothing is kept for each crossing: where rays cross rows is found anew, piece by piece, once for
    all pictures of a batch. Pictures are held as complex numbers, here + i (here - next), so that
    the value a share f past a column is the real part of one of them times 1 + i f. Gradients are
    the business of `RayOperator`.

    Args:
        shape: (rows, columns) of a picture.
        start: Column a of each ray in row 0, `[rays]`, on the CPU.
        slope: Columns b that it advances a row.
        length: Its length l in a row.
        dtype: `float32` or `float64`.
        device: Device of the rays.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        start: Tensor,
        slope: Tensor,
        length: Tensor,
        *,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        super().__init__(Space(shape, dtype), Space(tuple(start.shape), dtype))
        self._start = start.to(device, dtype)
        self._slope = slope.to(device, dtype)
        self._length = length.to(device, dtype)
        # A list: not of tensors, so it stays what it is on another device.
        self._inside = list(_inside(shape, start.double(), slope.double()))

    def _apply(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, *self.domain.shape)
        pictures = torch.complex(pad(flat, (1, 1)), -pad(flat, (1, 2)).diff(dim=-1))
        sums = pictures.new_zeros(len(pictures), self.codomain.numel)
        for piece in self._pieces():
            low, weight = self._crossed(piece)
            # Picture by picture, so that no bit depends on how many there are.
            for line, picture in zip(piece.rays(sums), piece.rows(pictures), strict=True):
                line += (picture.gather(1, low) * weight).sum(0)
        return (sums.real * self._length).reshape(*x.shape[:-2], -1)

    def _adjoint(self, y: Tensor) -> Tensor:
        lines = y.reshape(-1, self.codomain.numel) * self._length
        rows, columns = self.domain.shape
        kind = COMPLEX_TYPES[lines.dtype]
        pictures = torch.zeros(len(lines), rows, columns + 2, dtype=kind, device=lines.device)
        for piece in self._pieces():
            low, weight = self._crossed(piece)
            for line, picture in zip(piece.rays(lines), piece.rows(pictures), strict=True):
                picture.scatter_add_(1, low, line * weight)
        here, rise = pictures.real, pictures.imag
        x = (here - rise).narrow(-1, 1, columns) + rise.narrow(-1, 0, columns)
        return x.reshape(*y.shape[:-1], rows, columns)

    def _crossed(self, piece: _Piece) -> tuple[Tensor, Tensor]:
        """Return the column before each crossing `[rows, rays]`, and 1 + i f.

        Columns are counted from the one outside on the left.
        """
        start, slope = piece.rays(self._start), piece.rays(self._slope)
        row = torch.arange(
            piece.top, piece.top + piece.height, device=start.device, dtype=start.dtype
        )
        place = torch.addcmul(start + 1, slope, row.unsqueeze(-1))
        place = place.clamp_(0, self.domain.shape[1] + 1)
        low, share = place.long(), place.frac_()
        return low, torch.complex(torch.ones_like(share), share)

    def _pieces(self) -> list[_Piece]:
        if self._start.device.type == "cpu":
            return self._inside
        return list(_everywhere(self.domain.shape[0], self.codomain.numel))


@dataclass(frozen=True)
class _Piece:
    """Some rays in some rows."""

    top: int
    height: int
    first: int
    count: int

    def rows(self, pictures: Tensor) -> Tensor:
        """Of `[..., rows, columns]`."""
        return pictures.narrow(-2, self.top, self.height)

    def rays(self, lines: Tensor) -> Tensor:
        """Of `[..., rays]`."""
        return lines.narrow(-1, self.first, self.count)


def _cut(top: int, rows: int, rays: tuple[int, int], crossings: int) -> Iterator[_Piece]:
    """Cut rays, from one to before another, in the rows from `top` on."""
    height, most = min(_ROWS, rows - top), crossings // _ROWS
    for first in range(*rays, most):
        yield _Piece(top, height, first, min(most, rays[1] - first))


def _everywhere(rows: int, rays: int) -> Iterator[_Piece]:
    """Few large pieces, which need no look at where the rays are."""
    for top in range(0, rows, _ROWS):
        yield from _cut(top, rows, (0, rays), _PIECE)


def _inside(shape: tuple[int, int], start: Tensor, slope: Tensor) -> Iterator[_Piece]:
    """Pieces that hold every crossing within a picture, and few outside."""
    rows, columns = shape
    for top in range(0, rows, _ROWS):
        # A ray is straight, so its columns lie between those at the ends; one is left to rounding.
        ends = torch.stack([start + slope * top, start + slope * (top + _ROWS)])
        within = (ends.amin(0) < columns + 1) & (ends.amax(0) > -2)
        turns = pad(within.int(), (1, 1)).diff().nonzero()
        for first, last in turns.reshape(-1, 2).tolist():
            yield from _cut(top, rows, (first, last), _CACHED)
