"""Controllable generation with score-based models: ScoreSDE."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods.base import Method, StepCallback, check_start, check_unit
from restore.methods.predictor_corrector import Corrector, Predictor, PredictorCorrector
from restore.methods.replacement import replacement
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class ScoreSDE(Method):
    """A predictor-corrector sampler that replaces the measured part of x after each update.

    With x̄ = Vᴴx and ȳ = S⁺Uᴴy (A = U S Vᴴ), after a predictor or a corrector step (see
    `PredictorCorrector`) that leaves x at the level σ, where s > 0,

        x̄ ← (1 - λ) x̄ + λ (ȳ + σ z)

    from N(c, σ₁²), c being the centre of the data; the last step is x̂, with ȳ itself. That is the
    published method, which takes y as exact. Aware of the noise, it is done where sσ ≥ σ_y only,
    with √(σ² - σ_y²/s²) z; below that level the predictor alone moves the direction, since the
    corrector would forget y there, and the last step is as DDRM's. Without an SVD it is done by
    conjugate gradients (`MatrixFreeReplacement`), with noise without the corrector, whose
    evaluations are as many further levels.

    Attributes:
        steps: levels of the noise, each of 1 + corrector_steps evaluations of the denoiser.
        predictor: "ancestral", "reverse-diffusion" (the paper's for networks of the
            variance-exploding kind; with few steps it leaves too much noise), "euler-maruyama" or
            "none".
        corrector: "langevin", "langevin-paper" (which leaves more noise than there should be) or
            "none".
        snr: r in (0, 1), the step of the corrector; the paper has 0.01 to 0.17, where its steps
            widen less.
        corrector_steps: M ≥ 1, corrector steps at each level.
        strength: λ in [0, 1].
        noise_aware: whether σ_y counts; None where there is any. The published rule (False) keeps
            the noise of y, amplified by 1/s.
        rcond: singular values below rcond · max(s) are taken as 0.
        grid: levels of the noise (`prior.schedule`); "geometric" is that of the paper for networks
            of the variance-exploding kind, "native" for the others.
        sigma_max: first level σ₁, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre c.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, ICLR 2021, section 5 and appendix I
    (inpainting, colorization); λ and other operators: Song, Shen, Xing, Ermon, ICLR 2022; the
    noise: ours.
    """

    steps: int = 1000
    predictor: Predictor = "ancestral"
    corrector: Corrector = "langevin"
    snr: float = 0.7
    corrector_steps: int = 1
    strength: float = 1.0
    noise_aware: bool | None = None
    rcond: float = 1e-3
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "scoresde"
    title: ClassVar[str] = "Score-based generative modeling through SDEs, measurement replaced"
    reference: ClassVar[str] = "Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, ICLR 2021"
    needs: ClassVar[tuple[str, ...]] = ("adjoint",)

    def __post_init__(self) -> None:
        check_unit(self, "strength", "rcond")
        check_start(self.start, self.sigma_max)
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
            noise: called for the start and for each step and replacement, and with noise in y
                for the last.
            on_step: called with (step, total, x̂) after each evaluation of the denoiser.

        Raises:
            ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
            ValueError: if the grid does not fit the prior, or the predictor is "none" and aware of
                noise in y.
        """
        aware = self.noise_aware is not False and problem.noise_std > 0
        if aware and self.predictor == "none":
            raise ValueError(
                "predictor is 'none', which cannot be aware of noise in the measurement: choose a "
                "predictor, set noise_aware to false, or use snips"
            )
        consistent = replacement(
            problem,
            noise,
            noise_aware=self.noise_aware,
            strength=self.strength,
            rcond=self.rcond,
        )
        sampler, steps = self._sampler(), self.steps
        if not consistent.allows_corrector:
            steps *= sampler.evaluations
            sampler = dataclasses.replace(sampler, corrector="none")
        sigmas = sigma_grid(prior, steps, self.grid, self.sigma_max)
        x = consistent.begin(prior.centre if self.start is None else self.start, sigmas[0])
        return sampler.descend(prior, x, sigmas, consistent, noise, on_step, consistent.corrected)
