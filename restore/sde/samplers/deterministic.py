"""Samplers of the probability-flow ODE with given steps: DDIM, Heun, DPM-Solver++(2M)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import StepCallback, check_unit, ddim, descend
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.sde.samplers.base import SteppedSampler


@dataclass(frozen=True)
class DDIM(SteppedSampler):
    """x̂ + (σ'/σ)(x − x̂) for η = 0: Euler's step in σ, exact where x̂ does not change.

    Attributes:
        eta: share of fresh noise; 0 is the ODE, 1 ancestral sampling.

    Raises:
        ValueError: if η is not within 0 and 1.
    """

    eta: float = 0.0

    name: ClassVar[str] = "ddim"
    title: ClassVar[str] = "Denoising diffusion implicit models"
    reference: ClassVar[str] = "Song, Meng, Ermon, ICLR 2021"
    random: ClassVar[bool] = False
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_unit(self, "eta")

    def descend(
        self,
        prior: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Take x down the levels."""

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            return ddim(x, x_hat, sigma, lower, self.eta, noise)

        return descend(prior, x, sigmas, step, on_step)


@dataclass(frozen=True)
class Heun(SteppedSampler):
    """Heun's step of dx/dσ = (x − D)/σ, after some noise was added: two evaluations a step.

    With γ = min(S_churn/steps, √2 − 1) while S_min ≤ σ ≤ S_max, and 0 otherwise, x first goes up
    to σ(1 + γ) by S_noise times the noise that takes. The last step, to 0, is Euler's.

    Attributes:
        churn: S_churn, 0 for the ODE.
        churn_min: S_min.
        churn_max: S_max.
        churn_noise: S_noise.

    Raises:
        ValueError: if one of them is negative.

    Source: algorithm 2 of the paper.
    """

    steps: int = 18
    churn: float = 0.0
    churn_min: float = 0.0
    churn_max: float = math.inf
    churn_noise: float = 1.0

    name: ClassVar[str] = "heun"
    title: ClassVar[str] = "Heun's method with churn, the sampler of EDM"
    reference: ClassVar[str] = "Karras, Aittala, Aila, Laine, NeurIPS 2022"
    random: ClassVar[bool] = False
    order: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("churn", "churn_min", "churn_max", "churn_noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")

    def descend(
        self,
        prior: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Take x down the levels, with 2 · (len(sigmas) − 1) − 1 evaluations."""
        levels = len(sigmas) - 1
        for number, (sigma, lower) in enumerate(pairwise(sigmas)):
            x, raised = self._churned(x, sigma, levels, noise)
            x_hat = prior(x, raised)
            if on_step is not None:
                on_step(2 * number + 1, 2 * levels - 1, x_hat)
            if lower == 0:
                return x_hat
            slope = (x - x_hat) / raised
            end = x + (lower - raised) * slope
            x_hat = prior(end, lower)
            if on_step is not None:
                on_step(2 * number + 2, 2 * levels - 1, x_hat)
            x = x + (lower - raised) * 0.5 * (slope + (end - x_hat) / lower)
        return x

    def _churned(self, x: Tensor, sigma: float, levels: int, noise: Noise) -> tuple[Tensor, float]:
        if self.churn == 0 or not self.churn_min <= sigma <= self.churn_max:
            return x, sigma
        raised = sigma * (1 + min(self.churn / levels, math.sqrt(2) - 1))
        return x + self.churn_noise * math.sqrt(raised**2 - sigma**2) * noise(x), raised


@dataclass(frozen=True)
class DPMSolver(SteppedSampler):
    """(σ'/σ) x + (1 − σ'/σ) D̃, with D̃ extrapolated from this and the last evaluation.

    With λ = −ln σ, h the step in λ and r = h_last/h: D̃ = (1 + 1/(2r)) D − 1/(2r) D_last, and D in
    the first step and in the last, to 0. One evaluation a step.

    Source: Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++, 2022, algorithm 2, for α = 1.
    """

    steps: int = 20

    name: ClassVar[str] = "dpm-solver"
    title: ClassVar[str] = "DPM-Solver++(2M)"
    reference: ClassVar[str] = "Lu, Zhou, Bao, Chen, Li, Zhu, 2022"
    random: ClassVar[bool] = False
    order: ClassVar[int] = 2

    def descend(
        self,
        prior: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        *,
        noise: Noise,  # noqa: ARG002
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Take x down the levels."""
        last: tuple[Tensor, float] | None = None

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            nonlocal last
            if lower == 0:
                return x_hat
            h = math.log(sigma / lower)
            target = x_hat
            if last is not None:
                before, h_last = last
                target = x_hat + (0.5 * h / h_last) * (x_hat - before)
            last = x_hat, h
            return torch.lerp(target, x, lower / sigma)

        return descend(prior, x, sigmas, step, on_step)
