"""A relative of DDRM for any operator with an adjoint: one linear solve a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from operators.svd import per_image
from restore.methods.base import Method, StepCallback, check_start, check_unit, descend, start_from
from restore.methods.likelihood import pull
from restore.methods.matrix_free import REACH, correction, norm_of
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

# Relative residual of the last solve, after which nothing corrects what it leaves.
LAST_TOLERANCE = 1e-6


@dataclass(frozen=True)
class DDRMCG(Method):
    """A diffusion sampler of one shifted least-squares solve a step, by conjugate gradients.

    With x̂ = D(x, σ), ε̂ = (x - x̂)/σ, q = √(1 - η²) and K = (AᴴA + c²I)⁻¹Aᴴ, a step σ → σ' < σ is

        x' = x̂ + qσ'ε̂ + qK (y - A(x̂ + σ'(ε̂ - z₁)) + σ_u u) + ησ' z₂
        c = σ_c/σ',  σ_c = max(σ_y, ‖A‖σ'/50),  σ_u = √(2σ_c² - σ_y²)

    with fresh normal z₁, z₂ (pictures) and u (a measurement), from N(c₀, σ₁²), c₀ being the centre
    of the data. For a singular value s → 0 it is DDIM's step, for s → ∞ DDRM's with η_b = q, and
    between them it is smooth in s, so that Krylov methods can compute it, which they cannot DDRM's.
    The bound on σ_c keeps them to about 100 iterations. The last step is x̂ with what y tells more
    precisely than the last level (`matrix_free.correction`): x̂ + A†(y - A x̂) without noise.

    Given x₀, every x' is N(x₀, σ'²I) without noise; with noise the variance exceeds σ'² by up to
    9 per cent (η = 0.85), since the measurement's noise comes back in ε̂. Unlike DDRM's, its mean
    comes closer to the posterior's with more steps; its spread settles at about 0.9 of that.

    Attributes:
        steps: evaluations of the denoiser.
        eta: η in [0, 1), the part of the noise that is fresh; the measurement pulls with q.
        rcond: singular values well below rcond · max(s) stay as they are in the last step.
        grid: levels of the noise (`prior.schedule`).
        sigma_max: first level σ₁, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c₀.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: derived here, after Kawar, Elad, Ermon, Song, NeurIPS 2022; the noise of the solve is
    perturbation sampling (Papandreou, Yuille, NeurIPS 2010).
    """

    steps: int = 100
    eta: float = 0.85
    rcond: float = 3e-3
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ddrm-cg"
    title: ClassVar[str] = "Denoising diffusion restoration by one linear solve a step"
    reference: ClassVar[str] = "ours, after Kawar, Elad, Ermon, Song, NeurIPS 2022"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)

    def __post_init__(self) -> None:
        check_unit(self, "eta", "rcond")
        check_start(self.start, self.sigma_max)
        if self.eta == 1:
            raise ValueError("eta is 1; it must be below 1, or the measurement is not used")
        if self.rcond == 0:
            raise ValueError("rcond is 0; it must be above 0")

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
            noise: called once for the start, three times a step but the last, for z₁, u, z₂, and
                with noise in y once more.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
            ValueError: if the grid does not fit the prior.
        """
        operator, y, noise_std = problem.operator, problem.y, problem.noise_std
        norm = norm_of(operator)
        q = (1 - self.eta**2) ** 0.5

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            if lower == 0:
                last = correction(
                    problem, x_hat, sigma, self.rcond, noise, tolerance=LAST_TOLERANCE
                )
                return x_hat + last
            std = (norm * (lower / REACH)).clamp_min(noise_std)
            completion = (2 * std.square() - noise_std**2).sqrt()
            ahead = torch.lerp(x_hat, x, lower / sigma)  # x̂ + σ'ε̂
            carrier = ahead.sub(noise(x), alpha=lower)
            noisy = y + per_image(completion, y.ndim - 1) * noise(y)
            ahead += pull(Problem(operator, noisy), carrier, (std / lower).square())
            return torch.lerp(x_hat, ahead, q).add_(noise(x), alpha=self.eta * lower)

        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        start = prior.centre if self.start is None else self.start
        x, _ = start_from(problem, start, sigmas[0], noise)
        return descend(prior, x, sigmas, step, on_step)
