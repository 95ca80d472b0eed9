"""Annealed plug-and-play restoration: denoise and put the measurement back, without randomness."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import (
    Method,
    StepCallback,
    check_positive,
    check_unit,
    descend,
    start_from,
)
from restore.methods.diffpir import TOLERANCE
from restore.methods.likelihood import pull
from restore.methods.matrix_free import least_damping, least_pull, noise_of, norm_of, quick_pull
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class PlugAndPlay(Method):
    """Denoise at falling levels and put the measurement back each time; one picture, no samples.

    With σ_n = max(σ_y, 0.001 min(‖A‖, 1)), a step σ → σ' takes x̂ = D(x, σ) to

        x' = argmin ‖y - A x'‖² + ρ‖x' - x̂‖²,   ρ = λσ_n²/σ²

    and the last one is x̂, or, without noise, x̂ + A†(y - A x̂). It is DiffPIR with ζ = 1 and every
    draw at its mean, by the SVD, by FFT where a blur has the border "valid", or by conjugate
    gradients.

    Attributes:
        steps: evaluations of the denoiser.
        sigma_max: first level; it says how much of the start may change.
        last_level: what the last level is at most, in the units of x: with σ_y/‖A‖ a measurement
            that is cleaner than what the prior knows is kept as closely. None, and for the one
            level of a single step: the grid's.
        weight: λ > 0, the weight of the denoiser against the measurement; too small for so few
            steps, it lets the noise of a deep blur through.
        rcond: singular values well below rcond · max(s) stay as they are in the last noiseless
            step (without an SVD those below max(s)/50).
        grid: levels of the noise, "karras" or "geometric" (a first level of its own makes "native"
            into "karras").
        start: an estimate of x, [B or 1, *domain.shape], without which unmeasured directions start
            at the centre of the data.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: Venkatakrishnan, Bouman, Wohlberg, GlobalSIP 2013 (a denoiser as prior); with half
    quadratic splitting and falling levels, as Zhang, Li, Zuo, Zhang, Van Gool, Timofte, TPAMI 2021.
    """

    steps: int = 20
    sigma_max: float = 0.2
    last_level: float | None = None
    weight: float = 0.5
    rcond: float = 1e-3
    grid: Grid = "karras"
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "pnp"
    title: ClassVar[str] = "Annealed plug-and-play (denoise, put the measurement back)"
    reference: ClassVar[str] = "Venkatakrishnan, Bouman, Wohlberg, GlobalSIP 2013"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)
    samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_unit(self, "rcond")
        check_positive(self, "rcond", "weight")
        if self.last_level is not None:
            check_positive(self, "last_level")

    @torch.no_grad()
    def __call__(
        self,
        problem: Problem,
        prior: Denoiser,
        *,
        noise: Noise,  # noqa: ARG002
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Return one estimate for each measurement, [B, *domain.shape]; noise is not used.

        Raises:
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
            ValueError: if the grid does not fit the prior.
        """
        noise_std = noise_of(problem)
        least = least_pull(problem.operator)

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:  # noqa: ARG001
            if lower == 0:
                return x_hat if problem.noise_std > 0 else self._exact(problem, x_hat)
            rho = torch.maximum(least, self.weight * (noise_std / sigma) ** 2)
            return quick_pull(problem, x_hat, rho, TOLERANCE).add_(x_hat)

        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        if self.last_level is not None and self.steps > 1:
            sigmas[-2] = min(sigmas[-2], self.last_level)
        start = prior.centre if self.start is None else self.start
        x, _ = start_from(problem, start, sigmas[0], torch.zeros_like)
        return descend(prior, x, sigmas, step, on_step)

    def _exact(self, problem: Problem, x_hat: Tensor) -> Tensor:
        """x̂ + A†(y - A x̂)."""
        operator = problem.operator
        damping = torch.maximum(least_damping(operator), self.rcond * norm_of(operator))
        return x_hat + pull(problem, x_hat, damping.square())
