"""Monte Carlo guided diffusion: MCGDiff."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods.base import (
    Method,
    StepCallback,
    check_positive,
    check_start,
    check_unit,
    descend,
)
from restore.methods.particles import Particles, steps_within
from restore.methods.spectral import Spectrum
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

# κ: keeps the potential at σ = σ_τ from being a point.
KAPPA = 1e-4


@dataclass(frozen=True)
class MCGDiff(Method):
    """Particles that are drawn to the noised measurement, direction by direction, and weighted.

    With A = U S Vᴴ, x̄ = Vᴴx, ȳ = S⁺Uᴴy and σ_τ = σ_y/s, a measured direction is at σ ≥ σ_τ given
    the potential N(x̄; ȳ, v), v = σ² - σ_τ² + κ(¼ + σ_τ²). A step σ → σ' of the reverse chain,
    N(m, u) with m = x̂ + (σ'/σ)²(x - x̂) and u = σ'²(1 - σ'²/σ²), is taken there as

        x̄' ~ N(Kȳ + (1 - K) m̄, K v'),   K = u/(u + v'),   w' = w · N(ȳ; m̄, u + v')/N(x̄; ȳ, v),

    and elsewhere as it is. The end weighs N(Uᴴy; s x̄, σ_y²) over N(x̄; ȳ, v + σ²) with σ and v of
    each direction's last potential: what that is on average over the noise, given x̄. Where y is
    clearer than the last level it draws x̄ ~ N(ȳ, σ_τ²), and weighs by N(ȳ; x̄, σ_τ² + σ²). The
    potential itself, a draw of it, would be divided by with a variance without bound: at σ near σ_τ
    all particles lie within √v of ȳ, and y would count twice, however many there are.
    Particles are resampled where 1/Σw² < K/2, and one is returned, drawn by its weight.

    It is exact in the limit of many particles and many levels; it needs no gradient.

    Attributes:
        particles: K; one step evaluates the denoiser so many times.
        steps: levels.
        rcond: singular values below rcond · max(s) are taken as 0.
        grid: levels of the noise, "native", "karras" or "geometric" (`prior.schedule`).
        sigma_max: first level, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], to start from at `sigma_max` in the place
            of the centre of the data; the limit is not the posterior then.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Cardoso, Janati El Idrissi, Le Corff, Moulines, ICLR 2024.
    """

    particles: int = 16
    steps: int = 100
    rcond: float = 1e-6
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "mcgdiff"
    title: ClassVar[str] = "Monte Carlo guided diffusion"
    reference: ClassVar[str] = "Cardoso, Janati El Idrissi, Le Corff, Moulines, ICLR 2024"
    needs: ClassVar[tuple[str, ...]] = ("svd",)
    noiseless: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive(self, "particles")
        check_unit(self, "rcond")
        check_start(self.start, self.sigma_max)

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many evaluations for a picture, over all particles.

        Raises:
            ValueError: if they do not suffice for five steps.
        """
        steps = steps_within(self.name, evaluations, self.particles)
        return dataclasses.replace(self, steps=steps)

    @torch.no_grad()
    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one sample for each measurement, [B, *domain.shape].

        Args:
            problem: its operator has an SVD; with noise.
            prior: the denoiser.
            noise: called with K pictures a row for the start and each step, and with one number a
                row for each resampling.
            on_step: called with (step, steps, mean of x̂ over the particles).

        Raises:
            NoFastSVD: if the operator has no SVD.
            ValueError: if the grid does not fit the prior, or noise_std is 0.
        """
        if problem.noise_std == 0:
            raise ValueError("mcgdiff needs noise_std > 0")
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        cloud = Particles(problem, self.particles, noise)
        chain = _Chain(cloud, Spectrum(cloud.problem, self.rcond))
        start = cloud.started(prior.centre if self.start is None else self.start, 0.0)
        x = chain.proposed(start, sigmas[0], sigmas[0])
        x = descend(prior, x, sigmas, chain.step, cloud.reporting(on_step))
        return cloud.drawn(x)


class _Chain:
    """The steps of a run, which keep what each direction's last potential was.

    Attributes:
        log_potential: its logarithm at x.
        log_average: minus half of 1/(v + σ²), the factor of |ȳ - x̄|² in the logarithm of its mean.
    """

    def __init__(self, cloud: Particles, spectrum: Spectrum) -> None:
        self.cloud, self.spectrum = cloud, spectrum
        self.y_std = spectrum.y_std
        self.log_potential = torch.zeros_like(spectrum.y_bar.real)
        self.log_average = torch.zeros_like(self.log_potential)

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """Take the particles from σ to σ' = lower."""
        if lower == 0:
            at = self.spectrum
            # Where the correction draws N(ȳ, σ_τ²) in the place of x̂, this is known to σ alone.
            known = self.y_std.square() + torch.where(at.clearer(sigma), sigma**2, 0)
            apart = (at.y_bar - at.svd.vt(x_hat)).abs().square()
            gained = -0.5 / known - self.log_average
            self.cloud.weigh(torch.where(at.measured, gained * apart, 0).flatten(1).sum(1))
            return x_hat + at.correction(x_hat, sigma, self.cloud.normal)
        std = lower * (1 - (lower / sigma) ** 2) ** 0.5
        return self.proposed(torch.lerp(x_hat, x, (lower / sigma) ** 2), std, lower)

    def proposed(self, mean: Tensor, std: float, sigma: float) -> Tensor:
        """Weigh, resample and draw x at σ, that the reverse chain takes from N(mean, std²I)."""
        at = self.spectrum
        is_open = at.measured & (self.y_std <= sigma)
        potential = sigma**2 - self.y_std.square() + KAPPA * (0.25 + self.y_std.square())
        potential = torch.where(is_open, potential, 1)
        apart = at.y_bar - at.svd.vt(mean)
        log_mean = -0.5 * apart.abs().square() / (std**2 + potential)
        change = torch.where(is_open, log_mean - self.log_potential, 0)
        self.cloud.weigh(change.flatten(1).sum(1))
        mean, apart, self.log_potential = self.cloud.resampled(mean, apart, self.log_potential)

        z = self.cloud.normal(mean)
        z_bar = at.svd.vt(z)
        gain = std**2 / (std**2 + potential)
        # What is left between x̄' and ȳ, and by how much the plain step differs from x̄'.
        left = (1 - gain) * apart - (gain * potential).sqrt() * z_bar
        moved = torch.where(is_open, apart - std * z_bar - left, 0)
        self.log_potential = torch.where(
            is_open, -0.5 * left.abs().square() / potential, self.log_potential
        )
        self.log_average = torch.where(is_open, -0.5 / (potential + sigma**2), self.log_average)
        return mean.add(z, alpha=std).add_(at.svd.v(moved))
