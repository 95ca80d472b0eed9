"""Images of a scan, in every format that one of its verbs writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.arrays import write_array
from restore.io.atomic import atomic_path
from restore.io.bart import bart_pair, write_bart
from restore.io.dicom import Modality, write_dicom
from restore.io.display import write_shown
from restore.io.nifti import write_nifti
from restore.io.placement import Placement
from restore.io.tiff_stack import write_tiff_stack

IMAGE_SUFFIXES = (".npy", ".h5", ".tif", ".tiff", ".nii", ".nii.gz", ".dcm", ".png", ".cfl")


def write_images(
    path: Path,
    images: NDArray[np.float32],
    modality: Modality,
    *,
    spacing: tuple[float, float, float] | None = None,
    placement: Placement | None = None,
    header: Any = None,
) -> list[Path]:
    """Write images [slices, rows, columns] of any unit (DICOM of CT: HU) as the suffix says.

    Args:
        path: one of `IMAGE_SUFFIXES`.
        images: float32.
        modality: what a DICOM file is of.
        spacing: mm of (rows, columns, slices).
        placement: where the slices lie.
        header: of the DICOM file that they were made of.

    Returns:
        The files: one, two of a BART pair, or one a slice where the format has no volumes.

    Raises:
        InputError: if there is no such format, a value is not finite, or the file cannot be
            written.
    """
    if not np.isfinite(images).all():
        raise InputError(f"{path}: NaN or infinity among the values to write, expected numbers")
    kind = path.suffix.lower()
    if kind == ".npy":
        write_array(path, images[0] if len(images) == 1 else images)
    elif kind == ".h5":
        import h5py

        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            file["reconstruction"] = images
    elif kind in (".tif", ".tiff"):
        write_tiff_stack(path, images)
    elif path.name.lower().endswith((".nii", ".nii.gz")):
        write_nifti(path, images, spacing, placement)
    elif kind == ".dcm":
        return write_dicom(
            path, images, modality, spacing=spacing, source=header, placement=placement
        )
    elif kind == ".cfl":
        array = images.transpose(1, 2, 0)
        shape = (*array.shape[:2], *(1,) * 11, array.shape[2])
        write_bart(path, array.reshape(shape).astype(np.complex64))
        return [*bart_pair(path)]
    elif kind == ".png":
        write_shown(path, images)
    else:
        raise InputError(
            f"{path}: the suffix is {kind or 'missing'}, expected {', '.join(IMAGE_SUFFIXES)}"
        )
    return [path]
