"""Variational restoration with a diffusion prior: RED-diff."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_positive, descend, start_from
from restore.methods.likelihood import estimate
from restore.methods.matrix_free import reachable
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

BETAS = (0.9, 0.99)
EPSILON = 1e-8


@dataclass(frozen=True)
class REDDiff(Method):
    """One picture μ that fits the measurement and, at falling noise levels, the denoiser.

    At each level σ, with x = μ + σz and ε̂ = (x - D(x, σ))/σ, Adam makes one step down

        ½ mean|y - A μ|² + λσ mean((ε̂ - z) μ),   ε̂ and z held fixed,

    whose gradient is Aᴴ(A μ - y)/M + λ(μ - D(x, σ))/N for M measured numbers and N pixels. It
    seeks a mode: it gives one estimate, and another seed gives no sample.

    Attributes:
        steps: evaluations of the denoiser.
        weight: λ > 0.
        rate: Adam's step; the paper's 0.1 in [-1, 1].
        grid: levels of the noise, "native", "karras" or "geometric" (`prior.schedule`).
        sigma_max: first level, by default the prior's.
        start: the first μ, [B or 1, *domain.shape]; by default the estimate from y with the centre
            of the data where nothing is measured, A†y damped against the noise with pixels of
            standard deviation ½.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: Mardani, Song, Kautz, Vahdat, ICLR 2024; Adam: Kingma, Ba, ICLR 2015, algorithm 1.
    """

    steps: int = 1000
    weight: float = 0.25
    rate: float = 0.05
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "reddiff"
    title: ClassVar[str] = "Variational diffusion restoration"
    reference: ClassVar[str] = "Mardani, Song, Kautz, Vahdat, ICLR 2024"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)
    models_noise: ClassVar[bool] = False
    samples: ClassVar[bool] = False
    varies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, "weight", "rate")

    @torch.no_grad()
    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one estimate for each measurement, [B, *domain.shape].

        Args:
            problem: any operator.
            prior: the denoiser.
            noise: called once a step.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            ValueError: if the grid does not fit the prior.
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
        """
        operator = problem.operator
        pulled = operator.adjoint(problem.y)
        fit, agreement = 1 / operator.codomain.numel, self.weight / operator.domain.numel

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:  # noqa: ARG001
            mu = adam.value
            misfit = operator.normal(mu) - pulled
            adam.descend(misfit * fit + (mu - x_hat) * agreement)
            return adam.value if lower == 0 else adam.value.add(noise(mu), alpha=lower)

        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        rho = reachable(operator)((2 * problem.noise_std) ** 2)
        start = estimate(problem, prior.centre, rho) if self.start is None else self.start
        x, _ = start_from(problem, start, sigmas[0], noise)
        adam = _Adam(start.expand_as(x), self.rate)
        return descend(prior, x, sigmas, step, on_step)


class _Adam:
    """Adam on one tensor, a complex one by real and imaginary part; nothing leaves the device."""

    def __init__(self, value: Tensor, rate: float) -> None:
        self.value, self.rate = value, rate
        self._mean = torch.zeros_like(_real(value))
        self._square = torch.zeros_like(self._mean)
        self._steps = 0

    def descend(self, gradient: Tensor) -> None:
        """One step against the gradient."""
        self._steps += 1
        gradient = _real(gradient)
        self._mean.lerp_(gradient, 1 - BETAS[0])
        self._square.lerp_(gradient.square(), 1 - BETAS[1])
        scale = (self._square / (1 - BETAS[1] ** self._steps)).sqrt_().add_(EPSILON)
        change = self._mean / scale * (self.rate / (1 - BETAS[0] ** self._steps))
        self.value = self.value - (
            torch.view_as_complex(change) if self.value.is_complex() else change
        )


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x
