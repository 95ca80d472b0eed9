"""NIfTI volumes."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError, reason_of
from restore.io.atomic import write_bytes
from restore.io.placement import Placement, placed, standard_placement
from restore.io.refusal import check_plain

NIFTI_SUFFIXES = (".nii", ".nii.gz")
# Voxels that are read; more is a damaged header.
_MOST = 2**30
# Millimetres of the header's unit of lengths (metre, micrometre), and the bits that say it.
_UNITS, _SPATIAL = {1: 1e3, 3: 1e-3}, 7
# Of gzip: nibabel's own, for noise in the low bits shrinks little.
_LEVEL = 1
# From DICOM's axes (left, back, head) to NIfTI's (right, front, head), and back.
_TURNED = np.array([-1.0, -1.0, 1.0])


class NiftiVolume(NamedTuple):
    """A volume as it looks.

    Attributes:
        values: [slices, rows, columns].
        spacing: mm of (rows, columns, slices); 1 where the file says nothing.
        placement: where the slices lie; None where the file does not say.
    """

    values: NDArray[np.float32]
    spacing: tuple[float, float, float]
    placement: Placement | None


def read_nifti(path: Path) -> NiftiVolume:
    """Read a volume; complex numbers give their magnitude.

    A NIfTI array counts x first, to the left or right, and y upwards: rows run from its last y to
    its first.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    import nibabel

    # Its remarks on a damaged header would reach the terminal besides our one line.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    check_plain(path, "NIfTI")
    try:
        image: Any = nibabel.load(path)
        shape = image.shape
        if len(shape) not in (2, 3, 4) or min(shape) < 1 or np.prod(shape, dtype=float) > _MOST:
            raise InputError(f"{path}: the volume is {list(shape)}, expected two or three axes")
        if np.prod(shape[3:]) > 1:
            raise InputError(f"{path}: {shape[3]} volumes of {list(shape[:3])}, expected one")
        kind = image.get_data_dtype().kind
        if kind not in "biufc":
            raise InputError(f"{path}: colours, expected one number a voxel")
        stored: Any = image.dataobj
        stored = np.abs(stored) if kind == "c" else stored
        values = np.asarray(stored, dtype=np.float32)
        unit = _UNITS.get(int(image.header["xyzt_units"]) & _SPATIAL, 1.0)
        zooms = tuple(unit * float(zoom) for zoom in image.header.get_zooms()[:3])
        affine = np.asarray(image.affine, dtype=np.float64)
        affine[:3] *= unit
        # Without either, nibabel makes up an affine from the shape.
        known = any(int(image.header[code]) > 0 for code in ("sform_code", "qform_code"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected NIfTI") from None
    except InputError:
        raise
    except Exception as error:  # nibabel raises what its decoders raise
        raise InputError(f"{path}: {reason_of(error)}, expected a whole NIfTI file") from error
    values = values.reshape(*shape[:2], -1)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: values that are not finite, expected a volume")
    zooms = tuple(z if np.isfinite(z) and z > 0 else 1.0 for z in (*zooms, 1.0, 1.0)[:3])
    volume = np.ascontiguousarray(values.transpose(2, 1, 0)[:, ::-1])
    placement = _placement(affine, volume.shape) if known else None
    return NiftiVolume(volume, (zooms[1], zooms[0], zooms[2]), placement)


def _placement(affine: NDArray[np.float64], shape: tuple[int, ...]) -> Placement | None:
    """Of a volume [slices, rows, columns] whose rows run from the last y to the first."""
    turned = _TURNED[:, None] * affine[:3]
    first = turned[:, 3] + (shape[1] - 1) * turned[:, 1]
    steps = np.arange(shape[0])[:, None] * turned[:, 2]
    return placed(first + steps, turned[:, 0], -turned[:, 1])


def write_nifti(
    path: Path,
    volume: NDArray[Any],
    spacing: tuple[float, float, float] | None = None,
    placement: Placement | None = None,
) -> None:
    """Write a volume [slices, rows, columns], the mm of whose voxels are (rows, columns, slices).

    Where no placement is given, the axes are those of an axial picture seen from the feet, x to the
    left of the patient, and the first voxel is at 0.
    """
    import nibabel

    rows, columns, slices = spacing or (1.0, 1.0, 1.0)
    values = np.ascontiguousarray(volume[:, ::-1].transpose(2, 1, 0), dtype=np.float32)
    place = placement or standard_placement(len(volume), slices)
    several = len(place.first) > 1
    step = (
        (place.first[-1] - place.first[0]) / (len(place.first) - 1)
        if several
        else slices * place.normal
    )
    affine = np.eye(4)
    axes = [columns * place.across, -rows * place.down, step]
    affine[:3, :3] = _TURNED[:, None] * np.stack(axes, axis=1)
    if placement is not None:
        corner = place.first[0] + (volume.shape[1] - 1) * rows * place.down
        affine[:3, 3] = _TURNED * corner
    image: Any = nibabel.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    data = image.to_bytes()
    packed = path.suffix.lower() == ".gz"
    write_bytes(path, gzip.compress(data, _LEVEL, mtime=0) if packed else data)
