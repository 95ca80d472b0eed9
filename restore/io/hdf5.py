"""HDF5 files, opened with the guards that the format does not have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError

# Of the values of a compressed dataset, to the bytes of the file.
_RATIO = 1100


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
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path}: {reason}, expected a whole HDF5 file") from error


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
    import h5py

    link = file.get(name, getlink=True) if name in file else None
    if isinstance(link, h5py.ExternalLink):
        raise InputError(f"{path}: {name} lies in another file, expected the data in this one")
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        known = ", ".join(map(str, file)) or "nothing"
        raise InputError(f"{path}: no dataset {name} (there is {known}), expected one")
    check_dataset(path, found)
    return np.asarray(found[part])


def check_dataset(path: Path, dataset: Any) -> None:
    """Refuse what lies in another file, and what promises more than the file can hold.

    Raises:
        InputError: likewise.
    """
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {dataset.name} lies in other files, expected the data in this")
    promised = math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize
    limit = path.stat().st_size * (1 if dataset.chunks is None else _RATIO)
    if promised > limit:
        raise InputError(
            f"{path}: {dataset.name} promises {promised} bytes, the file has "
            f"{path.stat().st_size}, expected a whole file"
        )
