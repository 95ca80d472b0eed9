"""Methods for measurements that were rounded whose result lies in every interval."""

from __future__ import annotations

import math
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
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import check_first, geometric
from restore.problem import Problem
from restore.quantised import as_quantised


@dataclass(frozen=True)
class IntervalDDRM(Method):
    """DDRM with the measured coefficients projected onto their intervals.

    With P x̂ = x̂ - A†(A x̂ - clip(A x̂, y - ½, y + ½)) and x̂ = D(x, σ), a step σ → σ' is

        x' = P x̂ + √(1 - η²) σ' (x - x̂)/σ + ησ' z

    and the result P x̂: every coefficient lies in its interval, and one that the denoiser leaves
    there is not touched. DDRM-JPEG moves coefficients by whole steps instead and blends.

    Attributes:
        steps: evaluations of the denoiser.
        eta: η in [0, 1], the part of the noise that is fresh.
        sigma_max: first level, of the noise that is put on the start.
        sigma_min: last level, where the levels fall by equal factors; at most sigma_max.
        start: an estimate of x, [B or 1, *domain.shape]; H† y without it.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: ours; DDRM (Kawar et al., NeurIPS 2022) with the projection of Alter, Durand, Froment,
    "Adapted total variation for artifact free decompression of JPEG images", 2005.
    """

    steps: int = 20
    eta: float = 1.0
    sigma_max: float = 0.3
    sigma_min: float = 0.01
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ddrm-interval"
    title: ClassVar[str] = "DDRM with projection onto intervals"
    reference: ClassVar[str] = "this project, after Kawar et al., NeurIPS 2022"
    needs: ClassVar[tuple[str, ...]] = ("intervals",)
    tasks: ClassVar[tuple[str, ...]] = ("dejpeg",)

    def __post_init__(self) -> None:
        check_unit(self, "eta")
        geometric(self.steps, self.sigma_min, self.sigma_max)

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
            problem: quantised.
            prior: the denoiser.
            noise: called once for the start and once a step.
            on_step: called with (step, steps, x̂) after each evaluation of the denoiser.

        Raises:
            TypeError: if the problem is not quantised.
            ValueError: if sigma_max is above the prior's largest level.
        """
        check_first(prior, self.sigma_max)
        rounded = as_quantised(problem)
        start = rounded.decode(rounded.y) if self.start is None else self.start
        kept = math.sqrt(1 - self.eta**2)

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            if lower == 0:
                return rounded.settled(x_hat)
            inside = rounded.projected(x_hat)
            inside = inside + kept * lower / sigma * (x - x_hat)
            return inside.add_(noise(x_hat), alpha=self.eta * lower)

        x, _ = start_from(problem, start, self.sigma_max, noise)
        sigmas = geometric(self.steps, self.sigma_min, self.sigma_max)
        return descend(prior, x, sigmas, step, on_step)


@dataclass(frozen=True)
class IntervalPlugAndPlay(Method):
    """Denoise at falling levels, each time put the coefficients where their intervals have them.

    From the decoded measurement x₀ on, with x̂ = D(x, σ) and independent errors of its pixels of
    standard deviation r, a step is

        x' = x̂ - A†(A x̂ - c),   c_i = E[a | |a - y_i| ≤ ½],  a ~ N((A x̂)_i, r² ‖A_i‖²)

    and the result has every coefficient in its interval. One picture, no samples. The levels are
    standard deviations of what is wrong with the picture, not of noise on it; few are best, the
    first somewhat above the error of the decoded measurement.

    Attributes:
        steps: evaluations of the denoiser.
        sigma_max: first level.
        last: the last level as a share of the first, from where they fall by equal factors.
        spread: r as a share of the first level; 0 goes to the nearer end of the interval.
        start: an estimate of x, [B or 1, *domain.shape]; H† y without it.

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: Venkatakrishnan, Bouman, Wohlberg, GlobalSIP 2013 (a denoiser as prior).
    """

    steps: int = 4
    sigma_max: float = 0.1
    last: float = 0.35
    spread: float = 0.9
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "pnp-interval"
    title: ClassVar[str] = "Plug-and-play with intervals"
    reference: ClassVar[str] = "this project, after Venkatakrishnan et al., GlobalSIP 2013"
    needs: ClassVar[tuple[str, ...]] = ("intervals",)
    tasks: ClassVar[tuple[str, ...]] = ("dejpeg",)
    samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive(self, "last")
        check_unit(self, "last")
        if not 0 <= self.spread < math.inf:
            raise ValueError(f"spread is {self.spread}; it must be 0 or above, and finite")
        self._levels()

    def _levels(self) -> list[float]:
        return geometric(self.steps, self.last * self.sigma_max, self.sigma_max)

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
            TypeError: if the problem is not quantised, or its operator does not know the norms of
                its rows (with a spread of 0 it need not).
            ValueError: if sigma_max is above the prior's largest level.
        """
        check_first(prior, self.sigma_max)
        rounded, error = as_quantised(problem), self.spread * self.sigma_max
        start = rounded.decode(rounded.y) if self.start is None else self.start

        def step(_: Tensor, x_hat: Tensor, __: float, lower: float) -> Tensor:
            inside = rounded.expected(x_hat, error)
            return inside if lower else rounded.settled(inside)

        x, _ = start_from(problem, start, self.sigma_max, torch.zeros_like)
        return descend(prior, x, self._levels(), step, on_step)
