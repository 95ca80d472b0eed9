"""Operators that are one matrix per axis of the picture, with the Kronecker SVD."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.space import ShapeError, Space, picture_shape, shape_text
from operators.svd import ThinSVD, default_rcond

# Of a matrix that commutes with reflection but for rounding in double precision, over its largest.
_ASYMMETRY = 3e-13


class Separable(LinearOperator):
    """Y = L X Rᵀ for each channel: `[C, H, W]` to `[C, h, w]`.

    The SVD is the Kronecker product of those of L and R, which are computed in double precision
    on the CPU: s = s_L s_Rᵀ, in O(H³ + W³) operations and O(H² + W²) memory, that is n^1.5 and n
    for n pixels.

    Args:
        shape: `(C, H, W)`.
        rows: L, real `[h, H]`, which acts along the height.
        columns: R, real `[w, W]`, which acts along the width.
        dtype: Number type of x and y.
        device: Device of the matrices.

    Raises:
        ShapeError: If the matrices do not fit the shape.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        rows: Tensor,
        columns: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        channels, height, width = picture_shape(type(self).__name__, shape)
        if rows.shape[1:] != (height,) or columns.shape[1:] != (width,):
            raise ShapeError(
                f"{type(self).__name__}: the matrices are {shape_text(rows.shape)} and "
                f"{shape_text(columns.shape)}; the shape is {shape_text(shape)}"
            )
        output = (channels, rows.shape[0], columns.shape[0])
        super().__init__(Space(shape, dtype), Space(output, dtype))
        real = self.domain.real_dtype
        self._rows = rows.to(device=device, dtype=real, copy=True).contiguous()
        self._columns = (
            self._rows if rows is columns else columns.to(device=device, dtype=real, copy=True)
        )

    @property
    def _isometry(self) -> float | None:
        rows, columns = _scale(self._rows.mT), _scale(self._columns.mT)
        return None if rows is None or columns is None else rows * columns

    @property
    def _coisometry(self) -> float | None:
        rows, columns = _scale(self._rows), _scale(self._columns)
        return None if rows is None or columns is None else rows * columns

    def _apply(self, x: Tensor) -> Tensor:
        return _two_sided(self._rows, x, self._columns.mT)

    def _adjoint(self, y: Tensor) -> Tensor:
        return _two_sided(self._rows.mT, y, self._columns)

    def _as_separable(self) -> Separable:
        return self

    def _with_channels(self, channels: int) -> LinearOperator | None:
        shape = (channels, *self.domain.shape[1:])
        return self._like(shape, self._rows, self._columns)

    def times(self, inner: Separable) -> Separable:
        """Return self∘inner as one operator with the products of the matrices."""
        rows = self._rows.cpu().double() @ inner._rows.cpu().double()
        columns = self._columns.cpu().double() @ inner._columns.cpu().double()
        return self._like(inner.domain.shape, rows, columns)

    def transposed(self) -> Separable:
        """Return the adjoint as one operator with the transposed matrices."""
        return self._like(self.codomain.shape, self._rows.mT, self._columns.mT)

    def scaled(self, scalar: float) -> Separable:
        """Return a multiple as one operator."""
        return self._like(self.domain.shape, scalar * self._rows, self._columns)

    def _like(self, shape: tuple[int, ...], rows: Tensor, columns: Tensor) -> Separable:
        return Separable(shape, rows, columns, dtype=self.domain.dtype, device=self.device)

    def _factorise(self) -> ThinSVD:
        u_rows, s_rows, v_rows = _small_svd(self._rows)
        same = self._columns is self._rows
        u_columns, s_columns, v_columns = (
            (u_rows, s_rows, v_rows) if same else _small_svd(self._columns)
        )
        channels = self.domain.shape[0]
        spectral = (channels, len(s_rows), len(s_columns))
        values = torch.outer(s_rows, s_columns).to(self._rows).expand(spectral)
        return ThinSVD(
            self._like(spectral, u_rows, u_columns), values, self._like(spectral, v_rows, v_columns)
        )


def _two_sided(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    """Return left·x·right, in the order that costs fewer multiplications."""
    height, width = x.shape[-2:]
    rows, columns = left.shape[0], right.shape[1]
    if (
        rows * height * width + rows * width * columns
        <= height * width * columns + rows * height * columns
    ):
        return (left @ x) @ right
    return left @ (x @ right)


def has_parities(matrix: Tensor) -> bool:
    """Whether a float64 matrix commutes with reflection of the line, and has more than one row."""
    asymmetry = float((matrix - matrix.flip(0, 1)).abs().max())
    return min(matrix.shape) > 1 and asymmetry <= _ASYMMETRY * float(matrix.abs().max())


def _small_svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, s, V in float64 on the CPU.

    A matrix that commutes with reflection of the line (every resize, every symmetric kernel)
    splits into one for the even and one for the odd lines: a quarter of the operations.
    """
    matrix = matrix.cpu().double()
    if not has_parities(matrix):
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        return u, s, vh.mT
    parts = []
    for left, right in zip(_parities(matrix.shape[0]), _parities(matrix.shape[1]), strict=True):
        u, s, vh = torch.linalg.svd(left.mT @ matrix @ right, full_matrices=False)
        parts.append((left @ u, s, right @ vh.mT))
    u, s, v = (torch.cat(pair, -1) for pair in zip(*parts, strict=True))
    order = s.argsort(descending=True)
    return u[:, order], s[order], v[:, order]


def _parities(size: int) -> tuple[Tensor, Tensor]:
    """Return orthonormal bases of the even and of the odd lines, as columns."""
    identity = torch.eye(size, dtype=torch.float64, device="cpu")
    half = size // 2
    even = (identity + identity.flip(0))[:, : size - half]
    odd = (identity - identity.flip(0))[:, :half]
    return even / even.norm(dim=0), odd / odd.norm(dim=0)


def _scale(matrix: Tensor) -> float | None:
    """Return c if M Mᵀ = c²I to rounding, else None."""
    tolerance = default_rcond(matrix.dtype)
    matrix = matrix.cpu().double()
    first = matrix @ matrix[0]
    square = float(first[0])
    first[0] = 0
    # One row of the product refuses nearly every matrix that is no such multiple.
    if not square > 0 or float(first.abs().max()) > tolerance * square:
        return None
    gram = matrix @ matrix.mT
    gram.diagonal().sub_(square)
    return math.sqrt(square) if float(gram.abs().max()) <= tolerance * square else None
