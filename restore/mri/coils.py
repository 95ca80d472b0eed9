"""Receive coils: fewer of them, uncorrelated noise, and simulated ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Of the largest sum of squares, below which maps see nothing.
_BLIND = 1e-4


def compress_coils(kspace: Tensor, count: int) -> Tensor:
    """Return k-space [..., count, H, W] of the virtual coils that hold most of the signal.

    Args:
        kspace: [..., coils, H, W] or [..., coils, samples, 1]; all leading dimensions share one
            compression, so that slices stay comparable.
        count: Coils that are kept, at most as many as there are.

    Source: Buehrer et al., "Array compression for MRI with large coil arrays", 2007.
    """
    return torch.einsum("nc,...chw->...nhw", strongest_coils(kspace, count).mH, kspace)


def strongest_coils(kspace: Tensor, count: int) -> Tensor:
    """Return the weights [coils, count], orthonormal, of the virtual coils of most energy.

    Args:
        kspace: [..., coils, H, W].
        count: How many, the strongest first.
    """
    flat = kspace.movedim(-3, 0).flatten(1)
    values, vectors = torch.linalg.eigh(flat @ flat.mH)
    order = values.argsort(descending=True)[:count]
    return vectors[:, order]  # type: ignore[no-any-return]


def prewhiten(kspace: Tensor, covariance: Tensor) -> Tensor:
    """Return k-space [..., coils, H, W] whose noise is uncorrelated, of one variance.

    The variance is the mean of the coils', so that the unit stays.

    Args:
        kspace: As measured.
        covariance: [coils, coils] of the complex noise.

    Raises:
        ValueError: If the covariance is not that of so many coils, or not positive.
    """
    coils = kspace.shape[-3]
    if covariance.shape != (coils, coils):
        raise ValueError(
            f"the noise covariance is {list(covariance.shape)}; there are {coils} coils"
        )
    scale = covariance.diagonal().real.abs().mean()
    factor, info = torch.linalg.cholesky_ex((covariance / scale).to(torch.complex128))
    if bool(info != 0):
        raise ValueError("the noise covariance is not positive; expected that of measured noise")
    whitening = torch.linalg.solve_triangular(
        factor, torch.eye(coils, dtype=factor.dtype, device=factor.device), upper=False
    )
    return torch.einsum("dc,...chw->...dhw", whitening.to(kspace.dtype), kspace)


def combined(images: Tensor, maps: Tensor) -> Tensor:
    """Return argmin Σ_c |Σ_s S_sc x_s − v_c|² [..., sets, H, W], pixel by pixel.

    0 where no coil sees. Of maps whose squares sum to 1 that is Σ_c S̄_c v_c.

    Args:
        images: v, [..., coils, H, W].
        maps: S, [..., sets, coils, H, W].
    """
    back = torch.einsum("...schw,...chw->...shw", maps.conj(), images)
    gram = torch.einsum("...schw,...tchw->...hwst", maps.conj(), maps)
    floor = _BLIND * gram.abs().max()
    if gram.shape[-1] == 1:
        seen: Tensor = gram[..., 0, 0].real.unsqueeze(-3)
        return torch.where(seen > floor, back / seen.clamp_min(floor), 0)
    inverse = torch.linalg.pinv(gram, atol=floor, rtol=0.0, hermitian=True)
    return torch.einsum("...hwst,...thw->...shw", inverse, back)


def simulated_coils(count: int, shape: tuple[int, int]) -> Tensor:
    """Return smooth sensitivities [count, H, W], complex64, of coils on a ring around the image.

    Each falls off with the distance from its coil and turns its phase with the angle; the sum of
    squares over the coils is 1 everywhere.
    """
    height, width = shape
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)[None, :]
    maps = []
    for coil in range(count):
        angle = 2 * math.pi * coil / count
        dy, dx = y - 1.6 * math.sin(angle), x - 1.6 * math.cos(angle)
        size = 1 / (0.1 + dx * dx + dy * dy)
        maps.append(torch.polar(size, torch.atan2(dy, dx) + angle))
    stacked = torch.stack(maps)
    normed: Tensor = stacked / stacked.abs().square().sum(0).sqrt()
    return normed
