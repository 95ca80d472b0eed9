"""Priors and processes that the tests of the score engine share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from restore.prior.gaussian_mixture import GaussianMixture
from restore.sde import VE, VP, CosineVP, SubVP
from restore.sde.samplers.base import Sampler

PROCESSES = [VE(), VP(), CosineVP(), SubVP()]

MEAN, STD = 0.3, 0.7
HIGH, LOW = 10.0, 0.05


def gaussian() -> GaussianMixture:
    """N(0.3, 0.7²) as a picture of one pixel, in double precision."""
    mean = torch.full((1, 1, 1, 1), MEAN, dtype=torch.float64)
    return GaussianMixture([1.0], mean, STD, sigma_min=LOW, sigma_max=HIGH)


def mixture(side: int = 2, channels: int = 3) -> GaussianMixture:
    """Two Gaussians of different weight and spread, in double precision."""
    generator = torch.Generator().manual_seed(3)
    means = torch.rand(2, channels, side, side, generator=generator, dtype=torch.float64)
    return GaussianMixture([0.3, 0.7], means, [0.1, 0.25], sigma_min=0.01, sigma_max=50.0)


def levels(steps: int, low: float = LOW) -> list[float]:
    """Even in ln σ from HIGH to `low`, then 0."""
    return [HIGH * (low / HIGH) ** (i / steps) for i in range(steps + 1)] + [0.0]


def exact_end(start: Tensor) -> Tensor:
    """x̂ at LOW of what the ODE makes of states at HIGH, for `gaussian`."""
    at_low = (start - MEAN) * math.sqrt((STD**2 + LOW**2) / (STD**2 + HIGH**2))
    return MEAN + at_low * STD**2 / (STD**2 + LOW**2)


def law(sampler: Sampler, sigmas: Sequence[float]) -> tuple[float, float]:
    """Mean and variance of a sampler's result for `gaussian` from N(MEAN, STD² + HIGH²), exactly.

    Each step is linear in x and its noise: one row of a batch has the start alone, each other row
    one unit of one of the draws.
    """
    draws = 2 * len(sigmas)
    unit = torch.eye(draws + 2, dtype=torch.float64)
    number = 0

    def noise(like: Tensor) -> Tensor:
        nonlocal number
        number += 1
        return unit[:, number + 1].reshape(like.shape)

    start = MEAN + unit[:, 1] * math.sqrt(STD**2 + HIGH**2)
    end = sampler.descend(gaussian(), start.reshape(-1, 1, 1, 1), sigmas, noise=noise).flatten()
    assert number <= draws
    mean = float(end[0])
    return mean, float((end[1:] - mean).square().sum())


def exact_law(low: float = LOW) -> tuple[float, float]:
    """Mean and variance of x̂ at `low`."""
    return MEAN, STD**4 / (STD**2 + low**2)
