"""Convolution with a separable kernel: a banded matrix for each axis, and its SVD by parities."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.convolution import border_index
from operators.separable import Separable, has_parities
from operators.space import Space
from operators.svd import ThinSVD

ROWS, COLUMNS = -2, -1
# Rows of a matrix that are multiplied at once: each block of them has few columns that are not 0.
_BLOCK = 64

Block = tuple[int, int, int, int]
"""First row, rows, first column, columns."""


def line_matrix(kernel: Tensor, size: int, border: str) -> Tensor:
    """Return the convolution of a line of `size` pixels with a line kernel as a float64 matrix.

    It is `[size, size]`, or `[size − len(kernel) + 1, size]` for the border "valid".
    """
    taps, centre = len(kernel), len(kernel) // 2
    valid = border == "valid"
    rows = size - taps + 1 if valid else size
    offset = taps - 1 if valid else centre
    position = torch.arange(rows, device="cpu")[:, None] + offset - torch.arange(taps, device="cpu")
    index = border_index(position, size, border)
    weights = kernel.cpu().double().expand(rows, taps) * (index >= 0)
    return torch.zeros(rows, size, dtype=torch.float64, device="cpu").scatter_add_(
        1, index.clamp_min(0), weights
    )


class LineConvolution(Separable):
    """A separable kernel column·rowᵀ with any border, as a matrix per axis.

    The matrices are banded, so that a product costs a few times as much as the kernel has taps.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        column: Tensor,
        row: Tensor,
        border: str,
        dtype: torch.dtype,
        device: str | torch.device,
    ) -> None:
        rows = line_matrix(column, shape[1], border)
        square = shape[1] == shape[2] and torch.equal(column, row)
        columns = rows if square else line_matrix(row, shape[2], border)
        super().__init__(shape, rows, columns, dtype=dtype, device=device)
        self._row_blocks, self._row_blocks_back = _blocks(rows), _blocks(rows.mT)
        self._column_blocks, self._column_blocks_back = _blocks(columns), _blocks(columns.mT)

    def _apply(self, x: Tensor) -> Tensor:
        x = _banded(self._rows, self._row_blocks, x, ROWS)
        return _banded(self._columns, self._column_blocks, x, COLUMNS)

    def _adjoint(self, y: Tensor) -> Tensor:
        y = _banded(self._rows.mT, self._row_blocks_back, y, ROWS)
        return _banded(self._columns.mT, self._column_blocks_back, y, COLUMNS)

    def _factorise(self) -> ThinSVD:
        rows, columns = _parity_svd(self._rows), _parity_svd(self._columns)
        if rows is None or columns is None:
            return super()._factorise()
        (u_rows, s_rows, v_rows), (u_columns, s_columns, v_columns) = rows, columns
        spectral = (self.domain.shape[0], len(s_rows), len(s_columns))
        values = torch.outer(s_rows, s_columns).to(self._rows).expand(spectral)
        return ThinSVD(
            ParitySynthesis(self.codomain, u_rows, u_columns, self.device),
            values,
            ParitySynthesis(self.domain, v_rows, v_columns, self.device),
        )


class ParitySynthesis(LinearOperator):
    """X = V C Wᵀ for each channel, V and W with even columns, then odd ones, all orthonormal.

    An even line is its first half mirrored, an odd one with the other sign too; so the products are
    with matrices of half the sides, which is half of the operations.

    Args:
        codomain: Space of X, `(C, H, W)`.
        rows: First half of the even columns of V, with the middle, `[H − H//2, k]`, and of the odd
            ones, `[H//2, l]`.
        columns: Likewise of W.
        device: Device of the matrices.
    """

    _isometry = 1.0

    def __init__(
        self,
        codomain: Space,
        rows: tuple[Tensor, Tensor],
        columns: tuple[Tensor, Tensor],
        device: torch.device,
    ) -> None:
        counts = [even.shape[1] + odd.shape[1] for even, odd in (rows, columns)]
        super().__init__(Space((codomain.shape[0], *counts), codomain.dtype), codomain)
        real = self.domain.real_dtype
        self._rows, self._columns = (
            tuple(half.to(device=device, dtype=real).contiguous() for half in axis)
            for axis in (rows, columns)
        )

    def _apply(self, x: Tensor) -> Tensor:
        for (even, odd), dim in ((self._rows, ROWS), (self._columns, COLUMNS)):
            first, second = torch.split(x, [even.shape[1], odd.shape[1]], dim)
            x = _join(_times(even, first, dim), _times(odd, second, dim), dim)
        return x

    def _adjoint(self, y: Tensor) -> Tensor:
        for (even, odd), dim in ((self._rows, ROWS), (self._columns, COLUMNS)):
            first, second = _split(y, dim)
            y = torch.cat([_times(even.mT, first, dim), _times(odd.mT, second, dim)], dim)
        return y


def _parity_svd(
    matrix: Tensor,
) -> tuple[tuple[Tensor, Tensor], Tensor, tuple[Tensor, Tensor]] | None:
    """Return U, s and V of a matrix that commutes with reflection, U and V by parities.

    In float64 on the CPU; None if it does not commute.
    """
    matrix = matrix.cpu().double()
    if not has_parities(matrix):
        return None
    us, singular_values, vs = [], [], []
    for parity, half in enumerate(_split(matrix, ROWS)):
        part = _split(half, COLUMNS)[parity]
        # The bases are two equal entries, of one half each, or the one in the middle.
        left, right = (
            _weights(matrix.shape[0], part.shape[0]),
            _weights(matrix.shape[1], part.shape[1]),
        )
        u, s, vh = torch.linalg.svd(left[:, None] * part * right, full_matrices=False)
        us.append(left[:, None] * u)
        singular_values.append(s)
        vs.append(right[:, None] * vh.mT)
    return (us[0], us[1]), torch.cat(singular_values), (vs[0], vs[1])


def _weights(size: int, count: int) -> Tensor:
    """Return what makes the first `count` even or odd lines of a side orthonormal."""
    weights = torch.full((count,), 0.5, dtype=torch.float64, device="cpu").sqrt()
    weights[size // 2 :] = 1
    return weights


def _split(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return first half ± last half, mirrored, along a dimension; with the middle in the former."""
    half = x.shape[dim] // 2
    first, middle, last = torch.split(x, [half, x.shape[dim] - 2 * half, half], dim)
    last = last.flip(dim)
    return torch.cat([first + last, middle], dim), first - last


def _join(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    """Return the transpose of `_split`."""
    half = odd.shape[dim]
    first, middle = torch.split(even, [half, even.shape[dim] - half], dim)
    return torch.cat([first + odd, middle, (first - odd).flip(dim)], dim)


def _times(matrix: Tensor, x: Tensor, dim: int) -> Tensor:
    """Multiply the rows or the columns of pictures by a matrix."""
    return matrix @ x if dim == ROWS else x @ matrix.mT


def _blocks(matrix: Tensor) -> tuple[Block, ...]:
    """Return the blocks of rows of a matrix, each with the columns where it is not 0."""
    blocks = []
    for first in range(0, matrix.shape[0], _BLOCK):
        rows = matrix[first : first + _BLOCK]
        used = rows.any(0).nonzero()
        start, stop = (int(used.min()), int(used.max()) + 1) if len(used) else (0, 1)
        blocks.append((first, len(rows), start, stop - start))
    return tuple(blocks)


def _banded(matrix: Tensor, blocks: tuple[Block, ...], x: Tensor, dim: int) -> Tensor:
    """Multiply the rows or the columns of pictures by a matrix, block by block of its rows."""
    return torch.cat(
        [
            _times(
                matrix.narrow(0, first, rows).narrow(1, start, columns),
                x.narrow(dim, start, columns),
                dim,
            )
            for first, rows, start, columns in blocks
        ],
        dim,
    )
