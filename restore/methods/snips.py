"""Annealed Langevin dynamics in the singular directions of the operator: SNIPS."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_start, check_unit, descend
from restore.methods.spectral import Chain, Spectrum
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import geometric, sigma_grid
from restore.problem import Problem

Variant = Literal["level", "paper"]

# Largest step c. Of "paper": its noise is then √(1/(1 - c/2)) = 1.15 times what the level says. Of
# "level": what is not measured has 0.8 times its spread.
LARGEST_STEP: dict[Variant, float] = {"level": 1.0, "paper": 0.5}
# Least Θ that a budget may leave: that of ancestral sampling. With "paper" what is not measured is
# √2 too wide there, and at 1 without bounds.
LEAST_THETA = 2.0
# `within` assumes this first level where none is set; a prior of a larger one needs `sigma_max`.
WIDEST = 100.0
# `within` takes more than one inner step only where it leaves so many levels.
FEWEST_LEVELS = 100


@dataclass(frozen=True)
class SNIPS(Method):
    """Langevin steps towards p(x + σn | y) at falling levels σ, by a rule for each direction.

    With A = U S Vᴴ, x̄ = Vᴴx, ȳ = S⁺Uᴴy, x̂ = D(x, σ), r = (sσ/σ_y)² (0 where s = 0; ∞ where s > 0
    and σ_y = 0) and w = min(r, 1), the chain seeks, at level σ and given the clean picture,

        x̄ ~ N(t, v),   t = x̂ + w (ȳ - x̂),   v = σ² (1 - min(r, 1/r))

    in the three regimes of the paper, s = 0, 0 < sσ < σ_y and sσ ≥ σ_y. A step of length c from σ
    to σ' ≤ σ is

        variant "level":   x̄' = t' + k (x̄ - t) + √(v' - k²v) z,   k = exp(-c) ≤ σ'/σ
        variant "paper":   x̄' = x̄ + c (t - x̄) + √(2cv) z

    where t' and v' are of σ', with the same x̂; "paper" has its step sizes multiplied into its
    gradients, so that nothing is singular at sσ = σ_y. `inner` = τ steps are made at each of
    `steps` = L geometric levels σ₁ … σ_L, from N(ȳ, σ₁² - σ_y²/s²) where sσ₁ > σ_y and N(c₀, σ₁²)
    elsewhere, c₀ being the centre of the data. The result is D(x, σ_L) with x̄ ~ N(ȳ, σ_y²/s²)
    where y is clearer than σ_L (`Spectrum.clearer`): without noise A x = y.

    How much of the noise is renewed while σ falls by a factor of e is

        Θ = c τ L / ln(σ₁/σ_L),

    1 for the probability flow, 2 for ancestral sampling. So Θ is the parameter, 9.1 in the paper
    for 64² pictures, and c follows. "paper" lags behind the level: the standard deviation of what
    is not measured is √(Θ/(Θ - 1)) times too large, whatever c (and at the noise's own scale
    1/√(1 - c/2)); 3 per cent take Θ = 17. A network takes such noise for texture and keeps it
    (docs/decisions/0020). "level" has the noise of the level at every step; the standard deviation
    of what is not measured is short by c/4 of itself.

    Attributes:
        steps: L, the number of levels, each of `inner` evaluations of the denoiser.
        inner: τ, the steps at each level.
        theta: Θ > 1.
        variant: "level" or "paper".
        sigma_min: last level σ_L; the prior's where that is larger.
        sigma_max: first level σ₁, by default the prior's.
        rcond: singular values below rcond · max(s) are taken as 0.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c₀: the
            run then starts at `sigma_max`.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Kawar, Vaksman, Elad, NeurIPS 2021; the law of Θ and "level" are derived here, which
    without measured directions is the consistent annealed sampling of Jolicoeur-Martineau,
    Piché-Taillefer, Mitliagkas, Tachet des Combes, ICLR 2021.
    """

    steps: int = 500
    inner: int = 5
    theta: float = 9.1
    variant: Variant = "level"
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
        if self.variant not in get_args(Variant):
            raise ValueError(f"variant is {self.variant!r}; it is level or paper")
        if not 1 < self.theta < math.inf:
            raise ValueError(f"theta is {self.theta}; it must be above 1, and finite")
        if not 0 < self.sigma_min < (self.sigma_max or math.inf):
            raise ValueError(
                f"sigma_min is {self.sigma_min}; it must be above 0 and below sigma_max"
            )

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many evaluations, the last denoising among them.

        c grows with fewer evaluations so that Θ stays, up to c = 1 (0.5 with "paper"); then Θ
        falls. Below Θ = 2 it is not defined: the noise of the start would not be forgotten. Without
        `sigma_max` the first level is taken as 100: for a prior of a larger one set it.

        Raises:
            ValueError: if that makes Θ less than 2 (or than `theta`), which it does below
                1 + 2 ln(σ₁/σ_L) evaluations, 20 with σ_L = 0.01 and any σ₁ up to 100 (with "paper"
                1 + 4 ln(σ₁/σ_L), 38).
        """
        longest = LARGEST_STEP[self.variant]
        span = math.log((self.sigma_max or WIDEST) / self.sigma_min)
        inner = min(self.inner, max(1, (evaluations - 1) // FEWEST_LEVELS))
        steps = (evaluations - 1) // inner
        theta = min(self.theta, longest * inner * steps / span)
        least = min(self.theta, LEAST_THETA)
        if theta < least or steps < 2:
            fewest = 1 + max(2, math.ceil(least * span / longest))
            raise ValueError(f"snips needs {fewest} evaluations or more, not {evaluations}")
        return dataclasses.replace(self, steps=steps, inner=inner, theta=theta)

    def step_size(self, sigma_max: float, sigma_min: float) -> float:
        """Return c = Θ ln(σ₁/σ_L)/(τL).

        Raises:
            ValueError: if it is above 1 (0.5 with "paper"), where steps are too long.
        """
        longest = LARGEST_STEP[self.variant]
        span = math.log(sigma_max / sigma_min)
        c = self.theta * span / (self.inner * self.steps)
        if c > longest:
            possible = self.theta * longest / c
            raise ValueError(
                f"steps is {self.steps} and inner is {self.inner}, which for theta = "
                f"{self.theta:g} makes the step c = {c:.2g}, above {longest:g}; raise steps or "
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
        c, paper = self.step_size(levels[0], levels[-1]), self.variant == "paper"
        chain = _Steps(Spectrum(problem, self.rcond), c, noise, paper=paper)
        start = prior.centre if self.start is None else self.start
        sigmas = [sigma for sigma in levels for _ in range(self.inner)] + [levels[-1], 0.0]
        return descend(prior, chain.begin(start, sigmas[0]), sigmas, chain.step, on_step)

    def _levels(self, prior: Denoiser) -> list[float]:
        first = sigma_grid(prior, 1, "geometric", self.sigma_max)[0]
        return geometric(self.steps, max(self.sigma_min, prior.sigma_min), first)[:-1]


class _Steps(Chain):
    """The Langevin steps of a run."""

    def __init__(self, spectrum: Spectrum, c: float, noise: Noise, *, paper: bool) -> None:
        super().__init__(spectrum, noise)
        self.c = c
        self.paper = paper

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """A Langevin step from σ to lower, or the end where lower is 0."""
        at = self.spectrum
        if lower == 0:
            return x_hat + at.correction(x_hat, sigma, self.noise)
        factors = self._paper(sigma) if self.paper else self._level(sigma, lower)
        kept, fresh, gain, spread = factors

        def rule(x_hat_bar: Tensor, z_bar: Tensor) -> Tensor:
            moved = torch.lerp(x_hat_bar, self.x_bar, kept)
            return moved.addcmul_(gain, at.y_bar - x_hat_bar).addcmul_(spread, z_bar)

        return self.moved(x, x_hat, kept, fresh, rule)

    def _level(self, sigma: float, lower: float) -> tuple[float, float, Tensor, Tensor]:
        """k, at most σ'/σ, √(σ'² - k²σ²), w' - kw and √(v' - k²v)."""
        kept = min(math.exp(-self.c), lower / sigma)
        fresh = max(lower**2 - (kept * sigma) ** 2, 0.0) ** 0.5
        (weight, share), (next_weight, next_share) = self._regimes(sigma), self._regimes(lower)
        # Within the step to sσ' < σ_y what is kept can be more than v'.
        variance = (lower**2 * next_share - (kept * sigma) ** 2 * share).clamp_min(0)
        return kept, fresh, next_weight - kept * weight, variance.sqrt()

    def _paper(self, sigma: float) -> tuple[float, float, Tensor, Tensor]:
        """1 - c, σ√(2c), cw and √(2cv)."""
        weight, share = self._regimes(sigma)
        fresh = (2 * self.c) ** 0.5 * sigma
        return 1 - self.c, fresh, self.c * weight, share.sqrt() * fresh

    def _regimes(self, sigma: float) -> tuple[Tensor, Tensor]:
        """w = min(r, 1) and 1 - min(r, 1/r)."""
        at = self.spectrum
        if at.noise_std == 0:
            return at.measured.to(at.s), torch.ones_like(at.s)
        r = (at.s * (sigma / at.noise_std)).square()
        return r.clamp_max(1), 1 - torch.minimum(r, 1 / r)
