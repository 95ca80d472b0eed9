"""fastMRI's and ISMRMRD's HDF5, told apart by what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.hdf5 import find_dataset, open_hdf5, read_dataset
from restore.io.ismrmrd import read_ismrmrd
from restore.io.kspace import Choose, KSpace, part, sampled
from restore.io.mri_grid import FieldOfView, at_resolution
from restore.io.mri_header import MriHeader

MRI_HDF5_SUFFIXES = (".h5", ".hdf5")
# What images are called: ours, and fastMRI's of several coils and of one.
_IMAGES = ("reconstruction", "reconstruction_rss", "reconstruction_esc")


def read_mri_hdf5(path: Path, choose: Choose = range) -> KSpace:
    """Read some slices of either layout; of fastMRI's no others.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    with open_hdf5(path) as file:
        if "kspace" in file:
            return _fastmri(path, file, choose)
        groups = [name for name in file if f"{name}/data" in file and f"{name}/xml" in file]
        if groups:
            return read_ismrmrd(path, file, groups[0]).taken(choose)
        known = ", ".join(map(str, file)) or "nothing"
    raise InputError(
        f"{path}: holds {known}, expected fastMRI's `kspace` or ISMRMRD's `data` and `xml`"
    )


def read_mri_images(path: Path) -> NDArray[np.float32]:
    """Return magnitudes [slices, rows, columns] that the verb has written, or fastMRI's own.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    with open_hdf5(path) as file:
        names = [name for name in _IMAGES if name in file]
        images = read_dataset(path, file, (names or [_IMAGES[0]])[0])
    if images.dtype.kind not in "uifc" or images.ndim not in (2, 3):
        raise InputError(
            f"{path}: images {list(images.shape)} {images.dtype}, expected [slices, rows, columns]"
        )
    magnitudes: NDArray[np.float32] = np.abs(images).astype(np.float32)
    return magnitudes.reshape(-1, *images.shape[-2:])


def _fastmri(path: Path, file: Any, choose: Choose) -> KSpace:
    found = find_dataset(path, file, "kspace")
    shape: tuple[int, ...] = found.shape or ()
    if len(shape) not in (3, 4) or not min(shape) or found.dtype.kind != "c":
        raise InputError(
            f"{path}: kspace is {list(shape)} {found.dtype}, expected complex "
            "[slices, rows, columns] or [slices, coils, rows, columns]"
        )
    chosen = choose(shape[0])
    data = np.asarray(found[part(chosen)])
    data = (data[:, None] if data.ndim == 3 else data).astype(np.complex64, copy=False)
    if "mask" in file:
        lines = read_dataset(path, file, "mask").astype(bool)
        if lines.shape != (data.shape[-1],):
            raise InputError(
                f"{path}: the mask is {list(lines.shape)}, the lines are {data.shape[-1]}, "
                "expected one value a line"
            )
        if not lines.any():
            raise InputError(f"{path}: the mask is all zero, expected some lines")
        data[..., ~lines] = 0
    if "ismrmrd_header" not in file:
        notes = ["no header: the whole field of view is written"]
        return KSpace(data, sampled(data), notes=notes, first=chosen[0])
    header = MriHeader(path, read_dataset(path, file, "ismrmrd_header").item())
    data, matrix = at_resolution(path, data, header, _encoded(data, header))
    mask, spacing = sampled(data), header.spacing
    return KSpace(data, mask, matrix=matrix, spacing=spacing, first=chosen[0])


def _encoded(data: NDArray[np.complex64], header: MriHeader) -> FieldOfView:
    """The field of view, along each axis that has the length of the encoded matrix."""
    if header.encoded is None or header.encoded_fov is None:
        return None, None
    rows, columns = (
        length if side == encoded else None
        for side, encoded, length in zip(
            data.shape[-2:], header.encoded, header.encoded_fov, strict=True
        )
    )
    return rows, columns
