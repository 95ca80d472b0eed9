"""From a file to k-space with its mask: measured, or simulated from a magnitude image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt, field_validator
from torch import Tensor

from operators.fourier import centred_fft
from restore.errors import InputError
from restore.io.arrays import ARRAY_SUFFIXES, read_array, write_array
from restore.io.bart import SLICES, is_bart, read_bart
from restore.io.dicom import is_dicom, read_dicom
from restore.io.kspace import KSpace, read_coil_maps, read_kspace, sampled
from restore.io.mri_hdf5 import MRI_HDF5_SUFFIXES, read_mri_images
from restore.io.nifti import NIFTI_SUFFIXES, read_nifti
from restore.io.picture import read_picture
from restore.io.placement import Placement
from restore.io.trajectory import read_density, read_samples, read_trajectory
from restore.mri.coils import prewhiten, simulated_coils
from restore.mri.masks import KINDS, LINES, make_mask
from restore.mri.phase import smooth_phase
from restore.noise import seeded_generator
from restore.tasks.memory import check_scan_room
from restore.tasks.scan import check_truth, slices_of
from restore.tasks.settings import RunSettings

SIMULATED_COILS = 8
CALIB_SIZE = 24
CENTER_FRACTION = 0.08
# Of what is bright: no model of a scanner is closer to the world.
LEAST_NOISE = 1e-3
Magnitudes = NDArray[np.float32]


class MriSettings(RunSettings):
    """What `restore mri` lets the user choose; σ is in units of an image scaled to about 1."""

    model: str = "brain"
    maps: Path | None = None
    calib: Literal["espirit"] = "espirit"
    calib_size: PositiveInt | None = None
    mask: str | None = None
    acceleration: float | None = None
    center_fraction: float | None = None
    slice: str = "all"
    key: str | None = None
    dc: Literal["centre", "corner"] = "centre"
    traj: Path | None = None
    dcf: Path | None = None
    size: tuple[PositiveInt, PositiveInt] | None = None
    coils: PositiveInt | None = None
    save_complex: bool = False

    @field_validator("acceleration")
    @classmethod
    def _acceleration_is_one(cls, value: float | None) -> float | None:
        if value is not None and not 1 <= value <= 1000:
            raise ValueError(f"{value} is no acceleration; expected a number from 1")
        return value


@dataclass(frozen=True)
class Measured:
    """k-space with what is known of it besides.

    Attributes:
        kspace: the data.
        truth: the true magnitudes [slices, H, W] in its unit; None where they are not known.
        maps: the coil maps of a simulation, [slices, 1, coils, H, W].
        noise: standard deviation per component of a simulation's noise, in the data's unit.
        header: of the DICOM file that was the source.
        placement: where the slices lie, where the file says.
    """

    kspace: KSpace
    truth: Magnitudes | None = None
    maps: Tensor | None = None
    noise: float | None = None
    header: Any = None
    placement: Placement | None = None


class _Source(NamedTuple):
    """Images [slices, H, W] to simulate from, with what their file says of them."""

    magnitude: Magnitudes
    spacing: tuple[float, float, float] | None = None
    header: Any = None
    placement: Placement | None = None
    notes: tuple[str, ...] = ()


def measured_kspace(source: Path, settings: MriSettings) -> KSpace:
    """Read k-space, of the slices that were chosen, with its trajectory where there is one.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """

    def choose(count: int) -> Sequence[int]:
        return slices_of(settings.slice, count, source)

    if settings.traj is not None:
        trajectory = read_trajectory(settings.traj, size=settings.size)
        samples = read_samples(source, trajectory, settings.key)
        weights = None if settings.dcf is None else read_density(settings.dcf, trajectory)
        whole = KSpace(samples, None, trajectory.places, weights, matrix=trajectory.matrix)
        kspace = whole.taken(choose)
    else:
        kspace = read_kspace(source, key=settings.key, dc=settings.dc, choose=choose)
    along = kspace.trajectory is not None
    if not along:  # maps of all slices are as large as their k-space
        slices, coils, *size = kspace.data.shape
        coils = min(coils, settings.coils or coils)
        estimated = coils > 1 and settings.maps is None
        check_scan_room(str(source), (slices, coils, *size), int(estimated))
    _refuse_unused(source, settings, along=along)
    if along:
        return kspace if settings.size is None else _of_size(kspace, settings.size)
    if kspace.alike:
        return kspace
    mask = sampled(kspace.data)
    for number, one in enumerate(kspace.data, kspace.first):
        if not np.array_equal(sampled(one[None]), mask):
            raise InputError(
                f"{source}: slice {number} is not sampled where others are, expected one pattern, "
                "or --slice"
            )
    return replace(kspace, mask=mask)


def _of_size(kspace: KSpace, size: tuple[int, int]) -> KSpace:
    """The same for an image of another matrix, whose pixels and middle stay where they are."""
    place, spacing, was = kspace.placement, kspace.spacing, kspace.matrix
    if place is not None and spacing is not None and was is not None:
        rows, columns = (old // 2 - new // 2 for old, new in zip(was, size, strict=True))
        moved = rows * spacing[0] * place.down + columns * spacing[1] * place.across
        place = replace(place, first=place.first + moved)
    return replace(kspace, matrix=size, placement=place)


def _refuse_unused(source: Path, settings: MriSettings, *, along: bool) -> None:
    """Refuse an option that would change nothing."""
    for name in ("maps", "traj", "calib_size") if settings.simulate else ():
        if getattr(settings, name) is not None:
            option = name.replace("_", "-")
            raise InputError(f"{source}: --{option} with --simulate, which makes the scan itself")
    if settings.calib_size is not None and settings.maps is not None:
        raise InputError(
            f"--calib-size {settings.calib_size}: --maps are given, expected one of the two"
        )
    if settings.dc == "corner" and (settings.simulate or settings.traj is not None):
        raise InputError(f"{source}: --dc corner, expected an array of k-space on a grid")
    if settings.dcf is not None and settings.traj is None:
        raise InputError(f"{source}: --dcf without a trajectory, expected --traj too")
    if along and (settings.mask or settings.acceleration):
        raise InputError(
            f"{source}: --mask of samples along a trajectory, expected those of a grid"
        )
    if settings.center_fraction is not None and _made(settings) is None:
        raise InputError(
            f"{source}: --center-fraction {settings.center_fraction:g} of no mask that is made, "
            f"expected --acceleration, or --mask {', '.join(KINDS)}"
        )
    if not along and settings.size is not None:
        raise InputError(f"{source}: --size of samples on a grid, expected --traj too")


def simulated_kspace(source: Path, settings: MriSettings, degraded: Path) -> Measured:
    """k-space of a magnitude image with simulated coils, phase and noise; written too."""
    _refuse_unused(source, settings, along=False)
    magnitude, spacing, header, placement, notes = _magnitudes(source, settings)
    count = settings.coils or SIMULATED_COILS
    _check_simulated(source, settings, magnitude.shape)
    images = torch.stack(
        [
            torch.from_numpy(one) * smooth_phase((one.shape[0], one.shape[1]), settings.seed + i)
            for i, one in enumerate(magnitude)
        ]
    )[:, None]
    size = (images.shape[-2], images.shape[-1])
    maps = simulated_coils(count, size) if count > 1 else None
    data = images.new_empty(len(images), count, *size)
    for row, image in zip(data, images, strict=True):  # beside which little else has room
        row.copy_(centred_fft(image if maps is None else maps * image))
    level = float(np.quantile(magnitude, 0.99))
    noise = LEAST_NOISE * level
    if isinstance(settings.sigma, float):
        generator = seeded_generator(settings.seed)
        noise = max(noise, settings.sigma * level)
        drawn = torch.randn((2, *data.shape), generator=generator).mul_(settings.sigma * level)
        torch.view_as_real(data).add_(drawn.movedim(0, -1))
    had = torch.ones(size, dtype=torch.bool)
    mask, _ = chosen_mask(source, settings, had)
    data.mul_(mask)
    write_array(degraded, data.numpy() if len(data) > 1 else data[0].numpy())
    kspace = KSpace(data.numpy(), mask.numpy(), spacing=spacing, notes=[*notes])
    full = None if maps is None else maps[None, None].expand(len(data), -1, -1, -1, -1)
    return Measured(kspace, magnitude, full, noise, header, placement)


def _check_simulated(source: Path, settings: MriSettings, shape: tuple[int, ...]) -> None:
    """Refuse images [slices, H, W] whose scan, and the noise drawn for it, have no room."""
    slices, *size = shape
    made = (slices, settings.coils or SIMULATED_COILS, *size)
    check_scan_room(str(source), made, 1 + isinstance(settings.sigma, float))


def check_scan(source: Path, settings: MriSettings) -> None:
    """Refuse a file that cannot be read, or that the settings do not fit; writes nothing.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    truth = None if settings.reference is None else reference_images(settings.reference)
    if settings.simulate:
        _refuse_unused(source, settings, along=False)
        slices, rows, columns = _magnitudes(source, settings).magnitude.shape
        had, size = torch.ones(rows, columns, dtype=torch.bool), (slices, rows, columns)
        _check_simulated(source, settings, size)
    else:
        kspace = measured_kspace(source, settings)
        if kspace.mask is None:  # along a trajectory, whose density may tell the size
            return
        had = torch.from_numpy(kspace.mask)
        size = (len(kspace.data), *(kspace.matrix or had.shape))
        if settings.maps is not None:
            given_maps(settings, kspace, had.shape)
    chosen_mask(source, settings, had)
    if truth is not None and settings.reference is not None:
        check_truth(truth, size, settings.reference)


def _magnitudes(source: Path, settings: MriSettings) -> _Source:
    """Of a picture, a DICOM file or series, a NIfTI volume or an array."""
    name = source.name.lower()
    if name.endswith(NIFTI_SUFFIXES):
        volume = read_nifti(source)
        found = _Source(volume.values, volume.spacing, None, volume.placement)
    elif source.is_dir() or is_dicom(source):
        image = read_dicom(source)
        notes = tuple(image.notes)
        found = _Source(image.values, image.spacing, image.header, image.placement, notes)
    elif name.endswith(ARRAY_SUFFIXES):
        found = _Source(_array_images(source, settings.key))
    else:
        found = _Source(read_picture(source).pixels.mean(0, keepdims=True))
    chosen = list(slices_of(settings.slice, len(found.magnitude), source))
    magnitude = found.magnitude[chosen].clip(0)
    if not magnitude.any():
        raise InputError(f"{source}: nothing above 0 in it, expected an image")
    placement = None if found.placement is None else found.placement.taken(chosen)
    return found._replace(magnitude=magnitude, placement=placement)


def _array_images(path: Path, key: str | None = None) -> Magnitudes:
    array = np.abs(read_array(path, key)).astype(np.float32)
    if array.ndim not in (2, 3) or not np.isfinite(array).all():
        raise InputError(
            f"{path}: the array is {list(array.shape)}, expected finite [rows, columns] or "
            "[slices, rows, columns]"
        )
    return array.reshape(-1, *array.shape[-2:])


def chosen_mask(
    source: Path, settings: MriSettings, had: Tensor, least: int = 0
) -> tuple[Tensor, str]:
    """The mask [H, W] of what is used, and how it came about.

    A mask that is made keeps at least so many lines of the middle, unless `center_fraction` is
    given.
    """
    size = (had.shape[0], had.shape[1])
    kind = _made(settings)
    if kind is not None:
        share = settings.center_fraction
        if share is None:
            side = size[1] if kind in LINES else min(size)
            share = max(CENTER_FRACTION, min(least / side, 1.0))
        try:
            chosen = make_mask(
                kind,
                size,
                settings.acceleration or 4.0,
                center_fraction=share,
                seed=settings.seed,
            )
        except ValueError as error:
            raise InputError(f"--mask {error}") from error
    elif settings.mask is None:
        return had, "as measured"
    elif settings.acceleration is not None:
        raise InputError(
            f"{source}: --acceleration {settings.acceleration:g} with --mask {settings.mask}, "
            f"expected one of the two, or --mask {', '.join(KINDS)}"
        )
    else:
        chosen, kind = _mask_file(Path(settings.mask), size, settings.dc), "file"
    both = chosen & had
    if not bool(both.any()):
        raise InputError(f"{source}: the mask keeps nothing of it, expected some samples")
    return both, kind


def _made(settings: MriSettings) -> str | None:
    """The kind of mask that is made; None where a file or the scan says what was sampled."""
    kind = settings.mask or (settings.acceleration and "equispaced")
    return kind if kind in KINDS else None


def _mask_file(path: Path, size: tuple[int, int], dc: str) -> Tensor:
    """A mask [H, W] that lies as the k-space it is for."""
    if is_bart(path):
        values = read_bart(path) != 0
    elif not path.exists():
        raise InputError(f"--mask {path}: no such file, expected one or {', '.join(KINDS)}")
    elif path.suffix.lower() in ARRAY_SUFFIXES:
        values = np.abs(read_array(path)) > 0
    else:
        values = read_picture(path).pixels.mean(0) > 0.5
    values = np.squeeze(values)
    if values.ndim == 1 and values.shape == (size[1],):
        values = np.broadcast_to(values, size)
    if values.shape != size:
        raise InputError(
            f"{path}: the mask is {list(values.shape)}, the scan {list(size)}, expected the same"
        )
    if not values.any():
        raise InputError(f"{path}: the mask is all zero, expected some samples")
    values = np.fft.fftshift(values) if dc == "corner" else values
    return torch.from_numpy(values.copy())


def given_maps(settings: MriSettings, kspace: KSpace, size: tuple[int, ...]) -> Tensor:
    """Maps of a file as [slices, sets, coils, H, W], of the coils that whitening leaves."""
    assert settings.maps is not None
    coils = kspace.data.shape[1]
    maps = torch.from_numpy(read_coil_maps(settings.maps))
    slices = len(kspace.data)
    if maps.ndim == 4 and len(maps) == slices > 1 and not is_bart(settings.maps):
        raise InputError(
            f"{settings.maps}: the maps are {list(maps.shape)}, which may be {slices} sets or of "
            f"{slices} slices; expected [slices, sets, coils, rows, columns]"
        )
    maps = maps[None] if maps.ndim == 4 else maps
    if maps.shape[2] != coils or tuple(maps.shape[3:]) != tuple(size):
        raise InputError(
            f"{settings.maps}: maps of {maps.shape[2]} coils, {list(maps.shape[3:])}; the scan has "
            f"{coils} coils, {list(size)}, expected the same"
        )
    if kspace.noise_covariance is None:
        return maps
    return prewhiten(maps, torch.from_numpy(kspace.noise_covariance))


def reference_images(path: Path) -> Magnitudes:
    """True images [slices, H, W] of any file that the verb writes, or fastMRI's of a scan.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    name = path.name.lower()
    if is_bart(path):
        array = np.abs(np.moveaxis(read_bart(path), SLICES, 0))
        if array.size != math.prod(array.shape[:3]):
            raise InputError(f"{path}: {list(array.shape)}, expected BART's images and slices")
        return array.reshape(array.shape[:3])
    if name.endswith(MRI_HDF5_SUFFIXES):
        return read_mri_images(path)
    if name.endswith(ARRAY_SUFFIXES):
        return _array_images(path)
    if name.endswith(NIFTI_SUFFIXES):
        return read_nifti(path).values
    if path.is_dir() or is_dicom(path):
        return read_dicom(path).values
    grey: Magnitudes = read_picture(path).pixels.mean(0, keepdims=True)
    return grey
