"""The two densities of the chapter, whose scores are closed forms."""

from __future__ import annotations

import torch
from torch import Tensor

from restore import GaussianMixture

LOW, HIGH = 0.01, 20.0
"""The levels between which the chapter moves."""


def on_the_line() -> GaussianMixture:
    """Two modes on the line, of mean 0 and standard deviation 1."""
    means = torch.tensor([[-1.2], [0.8]], dtype=torch.float64)
    return GaussianMixture([0.4, 0.6], means, (1 - 0.96) ** 0.5)


def in_the_plane() -> GaussianMixture:
    """Three modes in the plane, of mean 0 and standard deviation about 1."""
    weights = torch.tensor([0.4, 0.3, 0.3], dtype=torch.float64)
    means = torch.tensor([[1.1, 0.4], [-0.9, 0.8], [0.0, -1.2]], dtype=torch.float64)
    return GaussianMixture(weights, means - weights @ means, 0.35)


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def falling(count: int, low: float = LOW, high: float = HIGH) -> Tensor:
    """`count` levels from high down to low, in equal ratios."""
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    return high * (low / high) ** share
