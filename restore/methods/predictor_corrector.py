"""Predictor-corrector sampling of the reverse diffusion, with a consistency step after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from restore.errors import counted
from restore.methods.base import StepCallback, check_positive, descend
from restore.methods.halved_noise import halves
from restore.noise import Noise
from restore.prior.denoiser import Denoiser

Predictor = Literal["reverse-diffusion", "ancestral", "euler-maruyama", "none"]
Corrector = Literal["langevin", "langevin-paper", "none"]

Consistency = Callable[[Tensor, float, float, float], Tensor]
"""consistent(x, sigma, before, kept): as `Replacement` is called."""

Correction = Callable[[Tensor, Tensor, float], Tensor]
"""corrected(x, change, sigma): as `Replacement.corrected`."""


@dataclass(frozen=True)
class PredictorCorrector:
    """A sampler of the variance-exploding reverse diffusion.

    At each level σ the corrector runs M times, then the predictor goes to σ' < σ. With
    g = (x̂ - x)/σ², the score,

        corrector langevin-paper:     x + e g + √(2e) z,  e = 2 (r‖z‖/‖g‖)²
        corrector langevin:           x + e g + b z + a z',  e at most σ²
        predictor reverse-diffusion:  x + (σ² - σ'²) g + √(σ² - σ'²) z
        predictor ancestral:          x + (σ² - σ'²) g + σ' √(1 - σ'²/σ²) z
        predictor euler-maruyama:     x + h σ² g + √h σ z,  h = 2 ln(σ/σ'), steps of ln σ

    and x̂ at σ' = 0; each picture has its own e. Without a predictor x is taken from σ to σ' as it
    is (annealed Langevin dynamics). Networks of the variance-preserving kind have a further factor
    1 - β_t ≥ 0.98 on e, which is left out.

    The paper's corrector leaves too much variance: in a direction of a Gaussian in which x - x̂ is
    a(x - m), steps of e = cσ² lead to σ²/a · 2/(2 - ac) in the place of σ²/a, and one per cent more
    noise than a network is told becomes texture (docs/decisions/0020). The noise of "langevin"
    enters in two halves (`halves`), which leaves σ²/a: z is the draw of the corrector's last step,
    of which the predictor has kept as much as of the rest of the noise.

    Attributes:
        predictor: by name.
        corrector: by name.
        snr: r in (0, 1), the step of the corrector.
        corrector_steps: M ≥ 1.

    Raises:
        ValueError: if a name is unknown, both are "none", or a number is out of its range.

    Source: Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, ICLR 2021, appendices F and G.
    """

    predictor: Predictor
    corrector: Corrector
    snr: float
    corrector_steps: int

    def __post_init__(self) -> None:
        for name, known in (("predictor", get_args(Predictor)), ("corrector", get_args(Corrector))):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} is {value!r}; it is one of {', '.join(known)}")
        if self.predictor == self.corrector == "none":
            raise ValueError("predictor and corrector are 'none'; one of them has to be there")
        check_positive(self, "snr")
        if self.snr >= 1:
            raise ValueError(f"snr is {self.snr}; it must be below 1")
        if self.corrector_steps < 1:
            raise ValueError(f"corrector_steps is {self.corrector_steps}; it must be at least 1")

    @property
    def _corrections(self) -> int:
        return 0 if self.corrector == "none" else self.corrector_steps

    @property
    def evaluations(self) -> int:
        """Of the denoiser at each level."""
        return self._corrections + (self.predictor != "none")

    def levels_within(self, evaluations: int) -> int:
        """Number of levels that so many evaluations of the denoiser allow.

        Raises:
            ValueError: if that is none.
        """
        last = int(self.predictor == "none")  # one more, in place of its step to 0
        levels = (evaluations - last) // self.evaluations
        if levels < 1:
            raise ValueError(
                f"{counted(self._corrections, 'corrector step')} at each level: expected "
                f"{self.evaluations + last} evaluations or more, not {evaluations}"
            )
        return levels

    def descend(
        self,
        prior: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        consistent: Consistency,
        noise: Noise,
        on_step: StepCallback | None = None,
        corrected: Correction | None = None,
    ) -> Tensor:
        """Take x from sigmas[0] to 0, consistent after each predictor and each corrector step.

        Args:
            prior: the denoiser.
            x: the state at sigmas[0], [B, *shape].
            sigmas: falling levels that end at 0.
            consistent: puts the measurement into x at the level that x then has.
            noise: called before each step but the last.
            on_step: called with (step, total, x̂) after each evaluation of the denoiser.
            corrected: makes a corrector's change; by default x + change, made consistent.
        """
        halved = _Halved()

        def step(x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
            if lower == 0:
                return consistent(x_hat, 0.0, sigma, 0.0)
            if lower == sigma or self.predictor == "none":
                change = self._correction(x, x_hat, sigma, noise(x), halved)
                if corrected is not None:
                    return corrected(x, change, sigma)
                return consistent(x + change, sigma, sigma, 0.0)
            x = self._predict(x, x_hat, sigma, lower, noise(x), halved)
            return consistent(x, lower, sigma, (lower / sigma) ** 2)

        # A level that is repeated is one of the corrector.
        levels = [sigma for sigma in sigmas[:-1] for _ in range(self.evaluations)]
        if self.predictor == "none":
            levels.append(sigmas[-2])
        return descend(prior, x, [*levels, 0.0], step, on_step)

    def _predict(
        self, x: Tensor, x_hat: Tensor, sigma: float, lower: float, z: Tensor, halved: _Halved
    ) -> Tensor:
        if self.predictor == "euler-maruyama":
            pull = 2 * math.log(sigma / lower)
            spread = sigma * pull**0.5
        else:
            pull = 1 - (lower / sigma) ** 2
            spread = (sigma if self.predictor == "reverse-diffusion" else lower) * pull**0.5
        halved.fade((1 - pull) * sigma / lower)
        return torch.lerp(x, x_hat, pull).add_(z, alpha=spread)

    def _correction(
        self, x: Tensor, x_hat: Tensor, sigma: float, z: Tensor, halved: _Halved
    ) -> Tensor:
        axes = tuple(range(1, x.ndim))
        towards = x_hat - x
        length, way = (torch.linalg.vector_norm(t, dim=axes, keepdim=True) for t in (z, towards))
        pull = 2 * (self.snr * sigma * length / way).square()  # e/σ²
        pull = torch.where(way > 0, pull, 0)  # a denoiser that changes nothing asks for no step
        if self.corrector == "langevin-paper":
            return pull * towards + sigma * (2 * pull).sqrt() * z
        pull = pull.clamp_max(1)  # a longer step would overshoot where x is noise
        return pull * towards + sigma * halved.noise(z, 1 - pull)


class _Halved:
    """The noise of the corrector's steps, in units of the level."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None  # z, and how much of it x has

    def noise(self, z: Tensor, kept: Tensor) -> Tensor:
        """b of the last z and a of this one, for a step that leaves so much of the noise."""
        if self._last is None:
            added = (1 - kept.square()).sqrt()
            noise = added * z
        else:
            last, covariance = self._last
            behind, added = halves(kept, torch.ones_like(kept), torch.ones_like(kept), covariance)
            noise = behind * last + added * z
        self._last = z, added
        return noise

    def fade(self, kept: float) -> None:
        """A predictor's step has left so much of the noise that there was."""
        if self._last is not None:
            z, covariance = self._last
            self._last = z, kept * covariance
