"""Our thin SVD as the full one that the authors' codes work with: V is a basis of all pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import LinearOperator

# How far from orthonormal the completed basis may be, in single precision.
_TOLERANCE = 1e-3
# Singular values below this share of the largest are taken as 0.
_RCOND = 1e-6


class Basis:
    r"""A = U diag(s) Vᵀ on flat vectors [B, N], with the methods of the authors' `H_functions`.

    The directions that are measured come first, by falling s; then those with s = 0, then the null
    space that `ThinSVD` never forms. Where that has K < N columns V₁, they are completed without a
    matrix of side N: with E the unit vectors of K pixels and T = (I + V₁ᵀE)⁻¹,

        Q = I - (V₁ + E) T (V₁ + E)ᵀ

    is orthogonal and Q E = -V₁, so the other columns of Q span the null space.

    Args:
        operator: a real operator with one SVD for the whole batch.

    Raises:
        ValueError: if the operator is complex or differs from picture to picture, or its basis
            cannot be completed so.
    """

    def __init__(self, operator: LinearOperator) -> None:
        svd = operator.svd().truncated(_RCOND)
        if operator.domain.dtype.is_complex or svd.right.domain.dtype.is_complex:
            raise ValueError(f"{operator.name} is complex; the authors' code is for real numbers")
        if svd.singular_values.shape != svd.spectral_shape:
            raise ValueError(f"{operator.name} differs from picture to picture; expected one")
        s, self._order = svd.singular_values.flatten().sort(descending=True, stable=True)
        self._svd, self._operator = svd, operator
        self._s = s[: int((s > 0).sum())]
        self._size = operator.domain.numel
        if len(s) < self._size:
            self._complete(len(s))

    def _complete(self, count: int) -> None:
        device = self._s.device
        self._pixels = torch.arange(count, device=device) * self._size // count
        others = torch.ones(self._size, dtype=torch.bool, device=device)
        others[self._pixels] = False
        self._others = others.nonzero()[:, 0]
        unit = torch.eye(count, dtype=self._s.dtype, device=device)
        rows = self._spectral_to_pictures(unit)[:, self._pixels]  # (V₁)ᵀ E
        self._system = torch.linalg.lu_factor(unit + rows)
        probe = torch.ones(1, self._size, dtype=self._s.dtype, device=device)
        error = float((self.V(self.Vt(probe)) - probe).abs().max())
        if not error < _TOLERANCE:
            raise ValueError(f"{self._operator.name}: its basis is completed only to {error:.1g}")

    def _pictures_to_spectral(self, x: Tensor) -> Tensor:
        return self._svd.vt(x.reshape(-1, *self._operator.domain.shape)).flatten(1)

    def _spectral_to_pictures(self, c: Tensor) -> Tensor:
        return self._svd.v(c.reshape(-1, *self._svd.spectral_shape)).flatten(1)

    def _reflect(self, x: Tensor, *, transposed: bool) -> Tensor:
        """Q x, or Qᵀx."""
        c = self._pictures_to_spectral(x) + x[:, self._pixels]
        lu, pivots = self._system
        c = torch.linalg.lu_solve(lu, pivots, c.mT, adjoint=transposed).mT
        x = x - self._spectral_to_pictures(c)
        x[:, self._pixels] -= c
        return x

    def V(self, vec: Tensor) -> Tensor:
        """V c: coefficients [B, N] to pictures [B, N]."""
        vec = vec.flatten(1)
        count = len(self._order)
        c = torch.zeros_like(vec[:, :count])
        c[:, self._order] = vec[:, :count]
        x = self._spectral_to_pictures(c)
        if count < self._size:
            rest = torch.zeros_like(vec)
            rest[:, self._others] = vec[:, count:]
            x = x + self._reflect(rest, transposed=False)
        return x

    def Vt(self, vec: Tensor) -> Tensor:
        """Vᵀx: pictures [B, N], or of any shape, to coefficients [B, N]."""
        vec = vec.flatten(1)
        c = self._pictures_to_spectral(vec)[:, self._order]
        if len(self._order) == self._size:
            return c
        return torch.cat([c, self._reflect(vec, transposed=True)[:, self._others]], 1)

    def U(self, vec: Tensor) -> Tensor:
        """U c: coefficients of the measured directions [B, K] to measurements [B, M]."""
        c = vec.new_zeros(len(vec), len(self._order))
        c[:, self._order[: len(self._s)]] = vec
        return self._svd.u(c.reshape(-1, *self._svd.spectral_shape)).flatten(1)

    def Ut(self, vec: Tensor) -> Tensor:
        """Uᵀy: measurements [B, M], or of any shape, to the measured directions [B, K]."""
        y = vec.reshape(-1, *self._operator.codomain.shape)
        return self._svd.ut(y).flatten(1)[:, self._order[: len(self._s)]]

    def singulars(self) -> Tensor:
        """The s > 0, falling, [K]."""
        return self._s
