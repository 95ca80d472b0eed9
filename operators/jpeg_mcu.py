"""JPEG's linear part on single MCUs, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from operators.base import Memo
from operators.jpeg import Jpeg
from operators.jpeg_planes import BLOCK, decimate, to_blocks


class JpegMcu(Jpeg):
    """`Jpeg` of one MCU: a product with a small matrix for each component, and with that of A†.

    The batch is multiplied as a whole. Nothing is padded, so that A has full row rank: A A† = I.
    """

    def _divide(self) -> None:
        """It is not divided further."""
        self._mcu = None
        self.edges = ()

    @property
    def _matrices(self) -> tuple[Tensor, ...]:
        """From the pixels of each component to its coefficients, `[pixels, coefficients]`."""
        return tuple(matrix.flatten(1) for matrix in self._once("_forward", self._forwards))

    def _forwards(self) -> tuple[Tensor, ...]:
        height, width = self.mcu
        unit = torch.eye(height * width, device="cpu").to(self._cosines)
        pixels = unit.reshape(-1, height, width)
        return tuple(
            scale * (self._cosines @ to_blocks(decimate(pixels, step, size)) @ self._cosines.mT)
            for step, size, scale in zip(self.steps, self.padded, self._scale, strict=True)
        )

    def _apply(self, x: Tensor) -> Tensor:
        planes = x.reshape(-1, x.shape[-3], self.mcu[0] * self.mcu[1]).unbind(1)
        if self.converts:
            planes = _mixed(self._colours, planes)
        pairs = zip(planes, self._matrices, strict=True)
        y = torch.cat([plane @ matrix for plane, matrix in pairs], -1)
        return y.reshape(*x.shape[:-3], *self.codomain.shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        flat = y.reshape(-1, self.codomain.numel)
        parts = torch.split(flat, [count * BLOCK**2 for count in self._counts], -1)
        planes = tuple(part @ matrix.mT for part, matrix in zip(parts, self._matrices, strict=True))
        if self.converts:
            planes = _mixed(self._colours.mT, planes)
        return torch.stack(planes, 1).reshape(*y.shape[:-3], *self.domain.shape)

    def pinv(
        self,
        y: Tensor,
        rcond: float | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return A†y; without an rcond by the matrix of A†, which is kept."""
        if rcond is not None or y.is_complex():
            return super().pinv(y, rcond, tolerance=tolerance, max_iterations=max_iterations)
        self._check(y, self.codomain, "measurement", self._codomain_text())
        inverse = self._once("_inverse", lambda: self._pseudo_inverse().to(y))
        x = y.reshape(-1, self.codomain.numel) @ inverse
        return x.reshape(*y.shape[:-3], *self.domain.shape)

    def _pseudo_inverse(self) -> Tensor:
        """A† transposed: A has full row rank, so that A† = Aᴴ (A Aᴴ)⁻¹."""
        unit = torch.eye(self.domain.numel, dtype=torch.float64, device="cpu")
        exact = self.to("cpu", torch.float64)
        matrix = exact._apply(unit.reshape(-1, *self.domain.shape)).flatten(1)  # A transposed
        inverse: Tensor = torch.linalg.solve(matrix.mT @ matrix, matrix.mT)
        return inverse

    def _mapped(
        self, fn: Callable[[Tensor], Tensor], dtype: torch.dtype | None, memo: Memo
    ) -> JpegMcu:
        new = super()._mapped(fn, dtype, memo)
        if dtype not in (None, self.domain.dtype):
            # Made anew in the other precision.
            new.__dict__.pop("_forward", None)
            new.__dict__.pop("_inverse", None)
        return new


def _mixed(matrix: Tensor, planes: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Multiply the channels by a 3×3 matrix, without copies that put them one after another."""
    first, second, third = planes
    out = []
    for row in matrix.unbind(0):
        a, b, c = row.unbind(0)
        out.append(torch.addcmul(torch.addcmul(first * a, second, b), third, c))
    return tuple(out)
