"""k-space files of every layout as one thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.arrays import ARRAY_SUFFIXES, read_array
from restore.io.bart import COILS, MAPS, SLICES, is_bart, read_bart
from restore.io.mri_grid import image_along
from restore.io.placement import Placement

Complex = NDArray[np.complex64]

Choose = Callable[[int], Sequence[int]]
"""Gives, of how many slices there are, the numbers of those to take, which follow each other."""

KSPACE_SUFFIXES = (".h5", ".hdf5", ".cfl", *ARRAY_SUFFIXES)


@dataclass(frozen=True)
class KSpace:
    """What was measured.

    Attributes:
        data: [slices, coils, rows, columns] with DC at (rows // 2, columns // 2), zero where
            nothing was sampled; or [slices, coils, samples] along a trajectory.
        mask: [rows, columns], what was sampled; None along a trajectory.
        trajectory: [samples, 2] in cycles per pixel, (rows, columns); None on a grid.
        density: [samples] weights that even the trajectory out; None where not given.
        noise_covariance: [coils, coils] of the complex noise, from a noise scan; None without.
        matrix: (rows, columns) of the image that is to be written, the middle of the field of
            view; None for all of it.
        spacing: mm of a pixel, (rows, columns, slices), where the file says.
        placement: where the slices of that matrix lie, likewise.
        notes: what the user should know.
        first: number in the file of the first slice.
        alike: whether the file says that all slices are sampled at the mask: a zero is a value.
    """

    data: Complex
    mask: NDArray[np.bool_] | None
    trajectory: NDArray[np.float64] | None = None
    density: NDArray[np.float64] | None = None
    noise_covariance: Complex | None = None
    matrix: tuple[int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    placement: Placement | None = None
    notes: list[str] = field(default_factory=list)
    first: int = 0
    alike: bool = False

    def taken(self, choose: Choose) -> KSpace:
        """Return some of the slices."""
        chosen = choose(len(self.data))
        placement = None if self.placement is None else self.placement.taken(chosen)
        return replace(self, data=self.data[part(chosen)], placement=placement, first=chosen[0])


def part(chosen: Sequence[int]) -> slice:
    """Numbers that follow each other, as an index."""
    return slice(chosen[0], chosen[-1] + 1)


def read_kspace(
    path: Path, *, key: str | None = None, dc: str = "centre", choose: Choose = range
) -> KSpace:
    """Read k-space from fastMRI's or ISMRMRD's HDF5, BART's pair, or an array.

    Args:
        path: the file; BART's also without suffix.
        key: name of the array where a file holds several.
        dc: where DC lies in a plain array: `centre`, or `corner` as an FFT of an image leaves it
            whose own origin is its first pixel, too.
        choose: which slices; by default all. The others of fastMRI's are not read.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    plain = path.suffix.lower() in ARRAY_SUFFIXES and not is_bart(path)
    if dc == "corner" and not plain:
        raise InputError(f"{path}: --dc corner is for arrays, whose files do not say where DC lies")
    if is_bart(path):
        kspace = _from_bart(path).taken(choose)
    elif path.suffix.lower() in (".h5", ".hdf5"):
        from restore.io.mri_hdf5 import read_mri_hdf5

        kspace = read_mri_hdf5(path, choose)
    elif plain:
        kspace = _from_array(path, read_array(path, key), dc, choose)
    else:
        raise InputError(
            f"{path}: the suffix is {path.suffix or 'missing'}, expected k-space "
            f"({', '.join(KSPACE_SUFFIXES)}), or --simulate for an image"
        )
    return _checked(path, kspace)


def read_coil_maps(path: Path) -> Complex:
    """Coil maps [sets, coils, rows, columns], or [slices, sets, coils, rows, columns].

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    if is_bart(path):
        array = read_bart(path)
        _only(path, array, (0, 1, 2, COILS, MAPS, SLICES))
        space = _space(path, array)
        moved = np.moveaxis(space, (SLICES, MAPS, COILS, 0, 1), (0, 1, 2, 3, 4))
        maps: NDArray[Any] = moved.reshape([*moved.shape][:5])
        maps = maps[0] if maps.shape[0] == 1 else maps
    elif path.suffix.lower() in (".h5", ".hdf5"):
        from restore.io.hdf5 import open_hdf5, read_dataset

        with open_hdf5(path) as file:
            names = [name for name in file if name in ("maps", "sens_maps")]
            maps = read_dataset(path, file, (names or ["maps"])[0])
    else:
        maps = read_array(path)
    maps = maps[None] if maps.ndim == 3 else maps
    if maps.ndim not in (4, 5):
        raise InputError(
            f"{path}: the maps are {list(maps.shape)}, expected [coils, rows, columns]"
        )
    if not np.isfinite(maps).all():
        raise InputError(f"{path}: values that are not finite, expected coil maps")
    if not maps.any():
        raise InputError(f"{path}: nothing but zeros, expected coil maps")
    return np.ascontiguousarray(maps, dtype=np.complex64)


def _from_array(path: Path, array: NDArray[Any], dc: str, choose: Choose) -> KSpace:
    if not np.iscomplexobj(array):
        raise InputError(
            f"{path}: real numbers ({array.dtype}), expected complex k-space, or --simulate for an "
            "image"
        )
    if array.ndim not in (2, 3, 4):
        raise InputError(
            f"{path}: the array is {list(array.shape)}, expected [rows, columns], [coils, rows, "
            "columns] or [slices, coils, rows, columns]"
        )
    whole = array.reshape(*(1,) * (4 - array.ndim), *array.shape)
    chosen = choose(len(whole))
    # Of some slices a copy, beside which the others need not be held.
    data = whole[part(chosen)].astype(np.complex64, copy=len(chosen) < len(whole))
    if dc == "corner":
        data = _from_corner(data)
    return KSpace(data, sampled(data), first=chosen[0])


def _from_corner(data: Complex) -> Complex:
    """What `fft2` makes of an image, as the centred transform of the same image has it.

    Of that one the origin is the middle of the image, which is a phase here: -1 to the power of
    row and column where the sides are even.
    """
    for axis in (-2, -1):
        side = data.shape[axis]
        turns = np.arange(side) * (side // 2) % side / side
        phase = np.exp(2j * np.pi * turns).astype(np.complex64)
        data = np.fft.fftshift(data * (phase[:, None] if axis == -2 else phase), axis)
    return data


def _from_bart(path: Path) -> KSpace:
    array = read_bart(path)
    _only(path, array, (0, 1, 2, COILS, SLICES))
    space = array[:, :, :, :, 0, 0, 0, 0, 0, 0, 0, 0, 0, :, 0, 0]
    notes = list[str]()
    if min(space.shape[:3]) > 1:
        # A volume whose first axis is fully sampled is a stack of slices along it.
        planes = (space != 0).any((3, 4))
        if (planes.any(0) != planes.all(0)).any():
            held = int(planes.any((1, 2)).sum())
            raise InputError(
                f"{path}: a volume that is not sampled all along its first axis ({held} of "
                f"{len(planes)} planes hold something), expected images, or all of that axis"
            )
        if space.shape[-1] > 1:
            raise InputError(f"{path}: {space.shape[-1]} volumes (dimension 13), expected one")
        space = image_along(space, 0)
        notes.append("a volume: its slices along the first axis")
        data = space[..., 0].transpose(0, 3, 1, 2)
    else:
        flat = _space(path, array)[:, :, 0]
        data = flat.reshape(*flat.shape[:2], array.shape[COILS], -1).transpose(3, 2, 0, 1)
    data = np.ascontiguousarray(data, dtype=np.complex64)
    return KSpace(data, sampled(data), notes=notes, alike=bool(notes))


def _space(path: Path, array: Complex) -> Complex:
    """The array with its two axes of an image first."""
    if array.shape[0] == 1 and array.shape[2] > 1:
        return np.moveaxis(array, 0, 2)
    if min(array.shape[:3]) > 1:
        raise InputError(f"{path}: {list(array.shape[:3])} is a volume, expected images")
    return array


def _only(path: Path, array: Complex, known: tuple[int, ...]) -> None:
    for axis, side in enumerate(array.shape):
        if side > 1 and axis not in known:
            raise InputError(
                f"{path}: dimension {axis} has {side} entries, expected 1 (only space, coils, maps "
                "and slices are read)"
            )


def sampled(data: Complex) -> NDArray[np.bool_]:
    """What was sampled of [slices, coils, rows, columns]: what is not zero in all of them."""
    with np.errstate(invalid="ignore"):  # what is not finite is refused as such
        measured: NDArray[np.bool_] = (data != 0).any(axis=(0, 1))
    return measured


def _checked(path: Path, kspace: KSpace) -> KSpace:
    if not np.isfinite(kspace.data).all():
        raise InputError(f"{path}: values that are not finite, expected k-space")
    if not kspace.data.any():
        raise InputError(f"{path}: nothing but zeros, expected k-space")
    return kspace
