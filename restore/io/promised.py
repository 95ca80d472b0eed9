"""What a file promises to hold, as its headers tell before anything is decoded.

Compressed, a small file can hold more than the memory does.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from restore.io.decode import let_pillow_read_heif
from restore.io.dicom import is_dicom
from restore.io.hdf5 import open_hdf5
from restore.io.mat5 import promised_by_mat5
from restore.io.nifti import NIFTI_SUFFIXES
from restore.io.refusal import Undecodable
from restore.io.sinogram import HDF5_SUFFIXES
from restore.io.tiff_stack import TIFF_SUFFIXES

# Numbers are read as float32 at least.
_LEAST_BYTES = 4
# Of deflated data, at most, to what they are deflated to.
_RATIO = 1032


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture; None where no header tells, of which the reader says why."""
    from PIL import Image

    with contextlib.suppress(Undecodable):
        let_pillow_read_heif()
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return _size_of_tiff(path)


def scan_bytes(path: Path) -> int:
    """Bytes that all numbers of a scan, or of an image of one, have in memory.

    At least the file's own, also of a file that promises nothing: its reader says why.

    Raises:
        InputError: of HDF5 that is damaged.
    """
    return max(path.stat().st_size, _promised(path))


def _promised(path: Path) -> int:
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return _promised_by_hdf5(path)
    if suffix in TIFF_SUFFIXES:
        return _promised_by_tiff(path)
    # A parser may raise anything on a damaged file.
    with contextlib.suppress(Exception):
        if suffix == ".mat":
            return promised_by_mat5(path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return sum(entry.file_size for entry in archive.infolist())
        if path.name.lower().endswith(NIFTI_SUFFIXES):
            return _promised_by_nifti(path)
        if is_dicom(path):
            return _promised_by_dicom(path)
        width, height = picture_size(path) or (0, 0)
        return 3 * _LEAST_BYTES * width * height
    return 0


def _size_of_tiff(path: Path) -> tuple[int, int] | None:
    import tifffile

    try:
        with path.open("rb") as stream, tifffile.TiffFile(stream) as file:
            page = file.pages.first
            return int(page.imagewidth), int(page.imagelength)
    except Exception:  # a parser may raise anything on what is no TIFF
        return None


def _promised_by_tiff(path: Path) -> int:
    import tifffile

    promised = 0
    # A parser may raise anything on a damaged file, of which the pages before are decoded.
    with (
        contextlib.suppress(Exception),
        path.open("rb") as stream,
        tifffile.TiffFile(stream) as file,
    ):
        for page in file.pages:
            promised += page.size * _least(np.dtype(page.dtype))
    return promised


def _promised_by_nifti(path: Path) -> int:
    import nibabel

    header: Any = nibabel.load(path).header
    return int(math.prod(header.get_data_shape())) * _least(header.get_data_dtype())


def _promised_by_dicom(path: Path) -> int:
    import pydicom
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if read_file_meta_info(path).TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        return _RATIO * path.stat().st_size
    header = pydicom.dcmread(path, stop_before_pixels=True)
    sides = (header.get(name, 1) for name in ("Rows", "Columns", "NumberOfFrames"))
    return _LEAST_BYTES * math.prod(int(side or 1) for side in sides)


def _least(kind: np.dtype[Any]) -> int:
    return max(kind.itemsize, _LEAST_BYTES)


def _promised_by_hdf5(path: Path) -> int:
    import h5py

    promised = 0

    def add(_: str, found: object) -> None:
        nonlocal promised
        if isinstance(found, h5py.Dataset):
            promised += math.prod(found.shape or (0,)) * _least(found.dtype)

    with open_hdf5(path) as file:
        file.visititems(add)
    return promised
