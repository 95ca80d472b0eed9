"""Images of attenuation: what is simulated from, compared with, and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.arrays import ARRAY_SUFFIXES, read_array
from restore.io.dicom import is_dicom, read_dicom
from restore.io.display import window_of, write_shown
from restore.io.images import write_images
from restore.io.nifti import NIFTI_SUFFIXES, read_nifti
from restore.io.picture import read_picture
from restore.io.placement import Placement
from restore.io.tiff_stack import TIFF_SUFFIXES, read_tiff_stack

# Below this an image is in HU; attenuation is not so negative.
_HU_BELOW = -100.0
# Of a picture, in units of the attenuation of water: about that of dense bone.
_WHITE = 2.0
# Window of the picture of a scan in HU.
_BRAIN_AND_BONE = (-200.0, 1200.0)

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Attenuation:
    """Images in 1/mm, or per pixel where there is no spacing.

    Attributes:
        values: [slices, rows, columns].
        spacing: mm of (rows, columns, slices), where the file says.
        header: of a DICOM source.
        placement: where the slices lie, where the file says.
        notes: what the user should know.
    """

    values: Images
    spacing: tuple[float, float, float] | None = None
    header: Any = None
    placement: Placement | None = None
    notes: list[str] = field(default_factory=list)


def read_attenuation(path: Path, mu_water: float, key: str | None = None) -> Attenuation:
    """Read a CT slice or series (DICOM, NIfTI), a float TIFF, an array or a picture.

    HU become μ = μ_water (1 + HU / 1000), at least 0. Arrays, TIFF and NIfTI are attenuation unless
    they have values below -100, which only HU have. White of a picture is twice water. A pixel of a
    picture, or of an array in HU, is 1 mm.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    name = path.name.lower()
    spacing = placement = None
    notes: list[str] = []
    if (path.is_dir() and not _holds_tiff(path)) or is_dicom(path):
        image = read_dicom(path)
        if image.modality != "CT":
            raise InputError(
                f"{path}: DICOM of modality {image.modality or 'unknown'}, expected CT"
            )
        notes += [*image.notes, f"HU to 1/mm with {mu_water:g}/mm for water"]
        values = _from_hu(image.values, mu_water)
        return Attenuation(values, image.spacing, image.header, image.placement, notes)
    if name.endswith(NIFTI_SUFFIXES):
        values, spacing, placement = read_nifti(path)
    elif name.endswith(TIFF_SUFFIXES) or path.is_dir():
        values = _image(path, read_tiff_stack(path))
    elif name.endswith(ARRAY_SUFFIXES):
        values = _image(path, read_array(path, key))
    else:
        picture = read_picture(path)
        values = picture.pixels.mean(0, keepdims=True).astype(np.float32) * _WHITE * mu_water
        notes.append(f"a picture: white is {_WHITE * mu_water:g}/mm, a pixel 1 mm")
        return Attenuation(values, (1.0, 1.0, 1.0), notes=notes)
    if float(values.min()) < _HU_BELOW:
        notes.append(f"values below {_HU_BELOW:g}: HU, to 1/mm with {mu_water:g}/mm for water")
        values = _from_hu(values, mu_water)
        if spacing is None:
            notes.append("a pixel is taken as 1 mm")
            spacing = (1.0, 1.0, 1.0)
    return Attenuation(values.clip(0), spacing, None, placement, notes)


def write_attenuation(
    path: Path,
    images: Images,
    about: Attenuation,
    mu_water: float,
    *,
    zero: float = -1000.0,
) -> list[Path]:
    """Write images [slices, rows, columns] in 1/mm as the suffix says; DICOM in HU.

    Args:
        path: the file.
        images: attenuation, or the standard deviation of one.
        about: what is known of them.
        mu_water: attenuation of water in 1/mm.
        zero: what 0 is in HU: -1000 of attenuation, 0 of a deviation.

    Returns:
        The files: one, or one a slice where the format has no volumes.
    """
    kind = path.suffix.lower()
    if kind == ".png":
        show_attenuation(path, images, about, mu_water)
        return [path]
    values = 1000 * (images / mu_water) + zero if kind == ".dcm" else images
    return write_images(
        path, values, "CT", spacing=about.spacing, placement=about.placement, header=about.header
    )


def show_attenuation(
    path: Path,
    images: Images,
    about: Attenuation,
    mu_water: float,
    white: float | None = None,
) -> None:
    """Write a PNG to look at: from -200 to 1200 HU of a CT slice, from 0 of anything else."""
    if about.header is not None and white is None:
        black, white = (mu_water * (1 + hu / 1000) for hu in _BRAIN_AND_BONE)
        write_shown(path, images, white, black)
    else:
        write_shown(path, images, window_of(images) if white is None else white)


def _from_hu(values: Images, mu_water: float) -> Images:
    attenuation: Images = (mu_water * (1 + values / 1000)).clip(0).astype(np.float32)
    return attenuation


def _holds_tiff(folder: Path) -> bool:
    return any(file.suffix.lower() in TIFF_SUFFIXES for file in folder.iterdir())


def _image(path: Path, array: NDArray[Any]) -> Images:
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or min(array.shape) < 1:
        raise InputError(
            f"{path}: {array.dtype} {list(array.shape)}, expected real numbers [rows, columns] or "
            "[slices, rows, columns]"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        values = array.astype(np.float32).reshape(-1, *array.shape[-2:])
    if not np.isfinite(values).all():
        raise InputError(f"{path}: values that are not finite, expected an image")
    return values
