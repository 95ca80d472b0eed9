"""The diffusion processes in use: VE, VP with a linear or a cosine schedule, sub-VP."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.prior.schedule import LinearBeta
from restore.sde.process import SDE


@dataclass(frozen=True)
class VE(SDE):
    """Variance exploding: a = 1, s(t) = σ_min (σ_max/σ_min)^t.

    As in the authors' code s(0) is σ_min: the data of the process is what was denoised to σ_min.

    Attributes:
        sigma_min: s(0).
        sigma_max: s(1).

    Source: Song et al., ICLR 2021, appendix C.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    @property
    def prior_std(self) -> float:  # type: ignore[override]
        """σ_max."""
        return self.sigma_max

    @property
    def _growth(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def decay(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def beta(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def std(self, t: Tensor) -> Tensor:
        """σ_min (σ_max/σ_min)^t."""
        return self.sigma_min * torch.exp(self._growth * t)

    def diffusion(self, t: Tensor) -> Tensor:
        """√(d s²/dt) = s √(2 ln(σ_max/σ_min))."""
        return self.std(t) * math.sqrt(2 * self._growth)

    def time(self, sigma: Tensor) -> Tensor:
        """ln(σ/σ_min) / ln(σ_max/σ_min)."""
        return (sigma / self.sigma_min).log() / self._growth


class _Preserving(SDE):
    """s² = 1 − a², g² = β."""

    def std(self, t: Tensor) -> Tensor:
        """√(1 − a²)."""
        return (-torch.expm1(-self.decay(t))).sqrt()

    def diffusion(self, t: Tensor) -> Tensor:
        """√β(t)."""
        return self.beta(t).sqrt()


@dataclass(frozen=True)
class VP(LinearBeta, _Preserving):
    """Variance preserving with a linear β, the limit of DDPM.

    Attributes:
        beta_min: β(0).
        beta_max: β(1).

    Source: Song et al., ICLR 2021, appendix C; Ho, Jain, Abbeel, NeurIPS 2020.
    """

    def time(self, sigma: Tensor) -> Tensor:
        """From ∫β = ln(1 + σ²)."""
        return self.time_of(torch.log1p(sigma.square()))


@dataclass(frozen=True)
class CosineVP(_Preserving):
    """Variance preserving with a = cos(½π (t + s)/(1 + s)) / cos(½π s/(1 + s)).

    Attributes:
        offset: s.
        t_max: last time; at t = 1 β is infinite, at 0.9946 σ is 119.

    Source: Nichol and Dhariwal, ICML 2021; the last time: Lu et al., NeurIPS 2022 (DPM-Solver).
    """

    offset: float = 0.008
    t_max: float = 0.9946

    def _angle(self, t: Tensor) -> Tensor:
        return 0.5 * math.pi * (t + self.offset) / (1 + self.offset)

    @property
    def _first(self) -> float:
        return math.cos(0.5 * math.pi * self.offset / (1 + self.offset))

    def decay(self, t: Tensor) -> Tensor:
        """−2 ln a(t)."""
        return -2 * (self._angle(t).cos() / self._first).log()

    def beta(self, t: Tensor) -> Tensor:
        """π/(1 + s) · tan(½π (t + s)/(1 + s))."""
        return math.pi / (1 + self.offset) * self._angle(t).tan()

    def time(self, sigma: Tensor) -> Tensor:
        """From a = 1/√(1 + σ²)."""
        angle = torch.acos(self._first * (1 + sigma.square()).rsqrt())
        return 2 / math.pi * (1 + self.offset) * angle - self.offset


@dataclass(frozen=True)
class SubVP(LinearBeta, SDE):
    """The drift of `VP` with less noise: s = 1 − a², g² = β (1 − a⁴).

    Attributes:
        beta_min: β(0).
        beta_max: β(1).

    Source: Song et al., ICLR 2021, section 3.4.
    """

    def std(self, t: Tensor) -> Tensor:
        """1 − a²."""
        return -torch.expm1(-self.decay(t))

    def diffusion(self, t: Tensor) -> Tensor:
        """√(β (1 − a⁴))."""
        return (self.beta(t) * -torch.expm1(-2 * self.decay(t))).sqrt()

    def time(self, sigma: Tensor) -> Tensor:
        """From σ = 2 sinh(½ ∫β)."""
        return self.time_of(2 * torch.asinh(sigma / 2))
