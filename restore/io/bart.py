"""BART's pairs of `.cfl` and `.hdr`: complex64 in column-major order, the shape as text.

The order of the dimensions is BART's: 0 to 2 space, 3 coils, 4 maps, 13 slices.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.atomic import atomic_path
from restore.io.refusal import check_plain

Complex = NDArray[np.complex64]

COILS, MAPS, SLICES = 3, 4, 13
_TWINS = {".cfl": ".hdr", ".hdr": ".cfl"}
_DIMENSIONS = 16


def is_bart(path: Path) -> bool:
    """Whether a path names such a pair, with either suffix or without one."""
    if path.suffix.lower() in _TWINS:
        return True
    return not path.exists() and bart_pair(path)[1].exists()


def read_bart(path: Path) -> Complex:
    """Return the array with all sixteen dimensions.

    Raises:
        InputError: if either file is missing, or they do not fit.
    """
    data, header = bart_pair(path)
    for part in (header, data):
        if not part.is_file():
            raise InputError(f"{part}: no such file, expected BART's pair of .cfl and .hdr")
        check_plain(part, "BART's pair of .cfl and .hdr")
    shape = _shape(header)
    found, wanted = data.stat().st_size, 8 * math.prod(shape)
    if found != wanted:
        raise InputError(
            f"{data}: {found} bytes, expected {wanted} for {' x '.join(map(str, shape))}"
        )
    values = np.fromfile(data, dtype="<c8").reshape(shape, order="F")
    return values.reshape(*shape, *(1,) * (_DIMENSIONS - len(shape)))


def write_bart(path: Path, array: Complex) -> None:
    """Write an array, its dimensions in BART's order, as the pair that the path names."""
    data, header = bart_pair(path)
    with atomic_path(data) as temporary:
        np.asarray(array, dtype="<c8").ravel(order="F").tofile(temporary)
        shape = [*array.shape, *(1,) * (_DIMENSIONS - array.ndim)]
        with atomic_path(header) as text:
            text.write_text(f"# Dimensions\n{' '.join(map(str, shape))} \n")


def bart_pair(path: Path) -> tuple[Path, Path]:
    """The data and the header of a pair that is named by either of them or without a suffix."""
    suffix = path.suffix.lower()
    if suffix not in _TWINS:
        return path.with_name(path.name + ".cfl"), path.with_name(path.name + ".hdr")
    other = _TWINS[suffix]
    twin = path.with_suffix(other.upper() if path.suffix.isupper() else other)
    return (path, twin) if suffix == ".cfl" else (twin, path)


def _shape(header: Path) -> tuple[int, ...]:
    try:
        lines = header.read_text(encoding="ascii").splitlines()
        at = lines.index("# Dimensions")
        shape = tuple(int(word) for word in lines[at + 1].split())
    except (ValueError, IndexError, OSError) as error:
        raise InputError(f"{header}: no dimensions, expected BART's header") from error
    if not 1 <= len(shape) <= _DIMENSIONS or min(shape) < 1:
        raise InputError(f"{header}: dimensions {shape}, expected up to sixteen, each from 1")
    return shape
