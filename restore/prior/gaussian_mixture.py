"""A mixture of Gaussians: the prior whose denoiser, likelihood and posterior are closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from restore.errors import counted
from restore.prior.denoiser import Denoiser, sigma_column

if TYPE_CHECKING:
    from operators import LinearOperator
    from restore.problem import Problem

# Relative to the largest: an eigenvalue below it is a direction without spread.
_RANK = 1e-10
# Relative to the largest entry: what a covariance that was computed in float32 may be off by.
_ROUNDING = 1e-4


class GaussianMixture(Denoiser):
    """p(x₀) = Σ_k w_k N(μ_k, Σ_k), of which everything is known; the test of every sampler.

    With x = x₀ + σ n each component becomes N(μ_k, Σ_k + σ²I), and

        D(x, σ) = Σ_k r_k(x) (μ_k + Σ_k (Σ_k + σ²I)⁻¹ (x - μ_k)),

    r_k being the posterior weight of component k. Its posterior under y = A x + noise is a mixture
    again. The algebra is dense: for small pictures, real numbers.

    Directions without spread are allowed (the posterior of a noiseless measurement has them):
    densities are then with respect to the support.

    Args:
        weights: [K], not negative; they are normalised.
        means: μ_k [K, *shape], where shape is that of a picture without batch, (C, H, W).
        stds: one for all, one a component [K], or one a pixel [K, *shape]. Not with covariances.
        covariances: Σ_k [K, n, n] with n the number of pixels, symmetric and positive
            semidefinite.
        sigma_min: smallest level of a sampler's grid.
        sigma_max: largest level of a sampler's grid.

    Raises:
        ValueError: if the shapes do not fit, means are no real numbers, a weight or std is
            negative, a covariance is not symmetric or has a negative eigenvalue, or not exactly
            one of stds and covariances is given.
    """

    def __init__(
        self,
        weights: Tensor | Sequence[float],
        means: Tensor,
        stds: Tensor | Sequence[float] | float | None = None,
        *,
        covariances: Tensor | None = None,
        sigma_min: float = 0.005,
        sigma_max: float = 50.0,
    ) -> None:
        if not means.is_floating_point() or means.ndim < 2:
            raise ValueError(
                f"GaussianMixture: means are {list(means.shape)}, {means.dtype}; expected real "
                "numbers [K, *shape]"
            )
        self.weights = torch.as_tensor(weights, dtype=means.dtype, device=means.device)
        self.means = means.clone()
        self.shape = tuple(means.shape[1:])
        if self.weights.shape != means.shape[:1]:
            raise ValueError(
                f"GaussianMixture: weights are {list(self.weights.shape)}; expected "
                f"{list(means.shape[:1])}, one for each mean"
            )
        if not bool((self.weights >= 0).all() and self.weights.sum() > 0):
            raise ValueError(
                f"GaussianMixture: weights are {self.weights.tolist()}; expected numbers that are "
                f"not negative, and one above 0"
            )
        if (stds is None) == (covariances is None):
            raise ValueError("GaussianMixture: give either stds or covariances")
        self.weights = self.weights / self.weights.sum()
        count, size = means.shape[0], math.prod(self.shape)
        # Σ_k = Q_k diag(λ_k) Q_kᵀ; Q = I where it is None.
        self._basis: Tensor | None = None
        if covariances is not None:
            if covariances.shape != (count, size, size):
                raise ValueError(
                    f"GaussianMixture: covariances are {list(covariances.shape)}; expected "
                    f"{[count, size, size]}"
                )
            values, basis = torch.linalg.eigh(covariances.double())
            rounding = _ROUNDING * float(covariances.abs().amax())
            skew = float((covariances - covariances.mT).abs().amax())
            if skew > rounding or float(values.min()) < -rounding:
                raise ValueError(
                    "GaussianMixture: a covariance is not symmetric, or has a negative eigenvalue"
                )
            values = torch.where(values < _RANK * values.amax(-1, True), 0, values)
            self._variances, self._basis = values.to(means.dtype), basis.to(means.dtype)
        else:
            std = torch.as_tensor(stds, dtype=means.dtype, device=means.device)
            if std.ndim == 1:
                std = std.reshape(-1, *(1,) * len(self.shape))
            if not bool((std >= 0).all()):
                raise ValueError("GaussianMixture: a standard deviation is negative")
            try:
                self._variances = std.expand_as(means).reshape(count, size).square()
            except RuntimeError:
                raise ValueError(
                    f"GaussianMixture: stds are {list(std.shape)}; expected a number, [{count}] or "
                    f"{list(means.shape)}"
                ) from None
        self.channels = self.shape[0]
        self.sigma_min, self.sigma_max = sigma_min, sigma_max
        self.centre = float(self.mean.mean())

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x], for x [B, *shape] and σ a number or [B]; D(x, 0) = x."""
        given = self._given(x, sigma)
        # A direction without spread has gain 0, and 1 at σ = 0 where D(x, 0) = x.
        gain = torch.where(given.total > 0, self._variances / given.total, 1)
        each = self.means.flatten(1) + self._from_basis(gain * given.offsets)
        mixed = torch.einsum("bk,bkn->bn", given.weights, each)
        return mixed.reshape(x.shape).to(x.dtype)

    def denoise(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x]: the same as calling the mixture."""
        return self(x, sigma)

    def score(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """∇ log p_σ(x) = (D(x, σ) - x)/σ² for σ > 0, [B, *shape]."""
        return (self(x, sigma) - x) / sigma_column(sigma, x).square()

    def log_prob(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        """Log-density log p_σ(x) of x₀ + σ n, natural, [B]."""
        return self._given(x, sigma).log_joint.logsumexp(-1)

    def responsibilities(self, x: Tensor, sigma: float | Tensor = 0.0) -> Tensor:
        """Probability that x came from each component, [B, K]."""
        return self._given(x, sigma).weights

    @property
    def mean(self) -> Tensor:
        """E[x₀], of shape `shape`."""
        return torch.einsum("k,k...->...", self.weights, self.means)

    @property
    def std(self) -> Tensor:
        """Standard deviation of each pixel, of shape `shape`."""
        return self.covariance.diagonal().clamp_min(0).sqrt().reshape(self.shape)

    @property
    def covariance(self) -> Tensor:
        """Cov[x₀] [n, n], within and between the components."""
        offsets = (self.means - self.mean).flatten(1)
        between = torch.einsum("k,kn,km->nm", self.weights, offsets, offsets)
        return between + torch.einsum("k,knm->nm", self.weights, self.covariances)

    @property
    def covariances(self) -> Tensor:
        """Σ_k [K, n, n]."""
        if self._basis is None:
            return torch.diag_embed(self._variances)
        return (self._basis * self._variances[:, None]) @ self._basis.mT

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` exact draws, [count, *shape]."""
        component = self.weights.multinomial(count, replacement=True, generator=generator)
        shape = count, self._variances.shape[1]
        z = torch.randn(shape, generator=generator, dtype=torch.float32).to(self.means)
        z = z * self._variances[component].sqrt()
        if self._basis is not None:
            z = torch.einsum("bnm,bm->bn", self._basis[component], z)
        return self.means[component] + z.reshape(count, *self.shape)

    def posterior(self, problem: Problem) -> GaussianMixture:
        """Return p(x₀ | y) of one measurement, exactly; computed in double precision.

        With A = U S Vᵀ, c = SVᵀ and r = Uᵀy - cμ_k on the rank of A, component k has mean
        μ_k + Σ_k cᵀ G⁻¹ r, covariance Σ_k - Σ_k cᵀ G⁻¹ c Σ_k and weight ∝ w_k N(r; 0, G), where
        G = c Σ_k cᵀ + σ_y²I.

        Raises:
            ValueError: if the problem has more than one measurement, another shape or complex
                numbers, or a noiseless one measures a direction without spread.
        """
        if problem.batch != 1 or problem.operator.domain.shape != self.shape:
            raise ValueError(
                "GaussianMixture.posterior: the problem is "
                f"{counted(problem.batch, 'measurement')} of {problem.operator.domain}; "
                f"expected one of {list(self.shape)}"
            )
        matrix = dense(problem.operator)
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        # With noise a singular value that is rounding does no harm; without it would be divided by.
        rounding = 10 * max(matrix.shape) * torch.finfo(problem.operator.domain.real_dtype).eps
        least = _RANK if problem.noise_std > 0 else max(_RANK, rounding)
        rank = s > least * s.amax().clamp_min(torch.finfo(s.dtype).tiny)
        c = (s[:, None] * vh)[rank]
        means, covariances = self.means.double().flatten(1), self.covariances.double()
        residual = problem.y.double().reshape(1, -1) @ u[:, rank] - means @ c.T
        cross = covariances @ c.T
        gram = c @ cross + problem.noise_std**2 * torch.eye(len(c)).to(c)
        factor, failed = torch.linalg.cholesky_ex(gram)
        if bool(failed.any()):
            raise ValueError(
                "GaussianMixture.posterior: a noiseless measurement of a direction without spread"
            )
        whitened = torch.linalg.solve_triangular(factor, residual[..., None], upper=False)
        log_scale = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        evidence = -0.5 * whitened.square().sum((-2, -1)) - log_scale
        gain = torch.cholesky_solve(cross.mT, factor).mT
        moved = means + (gain @ residual[..., None])[..., 0]
        # Joseph's form keeps the covariance positive and its noiseless directions at 0.
        left = torch.eye(means.shape[1]).to(c) - gain @ c
        spread = left @ covariances @ left.mT + problem.noise_std**2 * (gain @ gain.mT)
        return GaussianMixture(
            (self.weights.double().log() + evidence).softmax(0),
            moved.reshape(self.means.shape).to(self.means),
            covariances=spread,
            sigma_min=self.sigma_min,
            sigma_max=self.sigma_max,
        )

    def _given(self, x: Tensor, sigma: float | Tensor) -> _Given:
        flat = x.to(torch.promote_types(x.dtype, self.means.dtype)).flatten(1)[:, None]
        variance = sigma_column(sigma, flat[:, 0]).square()[:, :, None]
        offsets = flat - self.means.flatten(1)
        if self._basis is not None:
            offsets = torch.einsum("kmn,bkm->bkn", self._basis.to(offsets), offsets)
        total = self._variances + variance
        spread = total > 0
        density = torch.where(spread, offsets.square() / total + (2 * math.pi * total).log(), 0)
        log_joint = self.weights.to(flat).log() - 0.5 * density.sum(-1)
        return _Given(offsets, total, log_joint, log_joint.softmax(-1))

    def _from_basis(self, coefficients: Tensor) -> Tensor:
        if self._basis is None:
            return coefficients
        return torch.einsum("knm,bkm->bkn", self._basis.to(coefficients), coefficients)


class _Given(NamedTuple):
    """What x says of the components: Qᵀ(x - μ), λ + σ², log w_k p_k(x), p(k | x)."""

    offsets: Tensor
    total: Tensor
    log_joint: Tensor
    weights: Tensor


def dense(operator: LinearOperator) -> Tensor:
    """Return the matrix of a small real operator, [y pixels, x pixels], in double precision.

    Raises:
        ValueError: if the operator is complex.
    """
    space = operator.domain
    if space.dtype.is_complex:
        raise ValueError(f"{operator.name}: the mixture is real; the operator is {space.dtype}")
    unit = torch.eye(space.numel, dtype=space.dtype, device=operator.device)
    return operator(unit.reshape(space.numel, *space.shape)).flatten(1).double().T
