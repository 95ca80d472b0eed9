"""Annealed Langevin dynamics in the singular directions of the operator: SNIPS."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_start, check_unit, descend
from restore.methods.halved_noise import halves
from restore.methods.spectral import Chain, Spectrum
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import geometric, last_level, sigma_grid
from restore.problem import Problem

Variant = Literal["halved", "level", "paper"]

# Largest step c. Of "paper": its noise is then √(1/(1 - c/2)) = 1.15 times what the level says. Of
# "level": what is not measured has 0.8 times its spread. Of "halved": longer ones leave less of its
# texture, and little more is drawn anew.
LARGEST_STEP: dict[Variant, float] = {"halved": 1.0, "level": 1.0, "paper": 0.5}
# Least Θ that a budget may leave the other two: that of ancestral sampling. With "paper" what is
# not measured is √2 too wide there, and at 1 without bounds.
LEAST_THETA = 2.0
# Up to so many times its own Θ "halved" takes what a budget allows with the largest step.
MORE_THETA = 3.0
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

        variant "halved":  x̄' = t' + k (x̄ - t) + b z + a z',   k = exp(-c) ≤ σ'/σ
        variant "level":   x̄' = t' + k (x̄ - t) + √(v' - k²v) z
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
    (docs/decisions/0020). "level" has the noise of the level at every step, but of what is not
    measured c/4 of the standard deviation is missing, and with it more of a photograph's texture.
    "halved" has both right, with a and b of `halves` from the last step's z and a fresh z'. There
    c is at most 1, so that with few steps Θ is less than was asked for, down to the probability
    flow (docs/decisions/0021).

    Attributes:
        steps: L, the number of levels, each of `inner` evaluations of the denoiser.
        inner: τ, the steps at each level.
        theta: Θ > 1.
        variant: "halved", "level" or "paper".
        sigma_min: last level σ_L; the prior's where that is larger.
        sigma_max: first level σ₁, by default the prior's.
        rcond: singular values below rcond · max(s) are taken as 0.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c₀: the
            run then starts at `sigma_max`.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Kawar, Vaksman, Elad, NeurIPS 2021; the law of Θ, "halved" and "level" are derived here.
    Without measured directions "level" is the consistent annealed sampling of Jolicoeur-Martineau,
    Piché-Taillefer, Mitliagkas, Tachet des Combes, ICLR 2021.
    """

    steps: int = 500
    inner: int = 5
    theta: float = 9.1
    variant: Variant = "halved"
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
        if self.steps < 1 or self.inner < 1:
            raise ValueError(
                f"steps is {self.steps} and inner is {self.inner}; at least 1 of each is needed"
            )
        if self.variant not in get_args(Variant):
            raise ValueError(
                f"variant is {self.variant!r}; it is one of {', '.join(get_args(Variant))}"
            )
        if not 1 < self.theta < math.inf:
            raise ValueError(f"theta is {self.theta}; it must be above 1, and finite")
        if not 0 < self.sigma_min < (self.sigma_max or math.inf):
            raise ValueError(
                f"sigma_min is {self.sigma_min}; it must be above 0 and below sigma_max"
            )

    def within(self, evaluations: int) -> Self:
        """Return the method with at most so many evaluations, the last denoising among them.

        "halved" has c = 1 then, and as much is drawn anew as the budget allows, up to three times
        Θ: its mean gains by that. With the others c grows with fewer evaluations so that Θ stays,
        up to c = 1 (0.5 with "paper"); then Θ falls. Below Θ = 2 they are not defined: the noise of
        the start would not be forgotten. Without `sigma_max` the first level is taken as 100: for a
        prior of a larger one set it.

        Raises:
            ValueError: if there are fewer than two, or with the others Θ is less than 2 (or than
                `theta`), which it is below 1 + 2 ln(σ₁/σ_L) evaluations, 20 with σ_L = 0.01 and any
                σ₁ up to 100 (with "paper" 1 + 4 ln(σ₁/σ_L), 38).
        """
        longest = LARGEST_STEP[self.variant]
        span = math.log((self.sigma_max or WIDEST) / self.sigma_min)
        inner = min(self.inner, max(1, (evaluations - 1) // FEWEST_LEVELS))
        steps = (evaluations - 1) // inner
        possible = longest * inner * steps / span
        if self.variant == "halved":
            fewest, theta = 2, min(max(possible, LEAST_THETA), MORE_THETA * self.theta)
        else:
            least = min(self.theta, LEAST_THETA)
            fewest, theta = 1 + max(2, math.ceil(least * span / longest)), min(self.theta, possible)
        if evaluations < fewest:
            raise ValueError(f"snips needs {fewest} evaluations or more, not {evaluations}")
        return dataclasses.replace(self, steps=steps, inner=inner, theta=theta)

    def step_size(self, sigma_max: float, sigma_min: float) -> float:
        """Return c = Θ ln(σ₁/σ_L)/(τL), with "halved" at most 1.

        Raises:
            ValueError: if it is above 1 with "level" or 0.5 with "paper", where steps are too long.
        """
        longest = LARGEST_STEP[self.variant]
        span = math.log(sigma_max / sigma_min)
        c = self.theta * span / (self.inner * self.steps)
        if self.variant == "halved":
            return min(c, longest)
        if c > longest:
            possible = self.theta * longest / c
            raise ValueError(
                f"steps is {self.steps} and inner is {self.inner}, which for theta = "
                f"{self.theta:g} makes the step c = {c:.2g}, above {longest:g}; raise steps or "
                f"inner{f', or set theta to {possible:.3g} or less' if possible > 1 else ''}, or "
                "set variant to halved"
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
        c = self.step_size(levels[0], levels[-1])
        chain = _Steps(Spectrum(problem, self.rcond), c, noise, self.variant)
        start = prior.centre if self.start is None else self.start
        sigmas = [sigma for sigma in levels for _ in range(self.inner)] + [levels[-1], 0.0]
        return descend(prior, chain.begin(start, sigmas[0]), sigmas, chain.step, on_step)

    def _levels(self, prior: Denoiser) -> list[float]:
        first = sigma_grid(prior, 1, "geometric", self.sigma_max)[0]
        return geometric(self.steps, last_level(prior, self.sigma_min, first), first)[:-1]


class _Steps(Chain):
    """The Langevin steps of a run."""

    def __init__(self, spectrum: Spectrum, c: float, noise: Noise, variant: Variant) -> None:
        super().__init__(spectrum, noise)
        self.c = c
        self.variant = variant
        # Of x - t with the last z where nothing is measured, and of x̄ - t with z̄ in each direction.
        self.covariances: tuple[Tensor, Tensor] | None = None

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """A Langevin step from σ to lower, or the end where lower is 0."""
        at = self.spectrum
        if lower == 0:
            return x_hat + at.correction(x_hat, sigma, self.noise)
        if self.variant == "paper":
            kept, gain, fresh, spread = self._paper(sigma)
            again = again_bar = None
        else:
            kept, gain, (again, fresh), (again_bar, spread) = self._level(sigma, lower)

        def rule(x_hat_bar: Tensor, z_bar: Tensor) -> Tensor:
            moved = torch.lerp(x_hat_bar, self.x_bar, kept)
            moved.addcmul_(gain, at.y_bar - x_hat_bar).addcmul_(spread, z_bar)
            return moved if again_bar is None else moved.addcmul_(again_bar, self.last_bar)

        return self.moved(x, x_hat, kept, fresh, rule, again)

    def _level(
        self, sigma: float, lower: float
    ) -> tuple[float, Tensor, tuple[Tensor | None, Tensor], tuple[Tensor | None, Tensor]]:
        """k ≤ σ'/σ, w' - kw, and the factors of the last and the fresh noise.

        Once where nothing is measured, and once in each direction.
        """
        kept, s = min(math.exp(-self.c), lower / sigma), self.spectrum.s
        (weight, share), (next_weight, next_share) = self._regimes(sigma), self._regimes(lower)
        free = s.new_full((), sigma**2), s.new_full((), lower**2)
        variances = sigma**2 * share, lower**2 * next_share
        gain = next_weight - kept * weight
        if self.covariances is None or self.variant == "level":
            fresh, spread = (
                (after - kept**2 * before).clamp_min(0).sqrt()
                for before, after in (free, variances)
            )
            self.covariances = fresh, spread
            return kept, gain, (None, fresh), (None, spread)
        again, fresh = halves(kept, *free, self.covariances[0])
        again_bar, spread = halves(kept, *variances, self.covariances[1])
        self.covariances = fresh, spread
        return kept, gain, (again, fresh), (again_bar, spread)

    def _paper(self, sigma: float) -> tuple[float, Tensor, Tensor, Tensor]:
        """1 - c, cw, σ√(2c) and √(2cv)."""
        weight, share = self._regimes(sigma)
        fresh = self.spectrum.s.new_full((), (2 * self.c) ** 0.5 * sigma)
        return 1 - self.c, self.c * weight, fresh, share.sqrt() * fresh

    def _regimes(self, sigma: float) -> tuple[Tensor, Tensor]:
        """w = min(r, 1) and 1 - min(r, 1/r)."""
        at = self.spectrum
        if at.noise_std == 0:
            return at.measured.to(at.s), torch.ones_like(at.s)
        r = (at.s * (sigma / at.noise_std)).square()
        return r.clamp_max(1), 1 - torch.minimum(r, 1 / r)
