"""The phase that the magnitude of a scan has lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.noise import seeded_generator


def smooth_phase(shape: tuple[int, int], seed: int = 0) -> Tensor:
    """Return exp(iφ) [H, W], complex64, with φ a random polynomial of second order.

    Such is the phase that an imperfect field and a shifted echo leave.
    """
    generator = seeded_generator(seed)
    slope = torch.randn(2, generator=generator)
    curvature = 0.7 * torch.randn(3, generator=generator)
    offset = 2 * math.pi * torch.rand((), generator=generator)
    y = torch.linspace(-1, 1, shape[0])[:, None]
    x = torch.linspace(-1, 1, shape[1])[None, :]
    phase = offset + slope[0] * x + slope[1] * y
    phase = phase + curvature[0] * x * x + curvature[1] * x * y + curvature[2] * y * y
    return torch.polar(torch.ones_like(phase), phase)
