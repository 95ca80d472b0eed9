"""A blur kernel from a file: a small picture or an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.npy import read_npy
from restore.io.picture import open_input, read_picture

_LUMA = np.array([0.299, 0.587, 0.114])
_EXPECTED = "expected weights from 0 in an odd number of rows and columns"


def read_kernel(path: Path) -> tuple[NDArray[np.float64], float]:
    """Reads the weights of a kernel, whose centre is the middle pixel.

    Args:
        path: any picture that `read_picture` reads, whose levels are the weights (black is 0; of
            colours the luma), or a ``.npy`` of numbers [rows, columns].

    Returns:
        The weights divided by their sum, [rows, columns], and that sum.

    Raises:
        InputError: unreadable, an even side, negative or no finite weights, or none above 0.
    """
    weights = _read_array(path) if path.suffix.lower() == ".npy" else _read_levels(path)
    rows, columns = weights.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise InputError(f"{path}: a kernel of {columns}x{rows} has no centre; {_EXPECTED}")
    if not np.isfinite(weights).all():
        raise InputError(f"{path}: NaN or infinity among the weights; {_EXPECTED}")
    if weights.min() < 0:
        raise InputError(f"{path}: weights from {weights.min():g}; {_EXPECTED}")
    total = float(weights.sum())
    if total == 0:
        raise InputError(f"{path}: every weight is 0; {_EXPECTED}")
    return weights / total, total


def _read_levels(path: Path) -> NDArray[np.float64]:
    picture = read_picture(path)
    levels = picture.pixels.astype(np.float64)
    grey: NDArray[np.float64] = levels[0] if len(levels) == 1 else np.tensordot(_LUMA, levels, 1)
    return grey * picture.scale


def _read_array(path: Path) -> NDArray[np.float64]:
    with open_input(path) as stream:
        try:
            array = read_npy(stream)
        except ValueError as error:
            raise InputError(f"{path}: no NumPy array ({error}); {_EXPECTED}") from error
    if array.ndim != 2 or not array.size or array.dtype.kind not in "uif":
        shape = list(array.shape)
        raise InputError(f"{path}: an array {shape} of {array.dtype}; {_EXPECTED}")
    return array.astype(np.float64)
