"""Plug-and-play restoration with a diffusion prior: DiffPIR."""

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
    check_unit,
    descend,
    start_from,
)
from restore.methods.likelihood import pull
from restore.methods.matrix_free import least_damping, noise_of
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

# Of conjugate gradients. What it leaves is less than the noise of the next level; 1e-5 restores no
# better, 1e-2 worse by up to 2 dB.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class DiffPIR(Method):
    """Denoise, solve a least-squares problem around that, and put noise back.

    With x̂ = D(x, σ) and σ_n = max(σ_y, 0.001 min(‖A‖, 1)), a step σ → σ' < σ is

        x_c = argmin ‖y - A x_c‖² + ρ‖x_c - x̂‖²,   ρ = λσ_n²/σ²
        x'  = x_c + σ' (√(1 - ζ) (x - x_c)/σ + √ζ z)

    from N(c, σ₁²), c being the centre of the data; the last step is x̂. So a measurement without
    noise is met closely, not exactly.

    x_c comes by the SVD where there is one, otherwise by conjugate gradients; these take a ρ of at
    least (‖A‖/50)², which they solve in about 100 iterations. It leaves singular directions below
    ‖A‖/50 to the denoiser while σ is larger than 50√λσ_n/‖A‖.

    Attributes:
        steps: evaluations of the denoiser.
        weight: λ > 0, the weight of the denoiser against the measurement. The authors' code has σ
            in [-1, 1] and σ_n in [0, 1], so that its λ is four times ours. Its files say 1, in a
            remark 7; the latter, our default, gives samples about as wide as the posterior, the
            former half as wide where the measurement is noisy.
        zeta: ζ in [0, 1], the part of the noise that is fresh; 0 is deterministic. The authors
            take 0.1 for blur, 0.25 for enlarging, 1 for filling in with 20 steps.
        grid: levels of the noise (`prior.schedule`); "quad" is the authors'.
        sigma_max: first level σ₁, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool, CVPR workshops 2023, algorithm 1.
    """

    steps: int = 100
    weight: float = 1.75
    zeta: float = 0.3
    grid: Grid = "quad"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "diffpir"
    title: ClassVar[str] = "Denoising diffusion models for plug-and-play image restoration"
    reference: ClassVar[str] = "Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool, CVPRW 2023"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)

    def __post_init__(self) -> None:
        check_unit(self, "zeta")
        check_start(self.start, self.sigma_max)
        check_positive(self, "weight")

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
            prior: the denoiser.
            noise: called once for the start and once a step but the last.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
            ValueError: if the grid does not fit the prior.
        """
        noise_std = noise_of(problem)
        least = least_damping(problem.operator)
        old, fresh = (1 - self.zeta) ** 0.5, self.zeta**0.5

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            if lower == 0:
                return x_hat
            rho = torch.maximum(least.square(), self.weight * (noise_std / sigma) ** 2)
            x_c = x_hat + pull(problem, x_hat, rho, tolerance=TOLERANCE)
            return torch.lerp(x_c, x, old * lower / sigma).add_(noise(x), alpha=fresh * lower)

        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        start = prior.centre if self.start is None else self.start
        x, _ = start_from(problem, start, sigmas[0], noise)
        return descend(prior, x, sigmas, step, on_step)
