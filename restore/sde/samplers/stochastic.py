"""Samplers of the reverse SDE: one evaluation and one draw of noise for a step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from restore.methods.base import StepCallback
from restore.methods.predictor_corrector import Corrector, Predictor, PredictorCorrector
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid
from restore.sde.samplers.base import SteppedSampler

SONG = "Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, ICLR 2021"


@dataclass(frozen=True)
class _Reverse(SteppedSampler):
    """A sampler that is made of the steps of `PredictorCorrector`."""

    random: ClassVar[bool] = True
    order: ClassVar[int] = 1

    @abstractmethod
    def _steps(self) -> PredictorCorrector:
        """The steps, without a measurement."""

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
        return self._steps().descend(prior, x, sigmas, _free, noise, on_step)


def _free(x: Tensor, sigma: float, before: float, kept: float) -> Tensor:  # noqa: ARG001
    """Nothing is measured."""
    return x


def _predictor(name: Predictor) -> PredictorCorrector:
    return PredictorCorrector(name, "none", snr=0.16, corrector_steps=1)


@dataclass(frozen=True)
class EulerMaruyama(_Reverse):
    """x + h (x̂ − x) + √h σ z with h = 2 ln(σ/σ'), the reverse SDE in steps of ln σ.

    Needs h below 1, so many steps.
    """

    steps: int = 500
    grid: Grid = "geometric"

    name: ClassVar[str] = "euler-maruyama"
    title: ClassVar[str] = "Euler–Maruyama steps of the reverse SDE"
    reference: ClassVar[str] = SONG

    def _steps(self) -> PredictorCorrector:
        return _predictor("euler-maruyama")


@dataclass(frozen=True)
class ReverseDiffusion(_Reverse):
    """x + (1 − σ'²/σ²)(x̂ − x) + √(σ² − σ'²) z, the forward step undone."""

    steps: int = 200

    name: ClassVar[str] = "reverse-diffusion"
    title: ClassVar[str] = "Reverse-diffusion steps of the reverse SDE"
    reference: ClassVar[str] = SONG

    def _steps(self) -> PredictorCorrector:
        return _predictor("reverse-diffusion")


@dataclass(frozen=True)
class Ancestral(_Reverse):
    """x + (1 − σ'²/σ²)(x̂ − x) + σ' √(1 − σ'²/σ²) z: the posterior of x at σ' if x₀ were x̂."""

    steps: int = 100

    name: ClassVar[str] = "ancestral"
    title: ClassVar[str] = "Ancestral sampling, as DDPM in VE coordinates"
    reference: ClassVar[str] = "Ho, Jain, Abbeel, NeurIPS 2020; " + SONG

    def _steps(self) -> PredictorCorrector:
        return _predictor("ancestral")


@dataclass(frozen=True)
class Langevin(_Reverse):
    """A predictor, and before it Langevin steps at the same level that repair its error.

    The length of a Langevin step is given by r and two norms, so that its own error stays when the
    levels get finer: with "langevin-paper" the variance is too large by about (1 + 2/d)²/(1 − r²)
    in d dimensions, the first factor since the norms depend on x and z (ours).

    Attributes:
        predictor: of `PredictorCorrector`.
        corrector: likewise.
        snr: r in (0, 1).
        corrector_steps: Langevin steps at each level.

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """

    steps: int = 200
    predictor: Predictor = "reverse-diffusion"
    corrector: Corrector = "langevin"
    snr: float = 0.16
    corrector_steps: int = 1

    name: ClassVar[str] = "predictor-corrector"
    title: ClassVar[str] = "Predictor–corrector sampling with Langevin steps"
    reference: ClassVar[str] = SONG
    order: ClassVar[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._steps()

    def _steps(self) -> PredictorCorrector:
        return PredictorCorrector(self.predictor, self.corrector, self.snr, self.corrector_steps)
