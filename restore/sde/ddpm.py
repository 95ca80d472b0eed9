"""DDPM: the variance-preserving SDE in steps, and its two ways back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.prior.denoiser import Denoiser
from restore.sde.process import SDE


@dataclass(frozen=True)
class DDPM:
    """x_i = √(1 − β_i) x_{i−1} + √β_i z for i = 1 … N, of which x_i = √ᾱ_i x₀ + √(1 − ᾱ_i) n.

    Both steps back are the reverse SDE over a time in which ∫β is β_i, and differ by O(β_i²).

    Attributes:
        betas: β_1 … β_N, within 0 and 1.

    Source: Ho, Jain, Abbeel, NeurIPS 2020; Song et al., ICLR 2021, appendices B, E and F.
    """

    betas: tuple[float, ...]

    @classmethod
    def of(cls, sde: SDE, steps: int) -> DDPM:
        """A variance-preserving process in equal steps of t; at their ends ᾱ = a(t)² exactly."""
        times = torch.linspace(0, sde.t_max, steps + 1, dtype=torch.float64)
        return cls(tuple((-torch.expm1(-sde.decay(times).diff())).tolist()))

    def kept(self, i: int) -> float:
        """ᾱ_i."""
        return math.prod(1 - beta for beta in self.betas[:i])

    def sigma(self, i: int) -> float:
        """The level of x_i in VE coordinates, √((1 − ᾱ_i)/ᾱ_i)."""
        kept = self.kept(i)
        return math.sqrt((1 - kept) / kept)

    def score(self, prior: Denoiser, x: Tensor, i: int) -> Tensor:
        """∇ log p_i(x), [B, *shape]."""
        kept = self.kept(i)
        root = math.sqrt(kept)
        return (root * prior(x / root, self.sigma(i)) - x) / (1 - kept)

    def forward(self, x: Tensor, i: int, z: Tensor) -> Tensor:
        """x_i from x_{i−1} and standard normal z."""
        beta = self.betas[i - 1]
        return math.sqrt(1 - beta) * x + math.sqrt(beta) * z

    def ancestral(self, prior: Denoiser, x: Tensor, i: int, z: Tensor) -> Tensor:
        """x_{i−1} = (x + β_i ∇ log p_i)/√(1 − β_i) + √β_i z, the step of the paper."""
        beta = self.betas[i - 1]
        mean = (x + beta * self.score(prior, x, i)) / math.sqrt(1 - beta)
        return mean + math.sqrt(beta) * z

    def reverse_diffusion(self, prior: Denoiser, x: Tensor, i: int, z: Tensor) -> Tensor:
        """x_{i−1} = (2 − √(1 − β_i)) x + β_i ∇ log p_i + √β_i z, the forward step undone."""
        beta = self.betas[i - 1]
        mean = (2 - math.sqrt(1 - beta)) * x + beta * self.score(prior, x, i)
        return mean + math.sqrt(beta) * z
