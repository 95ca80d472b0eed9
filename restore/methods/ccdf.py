"""Come closer, diffuse faster: CCDF."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor

from operators.svd import per_image
from restore.methods.base import (
    Method,
    StepCallback,
    check_positive,
    check_unit,
    start_from,
)
from restore.methods.likelihood import estimate, pull
from restore.methods.matrix_free import norm_of
from restore.methods.predictor_corrector import (
    Consistency,
    Corrector,
    Predictor,
    PredictorCorrector,
)
from restore.methods.scoresde import ScoreSDE
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem

Step = Literal["replace", "gradient", "damped"]

# Standard deviation of a pixel, for the estimate to start from where y is noisy.
PIXEL_STD = 0.5


@dataclass(frozen=True)
class CCDF(Method):
    """A short run of a sampler from an estimate with little noise on it.

    x = start + σ₀z, then a predictor (and corrector) of `PredictorCorrector`, each followed by a
    step towards the measurement that is non-expansive in x:

        consistency "replace":   (I - A†A) x + A†(y at level σ), as ScoreSDE; aware of the noise
        consistency "gradient":  x + λAᴴ(y - A x), 0 ≤ λ ≤ 2/‖A‖²
        consistency "damped":    x + (AᴴA + ρI)⁻¹Aᴴ(y - A x), ρ > 0

    The reverse diffusion contracts what is wrong with the estimate, so that the closer this is,
    the smaller σ₀ and the fewer steps it takes. Between modes that are farther apart than σ₀ the
    estimate decides. From the prior's largest level with "replace" it is ScoreSDE.

    "gradient" and "damped" put y in as it is at every level, without the noise of the level.

    Attributes:
        steps: levels of the noise, each of 1 + corrector_steps evaluations of the denoiser (one
            without corrector).
        sigma_max: σ₀. The paper starts at 0.02 to 0.2 of the time of a linear DDPM schedule, of
            which 0.2 is σ₀ = 0.36.
        consistency: "replace", "gradient" or "damped".
        strength: λ of "replace" in [0, 1]; λ‖A‖² of "gradient" in [0, 2]; "damped" has none.
        damping: ρ/‖A‖² of "damped", above 0.
        predictor: as in ScoreSDE.
        corrector: likewise.
        snr: likewise.
        corrector_steps: likewise.
        noise_aware: whether σ_y counts in "replace"; None where there is any.
        rcond: singular values below rcond · max(s) are taken as 0.
        grid: levels of the noise, "karras", "geometric" or "quad" ("native" is "karras" here).
        start: the estimate, [B or 1, *domain.shape]; by default c + Aᴴ(AAᴴ + 4σ_y²)⁻¹(y - A c),
            c being the centre of the data, which without noise is c + A†(y - A c).

    Raises:
        ValueError: if a hyperparameter is out of its range.

    Source: Chung, Sim, Ye, CVPR 2022; "gradient" as in the code of Chung, Ye, Medical Image
    Analysis 2022.
    """

    steps: int = 20
    sigma_max: float = 0.36
    consistency: Step = "replace"
    strength: float = 1.0
    damping: float = 1.0
    predictor: Predictor = "ancestral"
    corrector: Corrector = "langevin"
    snr: float = 0.7
    corrector_steps: int = 1
    noise_aware: bool | None = None
    rcond: float = 1e-3
    grid: Grid = "karras"
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ccdf"
    title: ClassVar[str] = "Come closer, diffuse faster"
    reference: ClassVar[str] = "Chung, Sim, Ye, CVPR 2022"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)

    def __post_init__(self) -> None:
        check_unit(self, "rcond")
        check_positive(self, "damping", "rcond", "sigma_max")
        if self.consistency not in get_args(Step):
            raise ValueError(
                f"consistency is {self.consistency!r}; it is one of {', '.join(get_args(Step))}"
            )
        most = 2 if self.consistency == "gradient" else 1
        if not 0 <= self.strength <= most:
            raise ValueError(f"strength is {self.strength}; it must be within 0 and {most}")
        if self.consistency == "damped" and self.strength != 1:
            raise ValueError(f"strength is {self.strength}; a damped step has damping alone")
        self._sampler()

    def _sampler(self) -> PredictorCorrector:
        return PredictorCorrector(self.predictor, self.corrector, self.snr, self.corrector_steps)

    def within(self, evaluations: int) -> Self:
        """Return the method with as many levels as `evaluations` allow with its corrector.

        Raises:
            ValueError: if that is none.
        """
        return dataclasses.replace(self, steps=self._sampler().levels_within(evaluations))

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
            noise: as in ScoreSDE.
            on_step: called with (step, total, x̂) after each evaluation of the denoiser.

        Raises:
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
            ValueError: if the grid does not fit the prior, or "replace" is aware of noise in y and
                the predictor is "none".
        """
        start = self._estimate(problem, prior.centre) if self.start is None else self.start
        if self.consistency == "replace":
            return self._replacing(start)(problem, prior, noise=noise, on_step=on_step)
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        x, _ = start_from(problem, start, sigmas[0], noise)
        return self._sampler().descend(prior, x, sigmas, self._pulled(problem), noise, on_step)

    def _estimate(self, problem: Problem, centre: float) -> Tensor:
        rho = (self.rcond * norm_of(problem.operator)).square()
        return estimate(problem, centre, rho.clamp_min((problem.noise_std / PIXEL_STD) ** 2))

    def _replacing(self, start: Tensor) -> ScoreSDE:
        return ScoreSDE(
            steps=self.steps,
            predictor=self.predictor,
            corrector=self.corrector,
            snr=self.snr,
            corrector_steps=self.corrector_steps,
            strength=self.strength,
            noise_aware=self.noise_aware,
            rcond=self.rcond,
            grid=self.grid,
            sigma_max=self.sigma_max,
            start=start,
        )

    def _pulled(self, problem: Problem) -> Consistency:
        operator = problem.operator
        squared = norm_of(operator).square()

        def pulled(x: Tensor, sigma: float, before: float, kept: float) -> Tensor:  # noqa: ARG001
            if self.consistency == "gradient":
                step = per_image(self.strength / squared, x.ndim - 1)
                return x + step * operator.adjoint(problem.y - operator(x))
            return x + pull(problem, x, self.damping * squared)

        return pulled
