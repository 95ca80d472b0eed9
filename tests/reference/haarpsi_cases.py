"""Pictures for HaarPSI, from formulas alone: the reference and the test make the same ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

Pixels = NDArray[np.float64]
SIZES = {"even": (48, 64), "odd": (51, 37), "mixed": (33, 40), "smallest": (16, 17)}
DISTORTIONS = ("equal", "noise", "blur", "shift", "darker", "blocks", "tint", "other")


def reference(size: tuple[int, int], channels: int) -> Pixels:
    """Waves, edges and a disk."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    disk = (rows - size[0] / 2) ** 2 + (columns - size[1] / 3) ** 2 < (min(size) / 4) ** 2
    planes = [
        0.45 + 0.25 * np.sin(rows / (3 + 2 * c) + columns / 5) + (0.2 - 0.15 * c) * disk
        for c in range(channels)
    ]
    stripes = 0.1 * ((columns // 6) % 2)
    return np.clip(np.stack(planes) + stripes, 0, 1)


def distorted(clean: Pixels, kind: str) -> Pixels:
    """The picture with one of `DISTORTIONS`, in [0, 1]."""
    channels, height, width = clean.shape
    if kind == "noise":
        values = clean + 0.08 * np.random.default_rng(3).standard_normal(clean.shape)
    elif kind == "blur":
        values = gaussian_filter(clean, (0, 1.5, 1.5))
    elif kind == "shift":
        values = shift(clean, (0, 1, 2), order=1, mode="nearest")
    elif kind == "darker":
        values = 0.6 * clean
    elif kind == "blocks":
        values = clean[:, : height // 8 * 8 : 8, : width // 8 * 8 : 8]
        values = np.pad(
            values.repeat(8, 1).repeat(8, 2), ((0, 0), (0, height % 8), (0, width % 8)), "edge"
        )
    elif kind == "tint":
        values = clean + np.linspace(0.15, -0.1, channels)[:, None, None]
    elif kind == "other":
        values = 1 - clean[:, ::-1, ::-1]
    else:
        values = clean
    return np.clip(values, 0, 1)


def cases() -> dict[str, tuple[Pixels, Pixels]]:
    """Distorted picture and reference, by `size/channels/distortion`."""
    made = {}
    for name, size in SIZES.items():
        for channels in (1, 3):
            clean = reference(size, channels)
            for kind in DISTORTIONS:
                made[f"{name}/{channels}/{kind}"] = (distorted(clean, kind), clean)
    return made
