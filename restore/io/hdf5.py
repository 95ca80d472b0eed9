"""HDF5 files, opened with the guards that the format does not have."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError, reason_of
from restore.io.refusal import check_plain

# Of the values of a compressed dataset, to the bytes of the file.
_RATIO = 1100
# Signature and version of a global heap, where strings of any length lie.
_HEAP = b"GCOL\x01\0\0\0"
_HEAP_HEAD = 16


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open for reading.

    What goes wrong while the file is open is reported as one line about it.

    Raises:
        InputError: if the file is missing, no HDF5, cut short or damaged.
    """
    import h5py

    if not path.exists():
        raise InputError(f"{path}: no such file, expected HDF5")
    check_plain(path, "HDF5")
    try:
        _check_heaps(path)
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise InputError(f"{path}: {reason_of(error)}, expected a whole HDF5 file") from error


def _check_heaps(path: Path) -> None:
    """Refuse a damaged global heap, in which the library allocates anything or never ends.

    The layout is that of the HDF5 File Format Specification, III.E: version 1, size of the
    collection, then objects of index, references, size and padded data; index 0 is free space.

    Raises:
        ValueError: sizes that do not fit the file.
    """
    if not path.stat().st_size:
        raise ValueError("empty file")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_HEAP)
        while start >= 0 and start + _HEAP_HEAD <= len(data):
            (size,) = struct.unpack_from("<Q", data, start + 8)
            end = start + size
            if size < _HEAP_HEAD or end > len(data):
                raise ValueError(f"a heap of {size} bytes")
            at = start + _HEAP_HEAD
            while at + _HEAP_HEAD <= end:
                index, length = struct.unpack_from("<H6xQ", data, at)
                step = length if index == 0 else _HEAP_HEAD + -(-length // 8) * 8
                if step < _HEAP_HEAD or at + step > end:
                    raise ValueError(f"an object of {length} bytes in a heap")
                at += step
            start = data.find(_HEAP, end)


def read_dataset(path: Path, file: Any, name: str, part: Any = ()) -> NDArray[Any]:
    """Return the values of a dataset of numbers, or a part of them.

    Args:
        path: of the file, for errors.
        file: as opened.
        name: of the dataset.
        part: index of h5py.

    Raises:
        InputError: if there is none, it lies in another file, or it promises more than is there.
    """
    return np.asarray(find_dataset(path, file, name)[part])


def find_dataset(path: Path, file: Any, name: str) -> Any:
    """Return a dataset of numbers of which nothing is read yet; else as `read_dataset`."""
    import h5py

    link = file.get(name, getlink=True) if name in file else None
    if isinstance(link, h5py.ExternalLink):
        raise InputError(f"{path}: {name} lies in another file, expected the data in this one")
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        known = ", ".join(map(str, file)) or "nothing"
        raise InputError(f"{path}: no dataset {name} (there is {known}), expected one")
    check_dataset(path, found)
    return found


def check_dataset(path: Path, dataset: Any) -> None:
    """Refuse what lies in another file, and what promises more than the file can hold.

    Raises:
        InputError: likewise.
    """
    # A group that it is in, or a link to another link, may lie elsewhere too.
    elsewhere = dataset.file.filename != str(path)
    if elsewhere or dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {dataset.name} lies in other files, expected the data in this")
    _check_lengths(path, dataset)
    if dataset.dtype.names is not None:
        _check_numbers(path, dataset.name, dataset.id.get_type())
    promised = math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize
    limit = path.stat().st_size * (1 if dataset.chunks is None else _RATIO)
    if promised > limit:
        raise InputError(
            f"{path}: {dataset.name} promises {promised} bytes, the file has "
            f"{path.stat().st_size}, expected a whole file"
        )


def _check_numbers(path: Path, name: str, kind: Any) -> None:
    """Refuse records of numbers that no machine has: to convert them the library can crash."""
    from h5py import h5t

    if isinstance(kind, h5t.TypeCompoundID):
        for i in range(kind.get_nmembers()):
            _check_numbers(path, name, kind.get_member_type(i))
    elif isinstance(kind, h5t.TypeArrayID | h5t.TypeVlenID):
        _check_numbers(path, name, kind.get_super())
    elif isinstance(kind, h5t.TypeFloatID):
        known = (h5t.IEEE_F32LE, h5t.IEEE_F64LE, h5t.IEEE_F32BE, h5t.IEEE_F64BE)
        if not any(kind.equal(one) for one in known):
            raise InputError(f"{path}: {name} has unknown numbers, expected a whole HDF5 file")
    elif isinstance(kind, h5t.TypeIntegerID) and (
        kind.get_precision() != 8 * kind.get_size() or kind.get_offset()
    ):
        raise InputError(f"{path}: {name} has unknown numbers, expected a whole HDF5 file")


def _check_lengths(path: Path, dataset: Any) -> None:
    """Refuse a string longer than the file, which the library allocates before it looks for it.

    Of strings that lie together: four bytes of length, eight of a heap's address, four of an index.
    """
    start = dataset.id.get_offset()
    if dataset.dtype.kind != "O" or start is None:
        return
    with path.open("rb") as stream:
        stream.seek(start)
        entries = stream.read(16 * math.prod(dataset.shape))
    size = path.stat().st_size
    for (length,) in struct.iter_unpack("<L12x", entries[: len(entries) // 16 * 16]):
        if length > size:
            raise InputError(
                f"{path}: {dataset.name} promises a string of {length} bytes, the file has {size}, "
                "expected a whole file"
            )
