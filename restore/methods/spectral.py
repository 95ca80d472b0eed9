"""A problem in the singular directions of its operator: what the spectral methods share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators import ThinSVD
from restore.methods.base import start_from
from restore.noise import Noise
from restore.problem import Problem

# By how much a level may miss σ_y/s and still be it.
ROUNDING = 1e-6
# y tells more than D(x, σ) where sσ is so many σ_y, up to this level σ: denoising a photograph
# leaves an error of 0.85σ at σ = 0.002, where runs end, and 0.6σ at 0.01.
CLEARER, CLEARER_UP_TO = 2.0, 0.01


def clearness(sigma: float) -> float:
    """Return how many σ_y sσ has to be for y to tell more than D(x, σ).

    More than 2 at levels above 0.01, of whose noise more is taken off: 0.77σ at σ = 0.1.
    """
    return CLEARER * math.sqrt(max(1.0, sigma / CLEARER_UP_TO))


class Spectrum:
    """The measurement seen by A = U S Vᴴ, computed once before a run.

    Attributes:
        svd: of the operator, truncated at rcond.
        s: singular values, of the spectral shape (0 where nothing is measured).
        measured: whether s > 0.
        y_bar: ȳ = S⁺Uᴴy; 0 where nothing is measured.
        noise_std: σ_y.
        complete: whether the columns of V are a basis of the whole picture space.

    Args:
        problem: its operator has an SVD.
        rcond: singular values below rcond · max(s) are taken as 0.

    Raises:
        NoFastSVD: if the operator has no SVD.
    """

    def __init__(self, problem: Problem, rcond: float) -> None:
        self.problem = problem
        self.noise_std = problem.noise_std
        self.svd: ThinSVD = problem.operator.svd().truncated(rcond)
        self.s = self.svd.singular_values
        self.measured = self.s > 0
        self.y_bar = self.svd.inverse_values() * self.svd.ut(problem.y)
        spectral, pictures = self.svd.right.domain, problem.operator.domain
        self.complete = spectral.numel == pictures.numel and spectral.dtype == pictures.dtype

    def begin(self, start: Tensor | float, sigma: float, noise: Noise) -> tuple[Tensor, Tensor]:
        """Return x at level σ and Vᴴx, with the measurement in it where it is cleaner than that.

        x̄ ~ N(ȳ, σ² - σ_y²/s²) where sσ ≥ σ_y and x ~ N(start, σ²) elsewhere. At sσ = σ_y, where
        denoising begins, ȳ itself is the state.

        Args:
            start: an estimate [B or 1, *domain.shape], or one value for all pixels.
            sigma: level of the noise.
            noise: called once.

        Raises:
            ShapeError: if start has another shape.
        """
        x, z = start_from(self.problem, start, sigma, noise)
        known = torch.addcmul(self.y_bar, self.deviation(sigma), self.svd.vt(z))
        where = self.cleaner(sigma, 1 - ROUNDING)
        # A copy, for an operator of one's own whose Vᴴx is x itself.
        return self.replaced(x, self.svd.vt(x).clone(), known, where)

    def correction(self, x_hat: Tensor, sigma: float, noise: Noise) -> Tensor:
        """Return what takes the last x̂ to x̄ ~ N(ȳ, σ_y²/s²) where y is `clearer`.

        Args:
            x_hat: the last denoised picture.
            sigma: the level that it was denoised from.
            noise: called once, unless y has none.
        """
        known = self.y_bar
        if self.noise_std > 0:
            known = torch.addcmul(known, self.y_std, self.svd.vt(noise(x_hat)))
        return self.svd.v((known - self.svd.vt(x_hat)).mul_(self.clearer(sigma)))

    def clearer(self, sigma: float) -> Tensor:
        """Whether y tells more of a direction than x̂ = D(x, σ): without noise wherever s > 0."""
        return self.cleaner(sigma, clearness(sigma))

    def cleaner(self, sigma: float, times: float = 1.0) -> Tensor:
        """Whether a direction is measured, and the level σ is at least so many σ_y/s."""
        return self.measured & (self.s * sigma >= times * self.noise_std)

    @property
    def y_std(self) -> Tensor:
        """σ_y/s, the standard deviation of ȳ; 0 where nothing is measured."""
        return self.svd.inverse_values() * self.noise_std

    def deviation(self, sigma: float, share: float = 1.0) -> Tensor:
        """√(σ² - share²σ_y²/s²), 0 where rounding or a noisier measurement makes it negative."""
        variance = (share * self.noise_std) ** 2
        if variance == 0:
            return self.s.new_full((), sigma)
        # In place, and 0 where s = 0.
        noise = self.s.square().reciprocal_().mul_(-variance)
        return noise.add_(sigma**2).clamp_min_(0).sqrt_()

    def replaced(
        self, x: Tensor, x_bar: Tensor, known: Tensor, where: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return x and x_bar = Vᴴx with the part `known` where that is true, written in place."""
        change = known.sub_(x_bar).mul_(where)
        return x.add_(self.svd.v(change)), x_bar.add_(change)
