"""Coil maps that a scan is reconstructed with, estimated once and kept."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from operators import NonCartesianMRI
from operators.fourier import centred_fft
from restore.errors import InputError
from restore.io.arrays import read_array, write_array
from restore.mri.espirit import calibration_area, espirit, folds, middle
from restore.noise import seeded_generator
from restore.tasks.cache import cache_folder

# Fewer lines in the middle do not tell the coils apart.
LEAST_LINES = 8
_VERSION = 5


def estimated_maps(
    kspace: Tensor, calib_size: int, mask: Tensor, noise: float, source: Path
) -> tuple[Tensor, list[str]]:
    """ESPIRiT's maps [sets, coils, H, W] of k-space [coils, H, W], and what to say of them.

    Two sets where the image folds. Kept under the user's cache folder by what they are made of.

    Args:
        kspace: [coils, H, W], zero where not sampled.
        calib_size: sides of the middle that is used, at most what is sampled without a gap.
        mask: [H, W], what was sampled.
        noise: standard deviation per component, of the middle.
        source: the file, for what is said.

    Raises:
        InputError: if the middle of k-space is not sampled densely enough.
    """
    area = calibration_area(mask)
    if min(area) < min(LEAST_LINES, *mask.shape):
        raise InputError(
            f"{source}: only {min(area)} lines in the middle are sampled without a gap, expected "
            f"{LEAST_LINES} for coil maps (--center-fraction), or --maps"
        )
    size = (min(calib_size, area[0]), min(calib_size, area[1]))
    content = np.ascontiguousarray(middle(kspace, size).numpy()).tobytes()
    key = f"{_VERSION} {size} {noise!r} {list(kspace.shape)} ".encode() + content
    path = cache_folder() / f"maps-{hashlib.sha256(key).hexdigest()[:24]}.npy"
    maps = _read(path, kspace)
    if maps is None:
        found = espirit(kspace, calib_size=size, sets=2, noise=noise)
        # Laid out as they are read again: the last bit of a sum depends on it.
        maps = (found.maps if folds(found) else found.maps[:1]).contiguous()
        # A home that cannot be written to: the maps are made every time.
        with contextlib.suppress(InputError):
            write_array(path, maps.numpy())
    return maps, ["the image folds: two sets of coil maps"] if len(maps) == 2 else []


def maps_along(
    operator: NonCartesianMRI,
    samples: Tensor,
    density: Tensor,
    calib_size: int,
    noise: float,
    source: Path,
) -> tuple[Tensor, list[str]]:
    """Maps [coils, H, W] of samples [coils, N] along a trajectory, and what to say of them.

    Args:
        operator: of one coil.
        samples: of all coils.
        density: weights of the samples.
        calib_size: sides of the middle that is used.
        noise: standard deviation per component, of the samples.
        source: the file, for what is said.
    """
    white = torch.randn(samples.shape[1:], dtype=samples.dtype, generator=seeded_generator(0))
    coils = [*samples[:, None, None], white[None, None]]
    images = torch.cat([operator.adjoint(density * coil) for coil in coils])
    kspace = centred_fft(images[:, 0])
    # Noise is not the same on the grid: of white noise it is seen by how much.
    share = float(middle(kspace[-1:], calib_size).abs().square().mean().sqrt())
    everything = torch.ones(kspace.shape[1:], dtype=torch.bool)
    found, said = estimated_maps(kspace[:-1], calib_size, everything, share * noise, source)
    return found[0], [f"{text}; along a trajectory the first is used" for text in said]


def _read(path: Path, kspace: Tensor) -> Tensor | None:
    """What was kept; None where nothing was, or the file is damaged."""
    try:
        kept = read_array(path)
    except InputError:
        return None
    whole = kept.dtype == np.complex64 and kept.shape[1:] == tuple(kspace.shape)
    return torch.from_numpy(kept) if whole else None
