"""Files by one name each: whatever was measured, and the image that was made of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.arrays import ARRAY_SUFFIXES, read_arrays
from restore.io.bart import is_bart
from restore.io.dicom import DicomImage, Modality, is_dicom, read_dicom
from restore.io.hdf5 import open_hdf5
from restore.io.images import write_images
from restore.io.kspace import KSpace, read_kspace
from restore.io.nifti import NIFTI_SUFFIXES, NiftiVolume, read_nifti
from restore.io.picture import Picture, read_picture, write_picture
from restore.io.placement import Placement
from restore.io.sinogram import HDF5_SUFFIXES, Sinogram, read_sinogram
from restore.io.tiff_stack import TIFF_SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor

Measurement = Picture | KSpace | Sinogram | DicomImage | NiftiVolume


def open_measurement(
    path: str | os.PathLike[str], *, verb: str | None = None, key: str | None = None
) -> Measurement:
    """Read any file that a verb reads.

    What holds k-space is told by its content (HDF5) or by its complex numbers (arrays). Of real
    numbers a `.npy` and a `.tif` are pictures, as for the verbs of pictures; a `.npz`, a `.mat` and
    a folder of TIFF are sinograms.

    Args:
        path: the file, or the folder of a series.
        verb: `mri` or `ct` where the content does not tell; another verb reads a picture.
        key: name of the array where the file holds several.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    path = Path(path)
    name = path.name.lower()
    if verb is None:
        verb = _verb_of(path, key)
    if verb == "mri":
        return read_kspace(path, key=key)
    if verb == "ct":
        return read_sinogram(path, key=key)
    if verb is None and name.endswith(NIFTI_SUFFIXES):
        return read_nifti(path)
    if verb is None and (path.is_dir() or is_dicom(path)):
        return read_dicom(path)
    return read_picture(path)


def save_image(
    path: str | os.PathLike[str],
    image: Tensor | NDArray[np.floating],
    *,
    like: Picture | None = None,
    modality: Modality | None = None,
    spacing: tuple[float, float, float] | None = None,
    placement: Placement | None = None,
) -> list[Path]:
    """Write a picture, or the images of a scan, whole or not at all.

    Args:
        path: the suffix says the format.
        image: of a picture [C, H, W] or [H, W] in [0, 1]; of a scan [slices, rows, columns] or
            [rows, columns] in any unit (HU for DICOM of CT); complex ones give their magnitude.
        like: the picture that was read: its depth, transparency and metadata are kept.
        modality: `MR` or `CT`: the images are of a scan. Without, they are where the format has no
            pictures (`.nii`, `.dcm`, `.h5`, `.cfl`), of MR.
        spacing: of a scan, mm of (rows, columns, slices).
        placement: of a scan, where its slices lie.

    Returns:
        The files.

    Raises:
        InputError: if the image has other axes, or the file cannot be written.
    """
    import torch

    path = Path(path)
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    array = (np.abs(array) if np.iscomplexobj(array) else array).astype(np.float32)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"{path}: the image is {list(array.shape)}, expected two or three axes")
    scans_only = (*NIFTI_SUFFIXES, ".dcm", ".h5", ".cfl")
    if modality is None and not path.name.lower().endswith(scans_only):
        write_picture(path, array, like)
        return [path]
    return write_images(path, array, modality or "MR", spacing=spacing, placement=placement)


def _verb_of(path: Path, key: str | None) -> str | None:
    """`mri` or `ct`, where the file tells; None of pictures and of images of scans."""
    suffix = path.suffix.lower()
    if is_bart(path):
        return "mri"
    if path.is_dir():
        tiff = any(file.suffix.lower() in TIFF_SUFFIXES for file in path.iterdir())
        return "ct" if tiff else None
    if suffix in HDF5_SUFFIXES:
        with open_hdf5(path) as file:
            return "ct" if "exchange" in file else "mri"
    if suffix in ARRAY_SUFFIXES:
        arrays = read_arrays(path)
        chosen = [arrays[key]] if key in arrays else arrays.values()
        if any(np.iscomplexobj(array) for array in chosen):
            return "mri"
        return None if suffix == ".npy" else "ct"
    return None
