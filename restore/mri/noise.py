"""How noisy a scan is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Of the measured positions, the outermost, where an image has next to nothing.
_OUTER = 0.1


def kspace_noise(kspace: Tensor, mask: Tensor) -> float:
    """Return the standard deviation of the noise per component, from the edge of k-space.

    The median of |y| over the outermost tenth of what was measured: that of a Rayleigh
    distribution is σ √(2 ln 2), and what little signal there is hardly moves it. It comes out
    too large where the samples stop before the signal does.

    Args:
        kspace: [..., H, W], zero where not sampled.
        mask: [H, W], what was sampled.
    """
    height, width = mask.shape
    y = (torch.arange(height, device=mask.device) - height // 2) / (height / 2)
    x = (torch.arange(width, device=mask.device) - width // 2) / (width / 2)
    radius = torch.hypot(y[:, None], x[None, :])
    return _level(kspace[..., mask & _outer(radius, mask)])


def trajectory_noise(samples: Tensor, trajectory: Tensor) -> float:
    """Return the same of samples [slices, coils, samples] at [samples, 2] along a trajectory."""
    radius = trajectory.norm(dim=-1).float()
    return _level(samples[..., _outer(radius, torch.ones_like(radius, dtype=torch.bool))])


def whitened_noise(covariance: Tensor) -> float:
    """Return the same of what `prewhiten` leaves of noise of this covariance [coils, coils]."""
    return math.sqrt(float(covariance.diagonal().real.mean()) / 2)


def _outer(radius: Tensor, measured: Tensor) -> Tensor:
    """What is no nearer to DC than the outermost tenth of what was measured."""
    # By sorting: `quantile` takes no more than 2^24 numbers.
    distances = radius[measured].sort().values
    return radius >= distances[int((1 - _OUTER) * (len(distances) - 1))]


def _level(outer: Tensor) -> float:
    """σ of samples without signal."""
    size = outer.abs()
    # Positions that were filled with zeros (partial Fourier, say) hold no noise.
    measured = size[size > 0]
    return float(measured.median()) / math.sqrt(2 * math.log(2)) if len(measured) else 0.0
