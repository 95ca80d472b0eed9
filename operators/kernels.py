"""Blur kernels as float64 matrices that sum to 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TRUNCATE = 4.0
_SUPERSAMPLING = 16


def gaussian_kernel(sigma: float) -> Tensor:
    """Return a Gaussian of standard deviation `sigma` pixels, cut at 4σ as SciPy does.

    Raises:
        ValueError: If sigma is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"gaussian_kernel: sigma is {sigma}; it must be positive")
    radius = int(_TRUNCATE * sigma + 0.5)
    position = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu")
    line = torch.exp(-0.5 * (position / sigma).square())
    line = line / line.sum()
    return torch.outer(line, line)


def box_kernel(size: int) -> Tensor:
    """Return the mean over `size`×`size` pixels.

    Raises:
        ValueError: If the size is not positive.
    """
    if size < 1:
        raise ValueError(f"box_kernel: the size is {size}; it must be positive")
    return torch.full((size, size), 1 / size**2, dtype=torch.float64, device="cpu")


def motion_kernel(length: float, angle: float) -> Tensor:
    """Return straight uniform motion over `length` pixels.

    Args:
        length: Length of the path in pixels, at least 1.
        angle: Direction in radians, counter-clockwise from the horizontal as the picture is seen.

    Raises:
        ValueError: If the length is smaller than 1.
    """
    if not length >= 1:
        raise ValueError(f"motion_kernel: the length is {length}; it must be at least 1")
    radius = math.ceil((length - 1) / 2)
    size = 2 * radius + 1
    count = 4 * _SUPERSAMPLING * size
    path = ((torch.arange(count, dtype=torch.float64, device="cpu") + 0.5) / count - 0.5) * length
    # Each pixel has the weight of the part of the path inside it.
    row = torch.round(-path * math.sin(angle)).long() + radius
    column = torch.round(path * math.cos(angle)).long() + radius
    kernel = torch.zeros(size, size, dtype=torch.float64, device="cpu")
    weight = torch.full((count,), 1 / count, dtype=torch.float64, device="cpu")
    return kernel.index_put_((row, column), weight, accumulate=True)


def disk_kernel(radius: float) -> Tensor:
    """Return a uniform disk (defocus) of `radius` pixels, edge pixels by the part covered.

    Up to half a pixel it is the identity.

    Raises:
        ValueError: If the radius is not positive.
    """
    if not radius > 0:
        raise ValueError(f"disk_kernel: the radius is {radius}; it must be positive")
    reach = max(0, math.ceil(radius - 0.5))
    if reach == 0:  # inside one pixel, where the samples may all miss it
        return torch.ones(1, 1, dtype=torch.float64, device="cpu")
    size = 2 * reach + 1
    count = size * _SUPERSAMPLING
    position = (
        torch.arange(count, dtype=torch.float64, device="cpu") + 0.5
    ) / _SUPERSAMPLING - size / 2
    inside = (position[:, None].square() + position.square() <= radius**2).double()
    kernel = inside.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING).mean((1, 3))
    return kernel / kernel.sum()
