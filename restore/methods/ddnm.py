"""Null-space restoration with a diffusion prior: DDNM."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from restore.methods import ddrm
from restore.methods.base import Method, StepCallback, check_start, check_unit, descend
from restore.methods.spectral import Spectrum
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid
from restore.problem import Problem


@dataclass(frozen=True)
class DDNM(Method):
    """A diffusion sampler that puts the measurement into each denoised picture.

    With x̂ = D(x, σ) and q = √(1 - η²), a step σ → σ' < σ without noise in the measurement is

        x' = x̂ + A†(y - A x̂) + σ' (ηz + q (x - x̂)/σ)

    With noise the authors' rule (DDNM+) is DDRM's with η_b = 1, and that is what runs here: for
    noisy measurements this is not a second method.

    Time travel repeats each `travel_length` levels `travel_repeat` times: at the end of them
    x ← x̂ + σ_a z takes the last denoised picture back to the level σ_a of their begin.

    Attributes:
        steps: number of levels; without time travel also of the evaluations of the denoiser.
        eta: η in [0, 1], the part of the noise that is fresh.
        travel_length: levels that are repeated together.
        travel_repeat: how often they are run; 1 is no time travel.
        rcond: singular values below rcond · max(s) are taken as 0.
        grid: levels of the noise (`prior.schedule`).
        sigma_max: first level σ₁, by default the prior's.
        start: an estimate of x, [B or 1, *domain.shape], that takes the place of the centre of the
            data where nothing is measured.

    Raises:
        ValueError: if a hyperparameter is out of its range, or start comes without sigma_max.

    Source: Wang, Yu, Zhang, ICLR 2023, equations 17 to 19 and 51, as in the authors' code; time
    travel after Lugmayr et al., CVPR 2022.
    """

    steps: int = 100
    eta: float = 0.85
    travel_length: int = 1
    travel_repeat: int = 1
    rcond: float = 1e-6
    grid: Grid = "native"
    sigma_max: float | None = None
    start: Tensor | None = field(default=None, repr=False, compare=False)

    name: ClassVar[str] = "ddnm"
    title: ClassVar[str] = "Denoising diffusion null-space model"
    reference: ClassVar[str] = "Wang, Yu, Zhang, ICLR 2023"
    needs: ClassVar[tuple[str, ...]] = ("svd",)

    def __post_init__(self) -> None:
        check_unit(self, "eta", "rcond")
        check_start(self.start, self.sigma_max)
        if self.travel_length < 1 or self.travel_repeat < 1:
            raise ValueError(
                f"travel_length is {self.travel_length} and travel_repeat is "
                f"{self.travel_repeat}; at least 1 each"
            )

    def within(self, evaluations: int) -> Self:
        """Return the method with as many levels as `evaluations` allow with its time travel.

        Raises:
            ValueError: if there is no level.
        """
        if evaluations < 1:
            raise ValueError(f"ddnm needs at least 1 evaluation, not {evaluations}")
        # The last level is run once, and so are those above the uppermost whole repetition.
        blocks, rest = divmod(evaluations - 1, self.travel_length * self.travel_repeat)
        above = min(rest, self.travel_length - 1)
        return dataclasses.replace(self, steps=1 + blocks * self.travel_length + above)

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
            noise: called once for the start and once a step; without noise in y not for the last.
            on_step: called with (step, total, x̂) after each evaluation of the denoiser.

        Raises:
            NoFastSVD: if the operator has no SVD.
            ValueError: if the grid does not fit the prior.
        """
        sigmas = sigma_grid(prior, self.steps, self.grid, self.sigma_max)
        sigmas = travelled(sigmas, self.travel_length, self.travel_repeat)
        start = prior.centre if self.start is None else self.start
        chain = _Steps(ddrm.DDRM(eta=self.eta), Spectrum(problem, self.rcond), noise)
        return descend(prior, chain.begin(start, sigmas[0]), sigmas, chain.step, on_step)


class _Steps(ddrm.Steps):
    """DDRM's steps with noise, DDNM's without, and the steps back in time."""

    def step(self, x: Tensor, x_hat: Tensor, sigma: float, lower: float) -> Tensor:
        """Take x from σ to σ' = lower; back in time where that is not lower."""
        at = self.spectrum
        if lower >= sigma:
            x = x_hat + lower * self.noise(x_hat)
            if at.noise_std > 0:  # without noise no step has a use for Vᴴx
                self.x_bar = at.svd.vt(x)
            return x
        if at.noise_std > 0 or lower == 0:
            return super().step(x, x_hat, sigma, lower)
        missing = (at.y_bar - at.svd.vt(x_hat)).mul_(at.measured)
        x = torch.lerp(x_hat, x, (1 - self.eta**2) ** 0.5 * lower / sigma)
        return x.add_(self.noise(x_hat), alpha=self.eta * lower).add_(at.svd.v(missing))


def travelled(sigmas: Sequence[float], length: int, repeat: int) -> list[float]:
    """Return the levels with each `length` of them, counted from the last but one, repeated.

    The last level before the 0 is run once, and so are those above the uppermost whole repetition.
    """
    blocks, above = divmod(len(sigmas) - 2, length)
    levels = list(sigmas[:above])
    for block in range(blocks):
        begin = above + block * length
        levels += list(sigmas[begin : begin + length]) * repeat
    return levels + list(sigmas[-2:])
