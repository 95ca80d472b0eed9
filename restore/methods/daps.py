"""Decoupled annealing posterior sampling: DAPS, for linear operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods.base import (
    Method,
    StepCallback,
    check_positive,
    check_start,
    descend,
    start_from,
)
from restore.methods.likelihood import pull
from restore.methods.matrix_free import LAST_REACH, reachable
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import karras
from restore.problem import Problem


@dataclass(frozen=True)
class DAPS(Method):
    """At each of falling levels: a clean picture, a sample given it and y, and noise on that again.

    At the level σ the probability-flow ODE takes x to a clean picture x̃ (Euler steps). Then

        x₀ ~ N(x̃, r²I) N(y; A x₀, σ_y²I)   and   x' = x₀ + σ'z,   r = spread · σ.

    The Gaussian in the middle is sampled exactly, where the paper runs Langevin dynamics: with
    w = x̃ + rz and u normal, x₀ = w + Aᴴ(AAᴴ + ρI)⁻¹(y + σ_y u - A w), ρ = σ_y²/r². So with σ_y = 0
    the result meets the measurement.

    r = σ, the paper's, is more than the spread of a clean picture given x: the samples vary too
    much, by a third where the pixels' prior is wide, and photographs come out noisy. With r = σ/2
    what is not measured has about the right spread and the measurement weighs too little.

    Attributes:
        steps: levels.
        ode_steps: evaluations of the denoiser at each level.
        spread: r/σ > 0.
        sigma_min: last level before 0 (the prior's smallest, if that is larger).
        sigma_max: first level, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], to start from at `sigma_max` in the place
            of the centre of the data.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Zhang, Chu, Berner, Meng, Anandkumar, Song, CVPR 2025, algorithm 1.
    """

    steps: int = 200
    ode_steps: int = 5
    spread: float = 1.0
    sigma_min: float = 0.05
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "daps"
    title: ClassVar[str] = "Decoupled annealing posterior sampling"
    reference: ClassVar[str] = "Zhang, Chu, Berner, Meng, Anandkumar, Song, CVPR 2025"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)

    def __post_init__(self) -> None:
        check_positive(self, "steps", "ode_steps", "spread", "sigma_min")
        check_start(self.start, self.sigma_max)

    def within(self, evaluations: int) -> Self:
        """Return the method with as many levels as `evaluations` allow.

        Raises:
            ValueError: if they do not suffice for one level.
        """
        if evaluations < self.ode_steps:
            raise ValueError(f"daps needs {self.ode_steps} evaluations a level, not {evaluations}")
        return dataclasses.replace(self, steps=evaluations // self.ode_steps)

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
            noise: called once for the start and up to three times a level.
            on_step: called with (step, steps · ode_steps, x̂) after each evaluation.

        Raises:
            ValueError: if sigma_max is not within sigma_min and the prior's largest level.
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
        """
        first = prior.sigma_max if self.sigma_max is None else self.sigma_max
        last = max(self.sigma_min, prior.sigma_min)
        if not last <= first <= prior.sigma_max:
            raise ValueError(f"sigma_max is {first:g}; expected {last:g} to {prior.sigma_max:g}")
        start = prior.centre if self.start is None else self.start
        x, _ = start_from(problem, start, first, noise)
        reach = reachable(problem.operator)
        last_reach = reachable(problem.operator, LAST_REACH)
        for level, (sigma, lower) in enumerate(pairwise(karras(self.steps, last, first))):
            sigmas = karras(self.ode_steps, prior.sigma_min, sigma)
            clean = descend(prior, x, sigmas, _euler, self._counted(on_step, level))
            least = reach if lower > 0 else last_reach
            x = self._given(problem, clean, self.spread * sigma, least, noise)
            if lower > 0:
                x = x.add_(noise(x), alpha=lower)
        return x

    @staticmethod
    def _given(
        problem: Problem,
        clean: Tensor,
        r: float,
        least: Callable[[float], float | Tensor],
        noise: Noise,
    ) -> Tensor:
        """A sample of x₀ given y under N(clean, r²I)."""
        if problem.noise_std > 0:
            y = problem.y.add(noise(problem.y), alpha=problem.noise_std)
            problem = dataclasses.replace(problem, y=y)
        x = clean.add(noise(clean), alpha=r)
        return x + pull(problem, x, least((problem.noise_std / r) ** 2))

    def _counted(self, on_step: StepCallback | None, level: int) -> StepCallback | None:
        if on_step is None:
            return None
        done, total = level * self.ode_steps, self.steps * self.ode_steps
        return lambda step, _, x_hat: on_step(done + step, total, x_hat)


def _euler(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
    return torch.lerp(x_hat, x, lower / sigma)
