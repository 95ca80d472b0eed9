"""Twisted diffusion sampler: TDS."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_positive, check_start, descend
from restore.methods.gradient import Differentiable
from restore.methods.likelihood import damped_pinv, share_towards
from restore.methods.particles import Particles, inner, steps_within
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class TDS(Method):
    """Particles that are guided as in ΠGDM and weighted for what the guidance got wrong.

    With x̂ = D(x, σ), r² = σ²σ_d²/(σ² + σ_d²) and ℓ(x, σ) = log N(y; A x̂, r²AAᴴ + σ_y²I), a
    particle moves from σ to σ' by

        x' ~ N(m + δ, vI),   m = x̂ + (σ'/σ)² (x - x̂),   v = σ'²(1 - σ'²/σ²),   δ = α(σ² - σ'²) ∇ℓ,
        w' = w · N(x'; m, vI)/N(x'; m + δ, vI) · exp(ℓ(x', σ') - ℓ(x, σ)),

    where α ≤ 1 is what brings A(x̂ + ασ²∇ℓ) nearest to y (`PiGDM`), from w = exp ℓ, with x' = x̂ and
    ℓ = log N(y; A x', σ_y²I) at σ' = 0. Particles are resampled where 1/Σw² < K/2. One of them is
    returned, drawn by its weight.

    It is exact in the limit of many particles for the reverse chain of these levels, and for the
    posterior when there are many levels too.

    Attributes:
        particles: K; one step evaluates the denoiser and its gradient so many times.
        steps: levels.
        data_std: σ_d, the standard deviation of a pixel as the guidance takes it.
        grid: levels of the noise, "native", "karras" or "geometric" (`prior.schedule`).
        sigma_max: first level, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], to start from at `sigma_max` in the place
            of the centre of the data; the limit is not the posterior then.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Wu, Trippe, Naesseth, Blei, Cunningham, NeurIPS 2023, algorithm 1.
    """

    particles: int = 16
    steps: int = 100
    data_std: float = 0.5
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "tds"
    title: ClassVar[str] = "Twisted diffusion sampler"
    reference: ClassVar[str] = "Wu, Trippe, Naesseth, Blei, Cunningham, NeurIPS 2023"
    needs: ClassVar[tuple[str, ...]] = ("adjoint", "gradient")
    noiseless: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive(self, "particles", "data_std")
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
            problem: any operator, with noise.
            prior: the denoiser, of differentiable operations.
            noise: called with K pictures a row for the start and each step, and with one number a
                row for each resampling.
            on_step: called with (step, steps, mean of x̂ over the particles).

        Raises:
            ValueError: if the grid does not fit the prior, or noise_std is 0.
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
        """
        if problem.noise_std == 0:
            raise ValueError("tds needs noise_std > 0")
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        cloud = Particles(problem, self.particles, noise)
        differentiable = Differentiable(prior)
        x = cloud.started(prior.centre if self.start is None else self.start, sigmas[0])
        chain = _Chain(self, cloud, differentiable)
        x = descend(differentiable, x, sigmas, chain.step, cloud.reporting(on_step))
        return cloud.drawn(x)


class _Chain:
    """The steps of a run, which leave ℓ(x, σ) of the last level out of the weights."""

    def __init__(self, method: TDS, cloud: Particles, differentiable: Differentiable) -> None:
        self.data_std = method.data_std
        self.cloud = cloud
        self.differentiable = differentiable

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """Weigh the particles by ℓ at σ, resample, and take them to σ' = lower."""
        cloud, operator = self.cloud, self.cloud.operator
        noise_std = cloud.problem.noise_std
        residual = cloud.problem.y - operator(x_hat)
        if lower == 0:
            cloud.weigh(-inner(residual, residual) / (2 * noise_std**2))
            return x_hat
        variance = 1 / (sigma**-2 + self.data_std**-2)
        pull = damped_pinv(operator, residual, noise_std**2 / variance)
        # The quadratic form of r²AAᴴ + σ_y²I as a minimum, to which an error of pull is small.
        rest = residual - operator(pull)
        log_twist = -0.5 * (inner(rest, rest) / noise_std**2 + inner(pull, pull) / variance)
        gradient = self.differentiable.vjp(pull / variance)
        # Any move is allowed for that the weights know of; one that is too long spreads them.
        gradient *= share_towards(operator, residual, sigma**2 * gradient)
        cloud.weigh(log_twist)
        x, x_hat, gradient, log_twist = cloud.resampled(x, x_hat, gradient, log_twist)

        std = lower * (1 - (lower / sigma) ** 2) ** 0.5
        shift = gradient * ((sigma**2 - lower**2) / std)
        z = cloud.normal(x)
        cloud.weigh(-log_twist - inner(shift, shift / 2 + z))
        return torch.lerp(x_hat, x, (lower / sigma) ** 2).add_(shift + z, alpha=std)
