"""Pseudoinverse-guided diffusion: ΠGDM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from restore.methods.base import (
    Method,
    StepCallback,
    check_positive,
    check_start,
    check_unit,
    ddim,
    descend,
    start_from,
)
from restore.methods.gradient import Differentiable
from restore.methods.likelihood import pull, share_towards
from restore.methods.matrix_free import LAST_REACH, reachable
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

Variant = Literal["score", "paper"]


@dataclass(frozen=True)
class PiGDM(Method):
    """A diffusion sampler guided by the measurement seen through a Gaussian around x̂.

    With x̂ = D(x, σ), x₀ given x is taken as N(x̂, r²I), r² = σ²σ_d²/(σ² + σ_d²), for which

        g = ∇ log p(y|x) = (∂x̂/∂x)ᴴ Aᴴ(r²AAᴴ + σ_y²I)⁻¹ (y - A x̂).

    A step σ → σ' of variant "score" takes x̂ + ασ²g, for α = 1 the mean of the clean picture given x
    and y, in the place of x̂: x' = DDIM(x̂ + ασ²g). It converges with the number of steps, to the
    posterior where the prior is a Gaussian of covariance σ_d²I. Pixels that have much in common
    have a larger r, by which σ²g overshoots y, a thousandfold at large σ. So α ≤ 1 is what brings
    A(x̂ + ασ²g) nearest to y; for a Gaussian of any covariance and its own r it is 1. Variant
    "paper" is x' = DDIM(x̂) + r²g.

    With σ_y = 0 the result is projected at the end, x + A†(y - A x).

    Attributes:
        steps: evaluations of the denoiser and its gradient.
        variant: "score" or "paper".
        eta: DDIM's η in [0, 1]: 0 without fresh noise, 1 ancestral sampling.
        data_std: σ_d, the standard deviation of a pixel as the method takes it.
        grid: levels of the noise, "native", "karras" or "geometric" (`prior.schedule`).
        sigma_max: first level, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], to start from at `sigma_max` in the place
            of the centre of the data.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Song, Vahdat, Mardani, Kautz, ICLR 2023, equation 7 and algorithm 1, for "paper".
    """

    steps: int = 100
    variant: Variant = "score"
    eta: float = 1.0
    data_std: float = 0.5
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "pigdm"
    title: ClassVar[str] = "Pseudoinverse-guided diffusion"
    reference: ClassVar[str] = "Song, Vahdat, Mardani, Kautz, ICLR 2023"
    needs: ClassVar[tuple[str, ...]] = ("adjoint", "gradient")

    def __post_init__(self) -> None:
        check_unit(self, "eta")
        check_positive(self, "data_std")
        check_start(self.start, self.sigma_max)
        if self.variant not in get_args(Variant):
            raise ValueError(f"variant is {self.variant!r}; it is one of score, paper")

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
            noise: called once for the start and once a step (not the last, nor with η = 0).
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            ValueError: if the grid does not fit the prior.
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
        """
        differentiable = Differentiable(prior)
        reach = reachable(problem.operator)

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            variance = 1 / (sigma**-2 + self.data_std**-2)
            pulled = pull(problem, x_hat, reach(problem.noise_std**2 / variance))
            r2_g = differentiable.vjp(pulled)
            if self.variant == "paper":
                return ddim(x, x_hat, sigma, lower, self.eta, noise).add_(r2_g)
            change = r2_g.mul_(sigma**2 / variance)
            residual = problem.y - problem.operator(x_hat)
            x_hat = x_hat + share_towards(problem.operator, residual, change) * change
            return ddim(x, x_hat, sigma, lower, self.eta, noise)

        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        start = prior.centre if self.start is None else self.start
        x, _ = start_from(problem, start, sigmas[0], noise)
        x = descend(differentiable, x, sigmas, step, on_step)
        if problem.noise_std > 0:
            return x
        return x + pull(problem, x, reachable(problem.operator, LAST_REACH)(0))
