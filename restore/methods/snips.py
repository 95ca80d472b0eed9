"""Annealed Langevin dynamics in the singular directions of the operator: SNIPS."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_start, check_unit, descend
from restore.methods.spectral import Chain, Spectrum
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import geometric, sigma_grid
from restore.problem import Problem

# Largest step c: there the chain's noise is √(1/(1 - c/2)) = 1.15 times as large as the level says.
LARGEST_STEP = 0.5
# Least Θ that a budget may leave: there unmeasured directions are √2 too wide. At 1 they diverge.
LEAST_THETA = 2.0
# `within` assumes this first level where none is set; a prior of a larger one needs `sigma_max`.
WIDEST = 100.0
# `within` takes more than one inner step only where it leaves so many levels.
FEWEST_LEVELS = 100


@dataclass(frozen=True)
class SNIPS(Method):
    """Langevin steps towards p(x + σn | y) at falling levels σ, by a rule for each direction.

    With A = U S Vᴴ, x̄ = Vᴴx, ȳ = S⁺Uᴴy, x̂ = D(x, σ), r = (sσ/σ_y)² (0 where s = 0; ∞ where s > 0
    and σ_y = 0) and w = min(r, 1), a step at level σ is

        x̄' = x̄ + c (x̂ + w (ȳ - x̂) - x̄) + σ√(2c (1 - min(r, 1/r))) z

    which are the three regimes of the paper, s = 0, 0 < sσ < σ_y and sσ ≥ σ_y, with its step sizes
    multiplied into its gradients: so nothing is singular at sσ = σ_y. `inner` = τ steps are made at
    each of `steps` = L geometric levels σ₁ … σ_L, from N(ȳ, σ₁² - σ_y²/s²) where sσ₁ > σ_y and
    N(c₀, σ₁²) elsewhere, c₀ being the centre of the data. The result is D(x, σ_L) with
    x̄ ~ N(ȳ, σ_y²/s²) where y is clearer than σ_L (`Spectrum.clearer`): without noise A x = y.

    What decides how close the samples come to the posterior is the slowness of the annealing,

        Θ = c τ L / ln(σ₁/σ_L).

    In unmeasured directions the standard deviation is √(Θ/(Θ - 1)) times too large (and at the
    noise's own scale 1/√(1 - c/2)): 6 per cent for the Θ = 9.1 of the paper with 64² pictures; 3
    take Θ = 17. A smaller c at the same Θ changes nothing. So Θ is the parameter, and c follows.

    Attributes:
        steps: L, the number of levels, each of `inner` evaluations of the denoiser.
        inner: τ, the steps at each level.
        theta: Θ > 1.
        sigma_min: last level σ_L; the prior's where that is larger.
        sigma_max: first level σ₁, by default the prior's.
        rcond: singular values below rcond · max(s) are taken as 0.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c₀: the
            run then starts at `sigma_max`.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Kawar, Vaksman, Elad, NeurIPS 2021; the law of Θ is derived here.
    """

    steps: int = 500
    inner: int = 5
    theta: float = 9.1
    sigma_min: float = 0.01
    sigma_max: float | None = None
    rcond: float = 1e-6
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "snips"
    title: ClassVar[str] = "Solving noisy inverse problems stochastically"
    reference: ClassVar[str] = "Kawar, Vaksman, Elad, NeurIPS 2021"
    needs: ClassVar[tuple[str, ...]] = ("svd",)

    def __post_init__(self) -> None:
        check_unit(self, "rcond")
        check_start(self.start, self.sigma_max)
        if self.steps < 2 or self.inner < 1:
            raise ValueError(
                f"steps is {self.steps} and inner is {self.inner}; at least 2 and 1 are needed"
            )
        if not 1 < self.theta < math.inf:
            raise ValueError(f"theta is {self.theta}; it must be above 1, and finite")
        if not 0 < self.sigma_min < (self.sigma_max or math.inf):
            raise ValueError(
                f"sigma_min is {self.sigma_min}; it must be above 0 and below sigma_max"
            )

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many evaluations, the last denoising among them.

        c grows with fewer evaluations so that Θ stays, up to c = 0.5; then Θ falls. Below Θ = 2 it
        is not defined: the noise of the start would not be forgotten. Without `sigma_max` the first
        level is taken as 100: for a prior of a larger one set it.

        Raises:
            ValueError: if c = 0.5 makes Θ less than 2 (or than `theta`), which it does below
                1 + 4 ln(σ₁/σ_L) evaluations, 38 with σ_L = 0.01 and any σ₁ up to 100.
        """
        span = math.log((self.sigma_max or WIDEST) / self.sigma_min)
        inner = min(self.inner, max(1, (evaluations - 1) // FEWEST_LEVELS))
        steps = (evaluations - 1) // inner
        theta = min(self.theta, LARGEST_STEP * inner * steps / span)
        least = min(self.theta, LEAST_THETA)
        if theta < least or steps < 2:
            fewest = 1 + max(2, math.ceil(least * span / LARGEST_STEP))
            raise ValueError(f"snips needs {fewest} evaluations or more, not {evaluations}")
        return dataclasses.replace(self, steps=steps, inner=inner, theta=theta)

    def step_size(self, sigma_max: float, sigma_min: float) -> float:
        """Return c = Θ ln(σ₁/σ_L)/(τL).

        Raises:
            ValueError: if it is above 0.5, where the steps are too long to be accurate.
        """
        c = self.theta * math.log(sigma_max / sigma_min) / (self.inner * self.steps)
        if c > LARGEST_STEP:
            possible = self.theta * LARGEST_STEP / c
            raise ValueError(
                f"steps is {self.steps} and inner is {self.inner}, which for theta = "
                f"{self.theta:g} makes the step c = {c:.2g}, above {LARGEST_STEP}; raise steps or "
                f"inner{f', or set theta to {possible:.3g} or less' if possible > 1 else ''}"
            )
        return c

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
            problem: its operator has an SVD.
            prior: the denoiser.
            noise: called once for the start, once a step, and with noise in y once more.
            on_step: called with (step, steps · inner + 1, x̂) after each evaluation.

        Raises:
            NoFastSVD: if the operator has no SVD.
            ValueError: if the levels do not fit the prior, or the steps are too few for theta.
        """
        levels = self._levels(prior)
        chain = _Steps(Spectrum(problem, self.rcond), self.step_size(levels[0], levels[-1]), noise)
        start = prior.centre if self.start is None else self.start
        sigmas = [sigma for sigma in levels for _ in range(self.inner)] + [levels[-1], 0.0]
        return descend(prior, chain.begin(start, sigmas[0]), sigmas, chain.step, on_step)

    def _levels(self, prior: Denoiser) -> list[float]:
        first = sigma_grid(prior, 1, "geometric", self.sigma_max)[0]
        return geometric(self.steps, max(self.sigma_min, prior.sigma_min), first)[:-1]


class _Steps(Chain):
    """The Langevin steps of a run."""

    def __init__(self, spectrum: Spectrum, c: float, noise: Noise) -> None:
        super().__init__(spectrum, noise)
        self.c = c

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """A Langevin step at σ, or the end where lower is 0."""
        at, c = self.spectrum, self.c
        if lower == 0:
            return x_hat + at.correction(x_hat, sigma, self.noise)
        pull, share = self._pull(sigma)
        spread = (2 * c) ** 0.5 * sigma

        def rule(x_hat_bar: Tensor, z_bar: Tensor) -> Tensor:
            target = torch.addcmul(x_hat_bar, pull, at.y_bar - x_hat_bar)
            return torch.lerp(self.x_bar, target, c).add_(share * z_bar, alpha=spread)

        return self.moved(x, x_hat, 1 - c, spread, rule)

    def _pull(self, sigma: float) -> tuple[Tensor, Tensor]:
        """w = min(r, 1) and √(1 - min(r, 1/r))."""
        at = self.spectrum
        if at.noise_std == 0:
            return at.measured.to(at.s), torch.ones_like(at.s)
        r = (at.s * (sigma / at.noise_std)).square()
        return r.clamp_max(1), (1 - torch.minimum(r, 1 / r)).sqrt()
