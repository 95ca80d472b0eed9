"""Coil maps that a scan is reconstructed with, estimated once and kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restore.errors import InputError
from restore.io.arrays import read_array, write_array
from restore.mri.espirit import calibration_side, espirit, folds

# Fewer lines in the middle do not tell the coils apart.
_LEAST = 8
_VERSION = 1


def estimated_maps(
    kspace: Tensor, calib_size: int, mask: Tensor | None = None, source: Path | None = None
) -> tuple[Tensor, list[str]]:
    """ESPIRiT's maps [sets, coils, H, W] of k-space [coils, H, W], and what to say of them.

    Two sets where the image folds. Kept under the user's cache folder by what they are made of.

    Raises:
        InputError: if the middle of k-space is not sampled densely enough.
    """
    side = min(kspace.shape[1:]) if mask is None else calibration_side(mask)
    if side < min(_LEAST, *kspace.shape[1:]):
        raise InputError(
            f"{source}: only {side} lines in the middle are sampled without a gap, expected "
            f"{_LEAST} for coil maps, or --maps"
        )
    size = min(calib_size, side)
    content = np.ascontiguousarray(_middle(kspace, size).numpy()).tobytes()
    key = f"{_VERSION} {size} {list(kspace.shape)} ".encode() + content
    path = cache_folder() / f"maps-{hashlib.sha256(key).hexdigest()[:24]}.npy"
    if path.exists():
        maps = torch.from_numpy(read_array(path))
    else:
        found = espirit(kspace, calib_size=size, sets=2)
        maps = found.maps if folds(found) else found.maps[:1]
        try:
            write_array(path, maps.numpy())
        except InputError:
            return _said(maps)  # a home that cannot be written to: the maps are made every time
    return _said(maps)


def cache_folder() -> Path:
    """Where what is costly to make is kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "score-restore"


def _said(maps: Tensor) -> tuple[Tensor, list[str]]:
    notes = ["the image folds: two sets of coil maps"] if maps.shape[0] == 2 else []
    return maps, notes


def _middle(kspace: Tensor, size: int) -> Tensor:
    top, left = ((side - size) // 2 for side in kspace.shape[1:])
    return kspace[:, max(top - 1, 0) : top + size + 1, max(left - 1, 0) : left + size + 1]
