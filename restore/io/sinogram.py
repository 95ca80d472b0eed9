"""Sinograms of every layout as one thing: counts or line integrals, with what is known of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.arrays import ARRAY_SUFFIXES, read_array, read_arrays
from restore.io.hdf5 import open_hdf5, read_dataset
from restore.io.tiff_stack import TIFF_SUFFIXES, read_tiff_stack

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")
SINOGRAM_SUFFIXES = (*HDF5_SUFFIXES, *ARRAY_SUFFIXES, *TIFF_SUFFIXES)
# What a sinogram and its angles are called where a file holds more than one array.
_NAMES = ("sinogram", "data", "projections", "proj")
_ANGLES = ("angles", "theta")
# Of half a turn, or one, within which a span of angles is taken for it.
_TURN = 0.02
# More numbers than any scan has.
_MOST = 2**31

Choose = Callable[[int], Sequence[int]]


@dataclass(frozen=True)
class Sinogram:
    """What a scanner measured.

    Attributes:
        data: [slices, views, detectors], counts where there is a flat field, line integrals
            otherwise.
        flat: [slices, detectors], counts without an object.
        dark: the same, counts without rays.
        angles: [views] in radians, where they are known.
        source_origin: mm from the source to the axis, where the file says (a fan).
        source_detector: mm from the source to the detector, likewise.
        spacing: mm between the centres of detector cells, likewise.
        rows: of the detector in the file, of which `data` has those that were chosen.
        notes: what the user should know.
    """

    data: NDArray[np.float32]
    flat: NDArray[np.float32] | None = None
    dark: NDArray[np.float32] | None = None
    angles: NDArray[np.float64] | None = None
    source_origin: float | None = None
    source_detector: float | None = None
    spacing: float | None = None
    rows: int = 1
    notes: list[str] = field(default_factory=list)


def read_sinogram(
    path: Path,
    *,
    key: str | None = None,
    angles: NDArray[np.float64] | None = None,
    unit: str | None = None,
    flat: Path | None = None,
    dark: Path | None = None,
    choose: Choose = range,
) -> Sinogram:
    """Read DataExchange HDF5, arrays, a TIFF or a stack of them.

    Args:
        path: the file.
        key: name of the array where a file holds several; one of the group `exchange` has that
            group's fields and angles.
        angles: [views] in radians; the file's own, if not given.
        unit: of the file's angles, `deg` or `rad`; what it says, or degrees, if not given.
        flat: counts without an object, instead of the file's own.
        dark: counts without rays, likewise.
        choose: from the number of slices to those that are wanted.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        found = _from_hdf5(path, key, angles, unit, flat is not None, choose)
    elif suffix in TIFF_SUFFIXES or path.is_dir():
        found = _stacked(path, read_tiff_stack(path), angles, choose, projections=True)
    elif suffix in ARRAY_SUFFIXES:
        found = _from_arrays(path, key, angles, unit, choose)
    else:
        raise InputError(
            f"{path}: the suffix is {suffix or 'missing'}, expected a sinogram "
            f"({', '.join(SINOGRAM_SUFFIXES)}), or --simulate for an image"
        )
    if flat is not None:
        found = replace(found, flat=_field(flat, found, choose))
    if dark is not None:
        if found.flat is None:
            raise InputError(f"{dark}: a dark field without a flat field, expected --flat too")
        found = replace(found, dark=_field(dark, found, choose))
    return _checked(path, found)


def parse_angles(text: str, unit: str | None) -> NDArray[np.float64]:
    """`--angles`, in radians: a file of one number a view, or start:stop:n without stop.

    Raises:
        InputError: if it is neither, or its unit has to be said.
    """
    parts = text.split(":")
    if len(parts) == 3 and not Path(text).exists():
        try:
            start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
        except ValueError:
            raise InputError(f"--angles {text}: expected a file or START:STOP:N") from None
        if not (math.isfinite(start) and math.isfinite(stop) and 1 <= count <= 10**6):
            raise InputError(f"--angles {text}: expected finite angles and N from 1")
        if start == stop and count > 1:
            raise InputError(f"--angles {text}: no arc, expected a STOP other than START")
        values = np.linspace(start, stop, count, endpoint=False)
    else:
        values = _angles_of(Path(text))
    return _in_radians(f"--angles {text}", values, unit)


def _in_radians(where: object, values: NDArray[Any], unit: str | None) -> NDArray[np.float64]:
    """Angles [views] in a unit; in degrees where nothing says which.

    Raises:
        InputError: where nothing does and they span half a turn or one in radians.
    """
    values = np.asarray(values, np.float64).ravel()
    if unit is None and len(values) > 1 and np.isfinite(values).all():
        span = float(np.ptp(values))
        spans = span, span * len(values) / (len(values) - 1)  # with and without the stop
        turns = math.pi, math.tau
        if any(math.isclose(span, turn, rel_tol=_TURN) for span in spans for turn in turns):
            raise InputError(
                f"{where}: the angles span {span:.3g}, in radians half a turn or one, expected "
                "--angle-unit rad, or deg where degrees are meant"
            )
    return values if unit == "rad" else np.deg2rad(values)


def _angles_of(path: Path) -> NDArray[np.float64]:
    if path.suffix.lower() in ARRAY_SUFFIXES:
        arrays = read_arrays(path)
        named = [name for name in arrays if _last(name) in _ANGLES]
        values = arrays[named[0]] if named else read_array(path)
    elif path.suffix.lower() in HDF5_SUFFIXES:
        with open_hdf5(path) as file:
            values = read_dataset(path, file, "exchange/theta")
    else:
        try:
            text = path.read_text(encoding="utf-8-sig")  # as Excel writes it
            values = np.array(text.replace(",", " ").split(), float)
        except FileNotFoundError:
            raise InputError(
                f"--angles {path}: no such file, expected one of angles, or START:STOP:N"
            ) from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a list of angles, expected one number a view") from error
    if values.dtype.kind not in "iuf" or not values.size or not np.isfinite(values).all():
        raise InputError(f"{path}: not a list of angles, expected one finite number a view")
    return np.asarray(values, np.float64).ravel()


def _from_hdf5(
    path: Path,
    key: str | None,
    angles: NDArray[np.float64] | None,
    unit: str | None,
    has_flat: bool,
    choose: Choose,
) -> Sinogram:
    with open_hdf5(path) as file:
        name = "exchange/data" if key is None else key.strip("/")
        if not name.startswith("exchange/"):
            return _stacked(path, read_dataset(path, file, name), angles, choose, projections=False)
        _need(path, file, name)
        shape = getattr(file[name], "shape", None)
        if shape is None or len(shape) != 3 or min(shape) < 1:
            raise InputError(
                f"{path}: {name} is {list(shape or ())}, expected [views, rows, detectors]"
            )
        rows = choose(shape[1])
        part = (slice(None), slice(rows[0], rows[-1] + 1))
        data = read_dataset(path, file, name, part)
        white = dark = None
        if not has_flat:
            _need(path, file, "exchange/data_white", "; or --flat")
            white = _mean_field(path, file, "exchange/data_white", shape, part)
        if "exchange/data_dark" in file:
            dark = _mean_field(path, file, "exchange/data_dark", shape, part)
        if angles is None:
            _need(path, file, "exchange/theta", "; or --angles")
            said = str(file["exchange/theta"].attrs.get("units", "")).lower()
            own = next((name for name in ("rad", "deg") if name in said), None)
            angles = _in_radians(path, read_dataset(path, file, "exchange/theta"), unit or own)
    _match(path, shape[0], angles)
    return Sinogram(_real(path, data).transpose(1, 0, 2), white, dark, angles, rows=shape[1])


def _need(path: Path, file: Any, name: str, otherwise: str = "") -> None:
    if name not in file:
        raise InputError(f"{path}: no dataset {name}, expected DataExchange{otherwise}")


def _mean_field(
    path: Path, file: Any, name: str, shape: tuple[int, ...], part: Any
) -> NDArray[np.float32]:
    found = file[name].shape
    if found is None or len(found) != 3 or found[1:] != shape[1:] or not found[0]:
        raise InputError(
            f"{path}: {name} is {list(found or ())}, expected [n, {shape[1]}, {shape[2]}]"
        )
    mean: NDArray[np.float32] = _real(path, read_dataset(path, file, name, part)).mean(0)
    return mean


def _from_arrays(
    path: Path,
    key: str | None,
    angles: NDArray[np.float64] | None,
    unit: str | None,
    choose: Choose,
) -> Sinogram:
    arrays = read_arrays(path)
    named = [name for name in arrays if _last(name) in _NAMES]
    array = read_array(path, key) if key is not None or not named else arrays[named[0]]
    own = [name for name in arrays if _last(name) in _ANGLES]
    if angles is None and own:
        angles = _in_radians(path, arrays[own[0]], unit)
    found = _stacked(path, array, angles, choose, projections=False)
    # The parameters of the Helsinki Tomography Challenge 2022.
    lengths = {_last(name): float(a.ravel()[0]) for name, a in arrays.items() if a.size == 1}
    return replace(
        found,
        source_origin=lengths.get("distanceSourceOrigin"),
        source_detector=lengths.get("distanceSourceDetector"),
        spacing=lengths.get("pixelSizePost"),
    )


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _stacked(
    path: Path,
    array: NDArray[Any],
    angles: NDArray[np.float64] | None,
    choose: Choose,
    *,
    projections: bool,
) -> Sinogram:
    """[views, detectors], [slices, views, detectors] or [views, rows, detectors].

    Of three axes that is the views that has as many entries as there are angles; the first of a
    stack of projections, the second of an array, where that does not tell.
    """
    array = _real(path, array)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3:
        count = None if angles is None else len(angles)
        first, second = array.shape[0] == count, array.shape[1] == count
        if (first and not second) or (projections and first == second):
            array = array.transpose(1, 0, 2)
    else:
        raise InputError(
            f"{path}: the array is {list(array.shape)}, expected [views, detectors] or "
            "[slices, views, detectors]"
        )
    if angles is not None:
        _match(path, array.shape[1], angles)
    if array.shape[2] < 2:
        raise InputError(
            f"{path}: {array.shape[2]} detector cells, expected [views, detectors] with at least 2"
        )
    rows = choose(array.shape[0])
    return Sinogram(array[rows[0] : rows[-1] + 1], angles=angles, rows=len(array))


def _match(path: Path, views: int, angles: NDArray[np.float64]) -> None:
    if len(angles) != views:
        raise InputError(f"{path}: {views} views and {len(angles)} angles, expected as many")


def _field(path: Path, found: Sinogram, choose: Choose) -> NDArray[np.float32]:
    """A flat or dark field [slices, detectors], the mean of what the file holds.

    Two axes are one frame of a detector with so many rows, and exposures of one row otherwise.
    """
    slices, _, detectors = found.data.shape
    is_tiff = path.suffix.lower() in TIFF_SUFFIXES or path.is_dir()
    array = _real(path, read_tiff_stack(path) if is_tiff else read_array(path))
    if array.ndim == 0 or array.shape[-1] != detectors or array.ndim > 3:
        raise InputError(
            f"{path}: the field is {list(array.shape)}, the scan has {detectors} detector "
            "cells, expected [detectors], [n, detectors], [rows, detectors] or "
            "[n, rows, detectors]"
        )
    if not np.isfinite(array).all() or bool((array < 0).any()):
        raise InputError(f"{path}: values that are negative or not finite, expected counts")
    if found.rows == 1 == len(array):
        array = array[0]  # a page of a TIFF
    if array.ndim == 2 and len(array) == found.rows:
        array = array[None]
    elif array.ndim < 3:
        array = array.reshape(-1, 1, detectors)
    mean = array.mean(0)
    if len(mean) not in (1, found.rows):
        raise InputError(f"{path}: {len(mean)} rows, the scan has {found.rows}, expected as many")
    if len(mean) > 1:
        rows = choose(found.rows)
        mean = mean[rows[0] : rows[-1] + 1]
    return np.broadcast_to(mean, (slices, detectors)).copy()


def _real(path: Path, array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype.kind not in "biuf":
        kind = "complex numbers" if array.dtype.kind == "c" else str(array.dtype)
        raise InputError(f"{path}: {kind}, expected a sinogram of real numbers")
    if array.size > _MOST:
        raise InputError(f"{path}: {array.size} numbers, expected at most {_MOST}; use --slice")
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused as such
        return np.asarray(array, dtype=np.float32)


def _checked(path: Path, found: Sinogram) -> Sinogram:
    for name, values in (("", found.data), ("flat: ", found.flat), ("dark: ", found.dark)):
        if values is not None and not np.isfinite(values).all():
            raise InputError(f"{path}: {name}values that are not finite, expected a sinogram")
        if values is not None and found.flat is not None and bool((values < 0).any()):
            raise InputError(f"{path}: {name}negative counts, expected counts from 0")
    if found.angles is not None and not np.isfinite(found.angles).all():
        raise InputError(f"{path}: angles that are not finite, expected one number a view")
    if not found.data.any():
        raise InputError(f"{path}: nothing but zeros, expected a sinogram")
    return found
