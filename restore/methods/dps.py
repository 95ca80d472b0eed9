"""Diffusion posterior sampling: DPS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import (
    Method,
    StepCallback,
    check_positive,
    check_start,
    ddim,
    descend,
    start_from,
)
from restore.methods.gradient import Differentiable
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class DPS(Method):
    """Ancestral sampling with a gradient step on the distance of A x̂ from the measurement.

    With x̂ = D(x, σ), a step σ → σ' is

        x' = ancestral(x, x̂) - (ζ/2) √(1 + 4σ²) √(1 + 4σ'²) ∇_x ‖y - A x̂‖,

    the norm (not squared) being that of one picture. The roots come from the paper's coordinates,
    x/√(1 + σ²) in [-1, 1], in which the step is ζ∇. σ_y is not used: a noisy measurement is
    over-fitted, and the spread of the samples is too narrow.

    Attributes:
        steps: evaluations of the denoiser and its gradient.
        zeta: ζ > 0; the paper's is 0.3 for super-resolution and deblurring, 0.5 for inpainting.
        clip: clip x̂ to [0, 1], as the authors' code does and the paper's algorithm does not; for
            real pictures. Where x̂ leaves the range its gradient is 0 then.
        grid: levels of the noise, "native", "karras" or "geometric" (`prior.schedule`).
        sigma_max: first level, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], to start from at `sigma_max` in the place
            of the centre of the data.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Chung, Kim, McCann, Klasky, Ye, ICLR 2023, algorithm 1.
    """

    steps: int = 1000
    zeta: float = 0.3
    clip: bool = False
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "dps"
    title: ClassVar[str] = "Diffusion posterior sampling"
    reference: ClassVar[str] = "Chung, Kim, McCann, Klasky, Ye, ICLR 2023"
    needs: ClassVar[tuple[str, ...]] = ("adjoint", "gradient")
    models_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive(self, "zeta")
        check_start(self.start, self.sigma_max)

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
            problem: any operator.
            prior: the denoiser, of differentiable operations.
            noise: called once for the start and once a step, but the last.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            ValueError: if the grid does not fit the prior, or complex pictures are to be clipped.
        """
        operator, y = problem.operator, problem.y
        if self.clip and operator.domain.dtype.is_complex:
            raise ValueError("clip is for real pictures; these are complex")
        differentiable = Differentiable(prior)

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            inside = x_hat.clamp(0, 1) if self.clip else x_hat
            residual = y - operator(inside)
            norm = torch.linalg.vector_norm(residual, dim=operator.codomain.axes, keepdim=True)
            v = operator.adjoint(residual / norm.clamp_min(torch.finfo(norm.dtype).tiny))
            if self.clip:
                v = v * (inside == x_hat)
            scale = self.zeta / 2 * ((1 + 4 * sigma**2) * (1 + 4 * lower**2)) ** 0.5
            descent = differentiable.vjp(v)
            return ddim(x, inside, sigma, lower, 1.0, noise).add_(descent, alpha=scale)

        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        start = prior.centre if self.start is None else self.start
        x, _ = start_from(problem, start, sigmas[0], noise)
        return descend(differentiable, x, sigmas, step, on_step)
