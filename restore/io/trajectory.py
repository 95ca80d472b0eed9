"""Trajectories through k-space, and what was measured along them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.arrays import read_array, read_arrays
from restore.io.bart import COILS, SLICES, is_bart, read_bart

Complex = NDArray[np.complex64]

# Names in MATLAB files, as M. Lustig's examples have them.
_PLACES, _SAMPLES, _WEIGHTS = "k", "data", "w"
# Of the extent, that rounding may add.
_SLACK = 1e-6


class Trajectory(NamedTuple):
    """Where samples were taken.

    Attributes:
        places: [samples, 2] in cycles per pixel, (rows, columns), within ±0.5.
        shape: of the samples in the file, such as (readout, spokes).
        matrix: (rows, columns) of the image, where that is known; None else.
    """

    places: NDArray[np.float64]
    shape: tuple[int, ...]
    matrix: tuple[int, int] | None


def read_trajectory(path: Path, size: tuple[int, int] | None = None) -> Trajectory:
    """Read a trajectory: `[..., 2]` or complex kx + i ky in cycles per pixel, or BART's.

    x runs along the columns. BART's has cycles per field of view, and its first coordinate runs
    along the rows; its extent says how large the matrix is, unless `size` does.

    Args:
        path: an array, or BART's pair.
        size: (rows, columns) of the image.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    if is_bart(path):
        found = read_bart(path).real
        if found.shape[0] != 3 or np.abs(found[2]).max() > 0:
            raise InputError(
                f"{path}: {list(found.shape)} is no trajectory in a plane, expected BART's [3, "
                "samples, spokes] with the third coordinate 0"
            )
        array = np.moveaxis(found[:2], 0, -1).astype(np.float64)
        side = 2 * math.ceil(np.abs(array).max() * (1 - _SLACK)) if np.isfinite(array).all() else 0
        size = size or (max(side, 2), max(side, 2))
        array = (array / np.asarray(size)).reshape(*_squeezed(array.shape[:-1]), 2)
    else:
        array = _array(path, None, _PLACES)
        if np.iscomplexobj(array):
            array = np.stack([array.imag, array.real], -1)
        elif array.ndim < 2 or 2 not in (array.shape[-1], array.shape[0]):
            raise InputError(
                f"{path}: the trajectory is {list(array.shape)}, expected [samples, 2]"
            )
        elif array.shape[-1] != 2:
            array = np.moveaxis(array, 0, -1)
    places = array.reshape(-1, 2).astype(np.float64)
    largest = float(np.abs(places).max())
    if not largest <= 0.5 * (1 + _SLACK):
        raise InputError(
            f"{path}: the trajectory reaches {largest:.4g} cycles per pixel, expected ±0.5"
        )
    return Trajectory(places.clip(-0.5, 0.5), array.shape[:-1], size)


def read_samples(path: Path, trajectory: Trajectory, key: str | None = None) -> Complex:
    """Read what was measured along a trajectory, as [slices, coils, samples].

    The file has the trajectory's shape with the coils after or before it, and where there are
    slices, these after or before the coils. BART's has its own dimensions for them.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    array = read_bart(path) if is_bart(path) else _array(path, key, _SAMPLES)
    if not np.iscomplexobj(array):
        raise InputError(f"{path}: real numbers ({array.dtype}), expected complex k-space")
    if not np.isfinite(array).all():
        raise InputError(f"{path}: values that are not finite, expected k-space")
    shape = _squeezed(trajectory.shape)
    if is_bart(path):
        moved = np.moveaxis(array, (SLICES, COILS), (0, 1))
        found = moved.reshape(*moved.shape[:2], *_squeezed(moved.shape[2:]))
    else:
        # As they are first: a side of 1 may be that of one spoke, or of one coil.
        for whole, sides in (
            (array, trajectory.shape),
            (array, shape),
            (np.squeeze(array), shape),
        ):
            found = _slices_first(whole, sides)
            if found.shape[2:] == sides:
                break
    if _squeezed(found.shape[2:]) != shape:
        raise InputError(
            f"{path}: samples {list(np.squeeze(array).shape)} along a trajectory of {list(shape)}, "
            "expected the same, with the coils last or first, and slices outside of them"
        )
    if not found.any():
        raise InputError(f"{path}: nothing but zeros, expected k-space")
    return np.ascontiguousarray(found.reshape(*found.shape[:2], -1), dtype=np.complex64)


def _slices_first(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Samples of a shape as [slices, coils, *shape], if they are any."""
    for outer in (1, 2):  # coils, and slices outside of them
        if array.shape[:-outer] == shape:
            array = array.transpose(*range(-1, -1 - outer, -1), *range(len(shape)))
            break
    return array[(None,) * (len(shape) + 2 - array.ndim)]


def read_density(path: Path, trajectory: Trajectory) -> NDArray[np.float64]:
    """Read the weights [samples] that even a trajectory out.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    array = read_bart(path) if is_bart(path) else _array(path, None, _WEIGHTS)
    weights, shape = np.abs(array), _squeezed(trajectory.shape)
    if _squeezed(weights.shape) != shape:
        raise InputError(
            f"{path}: weights {list(np.squeeze(weights).shape)} of a trajectory of {list(shape)}, "
            "expected the same"
        )
    if not np.isfinite(weights).all() or not weights.any():
        raise InputError(f"{path}: weights that are not finite or all 0, expected density weights")
    flat: NDArray[np.float64] = weights.ravel().astype(np.float64)
    return flat


def _array(path: Path, key: str | None, name: str) -> NDArray[Any]:
    """The array that is asked for; in a file of several the one that goes by that name."""
    if key is None and path.suffix.lower() in (".mat", ".npz"):
        found = read_arrays(path)
        if name in found:
            return found[name]
    return read_array(path, key)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side > 1) or (1,)
