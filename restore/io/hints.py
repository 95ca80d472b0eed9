"""Colour hints: coloured strokes on transparent ground."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.picture import read_picture

_HALF = 0.5
_EXPECTED = "expected coloured strokes on transparent ground"


def read_hints(
    path: str | os.PathLike[str], size: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Reads the pixels whose colour is known: those that are more than half opaque.

    Args:
        path: any picture with transparency that `read_picture` reads.
        size: (H, W) of the photo.

    Returns:
        bool [H, W], True where there is a hint, and the colours, float32 [3, H, W] in [0, 1].

    Raises:
        InputError: unreadable, of another size, without transparency, or without a stroke.
    """
    hints = read_picture(path)
    height, width = size
    if (hints.height, hints.width) != (height, width):
        raise InputError(
            f"{path}: hints are {hints.width}x{hints.height}, the picture is {width}x{height}; "
            "expected the same"
        )
    if hints.alpha is None:
        raise InputError(f"{path}: hints without transparency; {_EXPECTED}")
    known: NDArray[np.bool_] = hints.alpha[0] > _HALF
    if not known.any():
        raise InputError(f"{path}: all transparent, so no hint; {_EXPECTED}")
    return known, np.broadcast_to(hints.pixels, (3, height, width)).copy()
