"""Noise levels of training: how σ is drawn, in continuous or in discrete time.

A distribution of levels is known by its quantile function and by its density over ln σ; the second
is what turns an average over the levels into an integral over them (`weightings.likelihood`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.space import widest
from restore.prior.schedule import LinearBeta


class NoiseLevels(ABC):
    """A distribution of σ."""

    @abstractmethod
    def quantile(self, share: Tensor) -> Tensor:
        """The σ below which a share in (0, 1) of the levels lies."""

    @abstractmethod
    def density(self, sigma: Tensor) -> Tensor:
        """Probability per unit of ln σ."""

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """σ of one batch [count], stratified: one from each of `count` equal shares, shuffled.

        Strata make a batch's average over the levels vary less than independent draws would.
        """
        share = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        return self.quantile(
            share[torch.randperm(count, generator=generator)].clamp(1e-6, 1 - 1e-6)
        )


@dataclass(frozen=True)
class LogUniform(NoiseLevels):
    """ln σ uniform between two levels: the VE SDE with t uniform (Song et al., ICLR 2021)."""

    low: float
    high: float

    def quantile(self, share: Tensor) -> Tensor:
        """low (high/low)^share."""
        return self.low * (math.log(self.high / self.low) * share).exp()

    def density(self, sigma: Tensor) -> Tensor:
        """1 / ln(high/low)."""
        inside = (sigma >= self.low) & (sigma <= self.high)
        return inside.to(sigma.dtype) / math.log(self.high / self.low)


@dataclass(frozen=True)
class LogNormal(NoiseLevels):
    """ln σ normal around the logarithm of a median (Karras et al., NeurIPS 2022)."""

    median: float
    spread: float

    def quantile(self, share: Tensor) -> Tensor:
        """median · exp(spread · Φ⁻¹(share))."""
        normal: Tensor = torch.special.ndtri(share)
        return self.median * (self.spread * normal).exp()

    def density(self, sigma: Tensor) -> Tensor:
        """The normal density of ln σ."""
        z = (sigma / self.median).log() / self.spread
        return (-0.5 * z.square()).exp() / (self.spread * math.sqrt(2 * math.pi))


@dataclass(frozen=True)
class VPTime(LinearBeta, NoiseLevels):
    """t uniform between t_min and 1 in the VP SDE: σ² = e^B − 1 with B(t) = ∫₀ᵗ β.

    Attributes:
        beta_min: β(0).
        beta_max: β(1).
        t_min: the first t.

    Source: Song et al., ICLR 2021, appendix C.
    """

    t_min: float = 1e-3

    def quantile(self, share: Tensor) -> Tensor:
        """σ at t = t_min + share · (1 − t_min)."""
        t = self.t_min + share * (1 - self.t_min)
        return torch.expm1(self.decay(t)).sqrt()

    def density(self, sigma: Tensor) -> Tensor:
        """dt/d ln σ = 2σ²/((1 + σ²) β(t)), over the length of the times."""
        t = self.time_of(torch.log1p(sigma.square()))
        inside = (t >= self.t_min) & (t <= 1)
        rate = 2 * sigma.square() / ((1 + sigma.square()) * self.beta(t))
        return inside * rate / (1 - self.t_min)


@dataclass(frozen=True)
class Timesteps(NoiseLevels):
    """Discrete time: one of the given levels, each as often (Ho et al., NeurIPS 2020).

    Attributes:
        levels: σ of the timesteps, increasing, at least two.
    """

    levels: Sequence[float]

    def quantile(self, share: Tensor) -> Tensor:
        """The level of the timestep ⌊share · T⌋."""
        index = (share * len(self.levels)).long().clamp(0, len(self.levels) - 1)
        return torch.tensor(self.levels, dtype=share.dtype, device=share.device)[index]

    def density(self, sigma: Tensor) -> Tensor:
        """1/T over the distance of ln σ to the level below; the first has that of the second."""
        table = torch.tensor(self.levels, dtype=torch.float64).log()
        table = table.to(sigma.device, widest(sigma.device))
        gaps = torch.cat([table[1:2] - table[:1], table.diff()])
        nearest = (sigma.to(table.dtype).log()[..., None] - table).abs().argmin(-1)
        return (1 / (len(self.levels) * gaps[nearest])).to(sigma.dtype)
