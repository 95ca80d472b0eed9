"""Grey levels of a file and the floats in [0, 1] that the restoration works on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FLOAT_BITS = 32
"""The bit depth that stands for floating point."""

# Values that are rounded at once: what is made on the way stays in the cache.
_PIECE = 2**17


def rounding_std(bits: int) -> float:
    """Standard deviation of the rounding error of a `bits`-bit file, in units of [0, 1].

    A value is uniform within half a level of what was written: 1 / ((2^bits - 1) sqrt(12)).
    Floating-point files (`bits` = 32) have none.
    """
    return 0.0 if bits == FLOAT_BITS else 1.0 / ((2**bits - 1) * math.sqrt(12.0))


def to_integer(pixels: ArrayLike, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Rounds values in [0, 1] to the nearest of 2^bits levels; values outside are clipped.

    `from_integer` followed by this returns every level unchanged, so untouched pixels can be
    compared and copied bit by bit.

    Args:
        pixels: any shape, [0, 1].
        bits: 1 to 16.

    Returns:
        the same shape, uint8 for up to 8 bits, else uint16.

    Raises:
        ValueError: NaN or infinity in `pixels`, or a depth outside 1 to 16.
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"to_integer: {bits} bits, expected 1 to 16")
    values = np.asarray(pixels, dtype=np.float32)
    top = np.float32(2**bits - 1)
    levels = np.empty(values.shape, np.uint8 if bits <= 8 else np.uint16)
    flat, out = values.reshape(-1), levels.reshape(-1)
    for first in range(0, flat.size, _PIECE):
        piece = flat[first : first + _PIECE]
        if not np.isfinite(piece).all():
            raise ValueError("to_integer: the pixels hold NaN or infinity")
        out[first : first + _PIECE] = np.rint(np.clip(piece, 0.0, 1.0) * top)
    return levels


def from_integer(levels: ArrayLike, bits: int) -> NDArray[np.float32]:
    """The value in [0, 1] of each level of a `bits`-bit file, float32 of the same shape."""
    values: NDArray[np.float32] = np.array(levels, dtype=np.float32)
    values /= np.float32(2**bits - 1)  # in place: a large picture is there once
    return values


def as_written(pixels: ArrayLike, bits: int) -> NDArray[np.float32]:
    """The pixels as a reader of the written file sees them: clipped and rounded to `bits`.

    Quality measures are of this picture. Floating point (`bits` = 32) is clipped only.
    """
    if bits == FLOAT_BITS:
        return np.clip(np.asarray(pixels, dtype=np.float32), 0.0, 1.0)
    return from_integer(to_integer(pixels, bits), bits)
