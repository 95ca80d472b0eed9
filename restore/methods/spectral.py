"""A problem in the singular directions of its operator: what the spectral methods share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from operators import ThinSVD
from operators.svd import unexpanded
from restore.methods.base import start_from
from restore.noise import Noise
from restore.problem import Problem

Rule = Callable[[Tensor, Tensor], Tensor]

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
        s: singular values, that broadcast to the spectral shape (0 where nothing is measured).
        measured: whether s > 0.
        inverse: 1/s; 0 where nothing is measured.
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
        self.s = unexpanded(self.svd.singular_values)
        self.measured = self.s > 0
        self.inverse = self.svd.inverse_values()
        self.y_bar = self.inverse * problem.coefficients
        spectral, pictures = self.svd.right.domain, problem.operator.domain
        self.complete = spectral.numel == pictures.numel and spectral.dtype == pictures.dtype

    def normal(self, x: Tensor, noise: Noise) -> Tensor:
        """Return z̄ = Vᴴz; where V is a basis of all pictures z̄ itself is drawn.

        Args:
            x: a picture, for the shape of z.
            noise: called once.
        """
        return noise(self.y_bar) if self.complete else self.svd.vt(noise(x))

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
        x_bar = self.svd.vt(x)
        change = (known - x_bar).mul_(where)
        return x + self.svd.v(change), x_bar + change

    def correction(self, x_hat: Tensor, sigma: float, noise: Noise) -> Tensor:
        """Return what takes the last x̂ to x̄ ~ N(ȳ, σ_y²/s²) where y is `clearer`.

        Args:
            x_hat: the last denoised picture.
            sigma: the level that it was denoised from.
            noise: called once, unless y has none.
        """
        known = self.y_bar
        if self.noise_std > 0:
            known = torch.addcmul(known, self.y_std, self.normal(x_hat, noise))
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
        return self.inverse * self.noise_std

    def deviation(self, sigma: float, share: float = 1.0) -> Tensor:
        """√|σ² - share²σ_y²/s²|; σ where s = 0."""
        variance = (share * self.noise_std) ** 2
        if variance == 0:
            return self.s.new_full((), sigma)
        return self.inverse.square().mul_(-variance).add_(sigma**2).abs_().sqrt_()


class Chain:
    """A run whose steps have a rule for each singular direction.

    Attributes:
        spectrum: the measurement.
        noise: standard normal noise.
        x_bar: Vᴴx of the state x.
        last: z of the last step, where V is no basis of all pictures.
        last_bar: Vᴴz.
    """

    last: Tensor
    last_bar: Tensor

    def __init__(self, spectrum: Spectrum, noise: Noise) -> None:
        self.spectrum = spectrum
        self.noise = noise

    def begin(self, start: Tensor | float, sigma: float) -> Tensor:
        """Return the first state (`Spectrum.begin`)."""
        x, self.x_bar = self.spectrum.begin(start, sigma, self.noise)
        return x

    def moved(
        self,
        x: Tensor,
        x_hat: Tensor,
        kept: float,
        fresh: float | Tensor,
        rule: Rule,
        again: Tensor | None = None,
    ) -> Tensor:
        """Return x̂ + kept (x - x̂) + fresh z, but what the rule says in the singular directions.

        Args:
            x: the state, that `x_bar` belongs to.
            x_hat: x̂.
            kept: the share of x - x̂ that stays.
            fresh: standard deviation of the noise; it is drawn once.
            rule: x̄' of (Vᴴx̂, Vᴴz); where nothing is measured it has to be the same as without it.
            again: with so much of the last step's z as well.
        """
        svd = self.spectrum.svd
        x_hat_bar = svd.vt(x_hat)
        if self.spectrum.complete:  # x is V x̄, and z̄ as good as Vᴴz: two transforms less
            z_bar = self.noise(x_hat_bar)
            self.x_bar, self.last_bar = rule(x_hat_bar, z_bar), z_bar
            return svd.v(self.x_bar)
        z = self.noise(x_hat)
        z_bar = svd.vt(z)
        free = torch.lerp(x_hat_bar, self.x_bar, kept).add_(z_bar * fresh)
        x = torch.lerp(x_hat, x, kept).add_(z * fresh)
        if again is not None:
            free.add_(self.last_bar * again)
            x.add_(self.last * again)
        self.x_bar = rule(x_hat_bar, z_bar)
        self.last, self.last_bar = z, z_bar
        return x.add_(svd.v(self.x_bar - free))
