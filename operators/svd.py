"""Thin singular value decomposition by fast transforms; the null space is never formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from operators.base import LinearOperator, Memo


INSTEAD = (
    "Use pinv(y) or solve_normal(b, rho), which then run by conjugate gradients, or a method that "
    "needs the adjoint only"
)


class NoFastSVD(NotImplementedError):
    """An operator has no fast SVD; the text names it and what to use instead."""


def default_rcond(dtype: torch.dtype) -> float:
    """Return the relative cut-off of `pinv`: 1e-6 in single precision, 1e-12 in double."""
    return 1e-6 if dtype in (torch.float32, torch.complex64) else 1e-12


def per_image(value: float | Tensor, ndim: int) -> float | Tensor:
    """Shape a scalar or one value per image `[*batch]` so that it multiplies `[*batch, *shape]`."""
    if isinstance(value, Tensor) and value.ndim:
        return value.reshape(*value.shape, *(1,) * ndim)
    return value


def unexpanded(x: Tensor) -> Tensor:
    """Return x with one entry along each axis that it was expanded along; it broadcasts to x."""
    for axis, stride in enumerate(x.stride()):
        if stride == 0:
            x = x.narrow(axis, 0, 1)
    return x


@dataclass(frozen=True)
class ThinSVD:
    r"""A = U diag(s) Vᴴ with U and V applied as fast transforms.

    V has orthonormal columns, and U has where s > 0 (elsewhere they may be 0); there are as many as
    elements of the spectral shape, at most as many as the smaller side of A. A component with s = 0
    is not observed. So `x + V(c − Vᴴx)` replaces the spectral part of x and leaves the rest as it
    is.

    Attributes:
        left: U, from the spectral space to the codomain.
        singular_values: s ≥ 0 of the spectral shape, with leading batch dimensions where every
            image has its own (`Mask` with one mask per image). Not sorted.
        right: V, from the spectral space to the domain.
    """

    left: LinearOperator
    singular_values: Tensor
    right: LinearOperator

    @property
    def spectral_shape(self) -> tuple[int, ...]:
        """Shape of the coefficients of one image."""
        return self.right.domain.shape

    def vt(self, x: Tensor) -> Tensor:
        """Return Vᴴx: `[*batch, *domain]` to `[*batch, *spectral]`."""
        return self.right.adjoint(x)

    def v(self, c: Tensor) -> Tensor:
        """Return V c: `[*batch, *spectral]` to `[*batch, *domain]`."""
        return self.right(c)

    def ut(self, y: Tensor) -> Tensor:
        """Return Uᴴy: `[*batch, *codomain]` to `[*batch, *spectral]`."""
        return self.left.adjoint(y)

    def u(self, c: Tensor) -> Tensor:
        """Return U c: `[*batch, *spectral]` to `[*batch, *codomain]`."""
        return self.left(c)

    def largest(self) -> Tensor:
        """Return the largest singular value, one per image if s has batch dimensions.

        The shape keeps the spectral dimensions as ones, so that it compares with s.
        """
        return self.singular_values.amax(self.right.domain.axes, keepdim=True)

    def truncated(self, rcond: float) -> ThinSVD:
        """Return the SVD of the operator whose s < rcond · max(s) are set to 0."""
        s = unexpanded(self.singular_values)
        kept = torch.where(s < rcond * self.largest(), torch.zeros_like(s), s)
        return ThinSVD(self.left, kept.expand_as(self.singular_values), self.right)

    def inverse_values(self) -> Tensor:
        """Return 1/s where s > 0 and 0 elsewhere; it broadcasts to the spectral shape."""
        s = unexpanded(self.singular_values)
        observed = s > 0
        return torch.where(observed, 1 / torch.where(observed, s, 1), 0)

    def pinv(self, y: Tensor, rcond: float | None = None) -> Tensor:
        """Return V s⁺ Uᴴ y of the operator truncated at `rcond` (default 1e-6, in double 1e-12)."""
        if rcond is None:
            rcond = default_rcond(self.singular_values.dtype)
        return self.v(self.truncated(rcond).inverse_values() * self.ut(y))

    def solve_normal(self, b: Tensor, rho: float | Tensor) -> Tensor:
        """Return (AᴴA + ρI)⁻¹ b for ρ > 0, a number or one per image."""
        coefficients = self.vt(b)
        shift = per_image(rho, self.right.domain.ndim)
        solved = self.v(coefficients / (self.singular_values.square() + shift))
        if self.right.domain.numel == self.right.codomain.numel:
            return solved
        return (b - self.v(coefficients)) / per_image(rho, self.right.codomain.ndim) + solved

    def _mapped(
        self, fn: Callable[[Tensor], Tensor], dtype: torch.dtype | None, memo: Memo
    ) -> ThinSVD:
        from operators.base import mapped

        return ThinSVD(
            mapped(self.left, fn, dtype, memo),
            mapped(self.singular_values, fn, dtype, memo),
            mapped(self.right, fn, dtype, memo),
        )
