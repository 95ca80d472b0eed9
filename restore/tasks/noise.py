"""The noise of a picture that is measured: its level, given or estimated, and simulated noise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.errors import InputError
from restore.io.picture import Picture
from restore.metrics import estimate_noise, noise_of_quietest
from restore.metrics.noise import LEAST_SIDE
from restore.noise import seeded_generator
from restore.tasks.settings import Settings

# Of clean photographs, whole, at a quarter or an eighth of their size, the quietest is below 0.041.
_BEYOND_TEXTURE = 0.045
# Letters, lines and flat colours have more neighbours that are equal; with noise hardly any are.
_MOST_EQUAL = 0.1
# Of a large picture so much is judged, rows and columns of pixels.
_MIDDLE = 1024


def noise_level(
    picture: Picture,
    settings: Settings,
    *,
    estimated: bool,
    known: NDArray[np.bool_] | None = None,
) -> tuple[float, list[str]]:
    """σ_y of a picture, and a note where it was estimated, or looks to be more than is taken.

    It is never below the rounding of the file's bit depth.

    Args:
        picture: the measured file.
        settings: with σ, `auto`, or None.
        estimated: whether None means that it is estimated; otherwise it is the rounding.
        known: [H, W], true where the picture is measured; None is everywhere.

    Raises:
        InputError: if it is to be estimated from too few pixels.
    """
    rounding = picture.rounding_std
    if settings.sigma == "auto" or (settings.sigma is None and estimated):
        if min(picture.height, picture.width) < LEAST_SIDE:
            return rounding, [f"taken as clean: below {LEAST_SIDE} pixels, no noise is estimated"]
        try:
            level = max(estimate_noise(picture.pixels, known), rounding)
        except ValueError as error:
            raise InputError(
                f"{picture.path}: {error}; expected --sigma with a number instead of auto"
            ) from error
        return level, [f"noise estimated: sigma {both_units(level)}"]
    if settings.sigma is None:
        return rounding, _looks_noisy(picture, known)
    return max(float(settings.sigma), rounding), []


def _looks_noisy(picture: Picture, known: NDArray[np.bool_] | None) -> list[str]:
    """A note where the middle of a picture that is taken as clean has noise beyond doubt."""
    rows, columns = (_middle(picture.pixels, axis) for axis in (1, 2))
    pixels = picture.pixels[:, rows, columns]
    inside = np.ones(pixels.shape[1:], bool) if known is None else known[rows, columns]
    pairs = inside[:, 1:] & inside[:, :-1]
    equal = (pixels[..., 1:] == pixels[..., :-1]).all(axis=0)[pairs]
    if equal.size == 0 or equal.mean() > _MOST_EQUAL:
        return []
    try:
        if noise_of_quietest(pixels, inside) < _BEYOND_TEXTURE:
            return []
    except ValueError:  # too little is known to say
        return []
    level = both_units(estimate_noise(pixels, inside))
    return [f"taken as clean, though it looks noisy (sigma {level}): see --sigma auto"]


def _middle(pixels: NDArray[np.float32], axis: int) -> slice:
    """The middle of the rows (axis 1) or columns (2) of a picture without its even frame."""
    busy = np.flatnonzero((np.ptp(pixels, axis=3 - axis) > 0).any(axis=0))
    first, last = (busy[0], busy[-1] + 1) if busy.size else (0, 0)
    spare = max(0, (last - first - _MIDDLE) // 2)
    return slice(first + spare, last - spare)


def both_units(level: float) -> str:
    """A noise level as users give it, 0-1 and 0-255."""
    return f"{level:.4f} ({255 * level:.1f} of 255)"


def add_noise(pixels: Tensor, settings: Settings) -> Tensor:
    """Noise of the settings' σ for `--simulate`, in an order that depends on the seed alone."""
    if settings.sigma in (None, "auto"):
        return pixels
    generator = seeded_generator(settings.seed)
    return pixels + float(settings.sigma) * torch.randn(pixels.shape, generator=generator)
