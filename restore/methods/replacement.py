"""Put the measurement into a noisy picture: what ScoreSDE, ILVR and CCDF do after each step."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from operators.svd import per_image
from restore.methods.base import start_from
from restore.methods.likelihood import damped_pinv
from restore.methods.matrix_free import REACH, correction, norm_of
from restore.methods.spectral import Spectrum
from restore.noise import Noise
from restore.problem import Problem

# Relative residual of the solves above level 0: what they leave is far below the noise there.
TOLERANCE = 1e-4


class Replacement(ABC):
    """x ← x with its measured part at the level σ that x has.

    Args:
        problem: the measurement; its noise_std is taken as 0 by the rule that was published.
        noise: standard normal noise.
        strength: λ in [0, 1], the share of the change that is made.
    """

    def __init__(self, problem: Problem, noise: Noise, strength: float) -> None:
        self.problem = problem
        self.noise = noise
        self.strength = strength

    def begin(self, start: Tensor | float, sigma: float) -> Tensor:
        """Return start + σ z with the measured part replaced.

        Raises:
            ShapeError: if start has another shape.
        """
        x, _ = start_from(self.problem, start, sigma, self.noise)
        return self(x, sigma, sigma, 0.0)

    def __call__(self, x: Tensor, sigma: float, before: float, kept: float) -> Tensor:
        """Return x with its measured part replaced; noise is drawn unless σ and σ_y are 0.

        Args:
            x: [B, *domain.shape] at level σ.
            sigma: σ. At 0 a measurement without noise is met, and of one with noise what is
                clearer than the last level.
            before: level of the last replacement.
            kept: the share of the error of x that is left of the error then; 0 at the start.
        """
        return x + self.strength * self._change(x, sigma, before, kept)

    @property
    def allows_corrector(self) -> bool:
        """Whether a corrector can move x without forgetting the measurement."""
        return True

    def corrected(self, x: Tensor, change: Tensor, sigma: float) -> Tensor:
        """Return x after a corrector's change at σ, its measured part replaced.

        Args:
            x: [B, *domain.shape] at level σ.
            change: what the corrector adds.
            sigma: σ.
        """
        return self(x + change, sigma, sigma, 0.0)

    @abstractmethod
    def _change(self, x: Tensor, sigma: float, before: float, kept: float) -> Tensor:
        """The whole change, for λ = 1."""


class SpectralReplacement(Replacement):
    """Each measured singular direction takes its measurement, with noise to the level of x.

    With A = U S Vᴴ, x̄ = Vᴴx, ȳ = S⁺Uᴴy and τ = σ_y/s, its standard deviation,

        x̄ ← x̄ + λ g (ȳ + √|σ² - τ²| z - x̄),   g = 1 where τ ≤ σ

    Below that level the measurement is noisier than x, and the direction is released. At level τ it
    would be ȳ, but the last step may come from a level σ₀ above: there

        g = (σ²/τ² - k)/(1 - k) where σ < τ < σ₀,   k = σ²/σ₀²

    makes an ancestral step from ȳ + √(σ₀² - τ²) z₀ at σ₀, x̄ = x̂ + k (ȳ + … - x̂) + σ√(1 - k) z, one
    from ȳ at τ: x̄ = x̂ + (σ²/τ²)(ȳ - x̂) + σ√(1 - σ²/τ²) z. Without it the direction would go on with
    less of y the further apart the levels are (docs/decisions/0016).

    Source: Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, ICLR 2021, appendix I, and Song,
    Shen, Xing, Ermon, ICLR 2022, for σ_y = 0; the noise is ours, after the starting levels of
    Cardoso et al., ICLR 2024, and so is the release.

    Args:
        problem: its operator has an SVD.
        noise: called once for each replacement; at level 0 only with noise in y.
        strength: λ.
        rcond: singular values below rcond · max(s) are taken as 0.

    Raises:
        NoFastSVD: if the operator has no SVD.
    """

    def __init__(self, problem: Problem, noise: Noise, strength: float, rcond: float) -> None:
        super().__init__(problem, noise, strength)
        self.spectrum = Spectrum(problem, rcond)

    def _change(self, x: Tensor, sigma: float, before: float, kept: float) -> Tensor:  # noqa: ARG002
        if sigma == 0:
            return self.spectrum.correction(x, before, self.noise)
        return self.spectrum.svd.v(self._missing(x, sigma).mul_(self._gain(sigma, before)))

    def _missing(self, x: Tensor, sigma: float) -> Tensor:
        """ȳ + √|σ² - τ²| z - x̄."""
        at = self.spectrum
        missing = at.y_bar - at.svd.vt(x)
        return missing.addcmul_(at.deviation(sigma), at.normal(x, self.noise))

    def _gain(self, sigma: float, before: float) -> Tensor:
        """g at σ, after a step from σ₀ = before."""
        at = self.spectrum
        if at.noise_std == 0 or sigma == before:
            return at.cleaner(sigma)
        kept = (sigma / before) ** 2
        known = (at.s * (sigma / at.noise_std)).square_()
        return known.sub_(kept).div_(1 - kept).clamp_(0, 1)

    def corrected(self, x: Tensor, change: Tensor, sigma: float) -> Tensor:
        """Return x after a corrector's change at σ but in the released directions.

        A Langevin step in the others, given those, has the prior's conditional law as its limit;
        in the released ones that limit is the prior itself, which has forgotten the measurement.
        """
        at = self.spectrum
        if at.noise_std == 0:
            return super().corrected(x, change, sigma)
        held = at.cleaner(sigma)
        released = at.measured ^ held  # the second is a part of the first
        moved = at.svd.vt(change)
        missing = (self._missing(x, sigma) - moved).mul_(self.strength * held)
        return x + change + at.svd.v(missing.sub_(moved.mul_(released)))


class MatrixFreeReplacement(Replacement):
    r"""The same with A and Aᴴ alone, by conjugate gradients, smooth in the singular values.

    Without noise (σ_y = 0), c being the damping that keeps the solve short,

        x ← x + λ (AᴴA + c²)⁻¹ Aᴴ (y - A x + σ A z + σ_u u),   σ_u = √2 c σ

    with normal z (a picture) and u (a measurement); at level 0 it is `matrix_free.correction`. With
    noise, for x at σ made from the result at σ₀ > σ, and c = σ_y/σ, c₀ = σ_y/σ₀,

        v = (AᴴA + c²)⁻¹ Aᴴ (y - A x + σ A z + σ_u u),   σ_u² = 2σ_y²/(1 - k) - σ_y²
        x ← x + λ (v - k c̃² (AᴴA + c₀²/(1 - k))⁻¹ v),    c̃² = c²/(1 - k)

    where k = σ²/σ₀² is the share of the old error that the step to σ left in x.

    Why two solves. Let τ = σ_y/s, and e_y (of variance τ²) be the error of ȳ. One solve with c,
    x̄ ← (1 - g)x̄ + g(ȳ + …), g = σ²/(σ² + τ²), keeps the level, Var(x̄ | x₀) = σ², if x̄ and e_y are
    independent: (1 - g)²σ² + g²τ² + g²σ² + g²τ² = σ² by g²τ² = g(1 - g)σ². After the first
    replacement they are not: x̄ then holds a share α of e_y, of which kα comes back, and counting y
    anew at every level takes in a share that grows with the number of steps, until x̄ is fitted to
    the noise. The gain that takes the share from α₀ = σ₀²/(σ₀² + τ²) to α = σ²/(σ² + τ²) is

        g = (α - kα₀)/(1 - kα₀) = σ²/(σ² + τ²) · (σ₀² - σ²)/(σ₀² - σ² + τ²)   for k = σ²/σ₀²,

    a product of two damped inverses. The noise that keeps the level then has the variance

        n = σ² - (1 - g)²σ² - g²τ² - 2g(1 - g)kα₀τ² = g²σ² + g²(σ_y²/s²)(σ₀² + σ²)/(σ₀² - σ²),

    which is that of σ A z + σ_u u. So the level is kept at every s, whatever the number of steps.

    c and c₀ are at least ‖A‖/50, for about 100 iterations; where that is more than σ_y/σ, σ_u is
    completed with σ_c = cσ in the place of σ_y, σ_u² = 2σ_c²/(1 - k) - σ_y², which is exact for
    σ_y = 0 and at the start (k = 0); in directions with s near ‖A‖/50 it is so to a quarter of the
    variance at levels near 50σ_y/‖A‖, and that is forgotten further down.

    Compared with the spectral rule it takes in less of a noisy measurement: it is never narrower
    than the level allows, and up to 1.4 times wider than the posterior where y decides.

    Source: derived here; the noise is perturbation sampling (Papandreou, Yuille, NeurIPS 2010).

    Args:
        problem: any operator.
        noise: called twice for each replacement, for z and u; at level 0 for u alone, with noise
            in y.
        strength: λ.
        rcond: singular values well below rcond · max(s) stay as they are at level 0.
        reach: largest ‖A‖/c; the default keeps the solves to about 100 iterations.
    """

    def __init__(
        self, problem: Problem, noise: Noise, strength: float, rcond: float, reach: float = REACH
    ) -> None:
        super().__init__(problem, noise, strength)
        self.least = norm_of(problem.operator) / reach
        self.rcond = rcond

    def _damping(self, sigma: float) -> Tensor:
        """c² at level σ."""
        return self.least.clamp_min(self.problem.noise_std / sigma).square()

    def _change(self, x: Tensor, sigma: float, before: float, kept: float) -> Tensor:
        operator, y, noise_std = self.problem.operator, self.problem.y, self.problem.noise_std
        if sigma == 0:
            return correction(self.problem, x, before, self.rcond, self.noise)
        if noise_std == 0:
            kept = 0.0
        new = 1 - kept
        damping = self._damping(sigma)
        variance = 2 * damping * (sigma**2 / new) - noise_std**2
        residual = y - operator(x - sigma * self.noise(x))
        residual = residual + per_image(variance.sqrt(), y.ndim - 1) * self.noise(y)
        v = damped_pinv(operator, residual, damping, tolerance=TOLERANCE)
        if kept == 0:
            return v
        w = operator.solve_normal(v, self._damping(before) / new, tolerance=TOLERANCE)
        return v - per_image(damping * (kept / new), x.ndim - 1) * w

    @property
    def allows_corrector(self) -> bool:
        """Not with noise: which part it may move takes the singular directions to tell."""
        return self.problem.noise_std == 0


def replacement(
    problem: Problem, noise: Noise, *, noise_aware: bool | None, strength: float, rcond: float
) -> Replacement:
    """Return the replacement that the operator allows.

    Args:
        problem: the measurement.
        noise: standard normal noise.
        noise_aware: whether σ_y counts; None where there is any. Otherwise the measurement is
            taken as exact, as published: its noise stays in the picture, amplified by 1/s.
        strength: λ in [0, 1].
        rcond: relative cut-off of the singular values.
    """
    if noise_aware is False:
        problem = Problem(problem.operator, problem.y)
    spectral = problem.operator.svd_or_none() is not None
    rule = SpectralReplacement if spectral else MatrixFreeReplacement
    return rule(problem, noise, strength, rcond)
