"""Arrays of numbers from `.npy`, `.npz` and `.mat` files; nothing is ever unpickled."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError, reason_of
from restore.io.atomic import atomic_path
from restore.io.mat5 import check_mat5
from restore.io.npy import read_npy
from restore.io.refusal import check_plain

Array = NDArray[Any]

ARRAY_SUFFIXES = (".npy", ".npz", ".mat")
# Of a compressed array, to what was read for it; real data shrink by less.
_RATIO = 1100
# What the parsers raise on a damaged file.
_UNUSABLE = (
    *(ValueError, TypeError, KeyError, EOFError, OverflowError, MemoryError, RecursionError),
    *(NotImplementedError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def read_array(path: Path, key: str | None = None) -> Array:
    """Return one array of numbers.

    Args:
        path: `.npy`, `.npz` or `.mat` (MATLAB 5).
        key: Name of the array where the file holds several.

    Raises:
        InputError: if the file cannot be read, holds no numbers, or several arrays and no key.
    """
    found = read_arrays(path)
    if key is not None:
        if key not in found:
            raise InputError(f"{path}: no array {key!r}, expected one of {', '.join(found)}")
        return found[key]
    if len(found) != 1:
        raise InputError(
            f"{path}: {len(found)} arrays, expected one, or --key with one of {', '.join(found)}"
        )
    return next(iter(found.values()))


def read_arrays(path: Path) -> dict[str, Array]:
    """Return all arrays of numbers in a file by name; that of a `.npy` is called `array`.

    Raises:
        InputError: if the file cannot be read or holds no numbers.
    """
    suffix = path.suffix.lower()
    try:
        check_plain(path, "an array")
        if suffix == ".npy":
            found: Mapping[str, Any] = {"array": _read_npy(path)}
        elif suffix == ".npz":
            found = _read_npz(path)
        elif suffix == ".mat":
            found = _read_mat(path)
        else:
            raise InputError(
                f"{path}: the suffix is {suffix or 'missing'}, expected {', '.join(ARRAY_SUFFIXES)}"
            )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected an array") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: {reason}, expected an array") from error
    except _UNUSABLE as error:
        raise InputError(
            f"{path}: {reason_of(error)}, expected a whole {suffix} file of numbers"
        ) from error
    numbers = {
        name: value
        for name, value in found.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc" and value.size
    }
    if not numbers:
        raise InputError(f"{path}: no array of numbers in it, expected at least one")
    return numbers


def write_array(path: Path, array: Array) -> None:
    """Write a `.npy` whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def _read_npy(path: Path) -> Array:
    with path.open("rb") as stream:
        return read_npy(stream)


def _read_npz(path: Path) -> dict[str, Array]:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                continue
            if entry.file_size > max(_RATIO * entry.compress_size, 2**16):
                raise ValueError(f"{entry.filename} claims {entry.file_size} bytes")
            with archive.open(entry) as stream:
                array = read_npy(stream, entry.file_size)
            arrays[entry.filename.removesuffix(".npy")] = array
    return arrays


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    data = path.read_bytes()
    if data.startswith(b"MATLAB 7.3"):
        raise ValueError("MATLAB 7.3, which is HDF5; save it with -v7")
    names = check_mat5(data)
    try:
        content: dict[str, Any] = loadmat(path, variable_names=names, squeeze_me=False)
    except (MatReadError, NotImplementedError, AttributeError, IndexError) as error:
        raise ValueError(str(error)) from error
    return {name: value for name, value in _flat(content).items() if not name.startswith("__")}


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of structures as NAME.FIELD, at any depth."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1:
            record = value.reshape(-1)[0]
            inner = _flat({field: record[field] for field in value.dtype.names})
            flat |= {f"{name}.{field}": item for field, item in inner.items()}
        else:
            flat[name] = value
    return flat
