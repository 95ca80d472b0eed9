"""What a sampler is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from restore.methods.base import StepCallback
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import Grid, sigma_grid


@dataclass(frozen=True)
class Sampler(ABC):
    """Takes x = x₀ + σ n from pure noise to a picture, one level after the other.

    The last step, to level 0, is x̂ = D(x, σ).

    Attributes:
        name: name on the command line.
        title: full name.
        reference: the paper.
        random: whether it draws noise on the way.
        order: power of the step size with which its error falls: that of the law, where it is
            random, of the solution of the ODE otherwise. 0 where there is none.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    random: ClassVar[bool]
    order: ClassVar[int]

    @abstractmethod
    def sigmas(self, prior: Denoiser) -> list[float]:
        """The levels, ending at 0.

        Raises:
            ValueError: if the grid does not fit the prior.
        """

    @abstractmethod
    def descend(
        self,
        prior: Denoiser,
        x: Tensor,
        sigmas: Sequence[float],
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Take x down the levels.

        Args:
            prior: the denoiser D.
            x: the state at sigmas[0], [B, *shape].
            sigmas: falling levels that end at 0.
            noise: called for each step that draws some.
            on_step: called with (step, total, x̂) after each evaluation of the denoiser.

        Returns:
            Pictures [B, *shape].
        """

    @torch.no_grad()
    def __call__(
        self,
        prior: Denoiser,
        like: Tensor,
        *,
        noise: Noise,
        on_step: StepCallback | None = None,
    ) -> Tensor:
        """Draw pictures of like's shape [B, C, H, W], device and number type.

        Args:
            prior: the denoiser.
            like: its values do not matter.
            noise: called for the start, N(c, σ₁² I) with c the centre of the data, and for the
                steps.
            on_step: called with (step, total, x̂) after each evaluation of the denoiser.

        Raises:
            ValueError: if the grid does not fit the prior.
        """
        sigmas = self.sigmas(prior)
        x = prior.centre + sigmas[0] * noise(like)
        return self.descend(prior, x, sigmas, noise=noise, on_step=on_step)


@dataclass(frozen=True)
class SteppedSampler(Sampler):
    """A sampler whose levels are chosen beforehand.

    Attributes:
        steps: levels of the noise before the 0.
        grid: how they are spaced (`prior.schedule`).
    """

    steps: int = 50
    grid: Grid = "karras"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; it must be at least 1")

    def sigmas(self, prior: Denoiser) -> list[float]:
        """The levels of the grid."""
        return sigma_grid(prior, self.steps, self.grid)
