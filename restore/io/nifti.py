"""NIfTI volumes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.atomic import atomic_path

NIFTI_SUFFIXES = (".nii", ".nii.gz")
# Voxels that are read; more is a damaged header.
_MOST = 2**30


def read_nifti(path: Path) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """Return a volume [slices, rows, columns] as it looks, and the mm of (rows, columns, slices).

    A NIfTI array counts x first, to the left or right, and y upwards: rows run from its last y to
    its first.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    import nibabel

    # Its remarks on a damaged header would reach the terminal besides our one line.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    try:
        image: Any = nibabel.load(path)
        shape = image.shape
        if len(shape) not in (2, 3, 4) or min(shape) < 1 or np.prod(shape, dtype=float) > _MOST:
            raise InputError(f"{path}: the volume is {list(shape)}, expected two or three axes")
        values = np.asarray(image.dataobj, dtype=np.float32)
        zooms = tuple(float(zoom) for zoom in image.header.get_zooms()[:3])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected NIfTI") from None
    except InputError:
        raise
    except Exception as error:  # nibabel raises what its decoders raise
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"{path}: {reason}, expected a whole NIfTI file") from error
    values = values.reshape(*values.shape[:3], *(1,) * (3 - values.ndim))[:, :, :, ...]
    if values.ndim == 4:
        values = values[..., 0]
    if not np.isfinite(values).all():
        raise InputError(f"{path}: values that are not finite, expected a volume")
    zooms = (*zooms, *(1.0,) * (3 - len(zooms)))
    volume = np.ascontiguousarray(values.transpose(2, 1, 0)[:, ::-1])
    return volume, (zooms[1], zooms[0], zooms[2])


def write_nifti(
    path: Path, volume: NDArray[Any], spacing: tuple[float, float, float] | None = None
) -> None:
    """Write a volume [slices, rows, columns], the mm of whose voxels are (rows, columns, slices).

    The axes are those of an axial picture seen from the feet, x to the left of the patient.
    """
    import nibabel

    rows, columns, slices = spacing or (1.0, 1.0, 1.0)
    values = np.ascontiguousarray(volume[:, ::-1].transpose(2, 1, 0), dtype=np.float32)
    affine = np.diag([-columns, rows, slices, 1.0])
    image: Any = nibabel.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        # By its own name nibabel tells whether to compress.
        named = temporary.with_name(temporary.name + "".join(path.suffixes[-2:]))
        try:
            nibabel.save(image, named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
