"""From k-space to the linear inverse problem of an image, with what is known of it besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators import CartesianMRI, LinearOperator, NonCartesianMRI, SenseMRI, density_compensation
from operators.fourier import centred_ifft
from restore.errors import InputError, counted
from restore.io.kspace import KSpace
from restore.io.placement import Placement
from restore.methods.base import StepCallback
from restore.mri.baselines import cg_sense, l1_wavelet, total_variation, zero_filled
from restore.mri.coils import combined, compress_coils, prewhiten
from restore.mri.masks import KINDS
from restore.mri.noise import kspace_noise, trajectory_noise, whitened_noise
from restore.problem import Problem
from restore.tasks.coil_maps import LEAST_LINES, estimated_maps, maps_along
from restore.tasks.memory import check_scan_room
from restore.tasks.mri_input import (
    CALIB_SIZE,
    LEAST_NOISE,
    Magnitudes,
    Measured,
    MriSettings,
    chosen_mask,
    given_maps,
    reference_images,
)
from restore.tasks.scan import Estimate, Scan, check_truth
from restore.tasks.total_variation import weight_of

# What a sampler starts from, and results are compared with.
BASELINE = "cg-sense"
STEPS = 10


@dataclass(frozen=True)
class About:
    """What the writers need besides the images.

    Attributes:
        spacing: mm of a pixel, (rows, columns, slices).
        header: of the DICOM file that was the source.
        placement: where the slices lie, where the file says.
        matrix: (rows, columns) that are written, the middle of the field of view; None for all.
    """

    spacing: tuple[float, float, float] | None
    header: Any = None
    placement: Placement | None = None
    matrix: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Acquisition:
    """What was measured of an image, by which operator.

    Attributes:
        operator: A.
        y: k-space [slices, coils, ...], in the unit of the file.
        edge: standard deviation per component of the noise, of the edge of k-space.
        described: A's parameters, for the sidecar.
        notes: what the user should know.
        truth: the true magnitudes [slices, H, W] in that unit, where they are known.
        density: weights of the samples of a trajectory.
    """

    operator: LinearOperator
    y: Tensor
    edge: float
    described: dict[str, Any]
    notes: list[str]
    truth: Magnitudes | None
    density: Tensor | None = None


def mri_scan(source: Path, settings: MriSettings, device: torch.device, measured: Measured) -> Scan:
    """The problem of an image scaled to about 1, with its classical reconstructions.

    Args:
        source: the file, for what is said.
        settings: what the user chose.
        device: where the solution runs.
        measured: what was read of the file, or simulated; y takes the place of its k-space, which
            may fill half of the memory.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    data = _of_fewer_coils(source, settings, measured.kspace)
    acquire = _gridded if measured.kspace.trajectory is None else _along
    acquired = acquire(source, settings, measured, data)
    operator, y, density = acquired.operator, acquired.y, acquired.density
    matrix = None if density is not None else measured.kspace.matrix
    back = _direct(operator, y, settings, density)
    scale = float(np.quantile(back.abs().numpy(), 0.99))
    if not scale > 0:
        raise InputError(f"{source}: the zero-filled image is empty, expected k-space")
    sigma, notes = _noise(settings, measured, acquired.edge, scale)
    operator, y = operator.to(device), y.div_(scale).to(device)
    weights = None if density is None else density.to(device)
    problem = Problem(operator, y, sigma)
    seen = support(operator)

    def image(x: Tensor) -> Tensor:
        return cropped(_magnitude(x * seen), matrix) * scale

    truth = acquired.truth
    if settings.reference is not None:
        truth = reference_images(settings.reference)
    elif truth is not None:
        truth = cropped(torch.from_numpy(truth), matrix).numpy()
    if truth is not None:
        size = tuple(image(back.to(device)[None]).shape[1:])
        check_truth(truth, size, settings.reference or source)
    classical: dict[str, Callable[[StepCallback | None], Tensor]] = {
        "zero-filled": lambda _: _direct(operator, y, settings, weights),
        "cg-sense": lambda on_step: _by_slice(
            operator, y, partial(cg_sense, noise_std=max(sigma, 1e-3), iterations=STEPS), on_step
        ),
        "l1-wavelet": lambda on_step: _by_slice(operator, y, l1_wavelet, on_step),
        "tv": lambda on_step: _by_slice(
            operator, y, partial(total_variation, weight=weight_of(problem)), on_step
        ),
    }
    return Scan(
        problem=problem,
        classical={name: Estimate(make) for name, make in classical.items()},
        start=BASELINE,
        baseline=BASELINE,
        image=image,
        scale=scale,
        operator={"name": operator.name} | acquired.described,
        notes=[*acquired.notes, *notes],
        truth=truth,
        about=About(
            measured.kspace.spacing,
            measured.header,
            measured.placement or measured.kspace.placement,
            matrix,
        ),
        resolved={"mask": settings.mask and _absolute(settings.mask)}
        | ({} if settings.simulate else {"sigma": sigma}),
        sidecar={"coils": int(y.shape[1]), "acceleration": acquired.described.get("acceleration")},
    )


def _by_slice(
    operator: LinearOperator,
    y: Tensor,
    estimate: Callable[[LinearOperator, Tensor], Tensor],
    on_step: StepCallback | None = None,
) -> Tensor:
    """Estimate each slice alone, in a third of the time that arrays of all of them take."""
    found = list[Tensor]()
    for number in torch.arange(len(y), device=y.device)[:, None]:
        found.append(estimate(operator.take(number), y[len(found)][None]))
        if on_step is not None:
            on_step(len(found), len(y), found[-1])
    return torch.cat(found)


def _of_fewer_coils(source: Path, settings: MriSettings, kspace: KSpace) -> Tensor:
    """k-space whose coils have noise of one level, of as few of them as were asked for."""
    data = torch.from_numpy(kspace.data)
    images = data if data.ndim == 4 else data[..., None]
    if kspace.noise_covariance is not None:
        try:
            images = prewhiten(images, torch.from_numpy(kspace.noise_covariance))
        except ValueError as error:
            raise InputError(f"{source}: {error}") from error
    if settings.coils is not None and settings.coils < data.shape[1]:
        if settings.maps is not None:
            raise InputError(f"--coils {settings.coils}: --maps are given, expected one of the two")
        images = compress_coils(images, settings.coils)
    return images.reshape(*images.shape[:2], *data.shape[2:])


def _gridded(source: Path, settings: MriSettings, measured: Measured, full: Tensor) -> _Acquisition:
    """Of k-space on a grid, what the mask keeps."""
    kspace = measured.kspace
    assert kspace.mask is not None
    had = torch.from_numpy(kspace.mask)
    estimated = full.shape[1] > 1 and measured.maps is None and settings.maps is None
    mask, kind = chosen_mask(source, settings, had, LEAST_LINES if estimated else 0)
    maps, notes = _maps(source, settings, measured, full, mask)

    def masked(mask: Tensor) -> LinearOperator:
        if maps is None:
            return CartesianMRI(mask, (1, *mask.shape))
        return SenseMRI(maps, mask, copy=False)

    # What was taken away is known: the whole scan, combined by the same maps, is the truth.
    truth = measured.truth
    taken_away = bool(had.all()) and not bool(mask.all())
    if truth is None and settings.reference is None and taken_away:
        truth = _magnitude(_direct(masked(had), full, settings)[None])[0].numpy()
    y = full.mul_(mask)
    return _Acquisition(
        operator=masked(mask),
        y=y,
        edge=kspace_noise(y, mask),
        described={"mask": kind, "acceleration": mask.numel() / int(mask.sum())},
        notes=[*kspace.notes, *notes],
        truth=truth,
    )


def _along(source: Path, settings: MriSettings, measured: Measured, data: Tensor) -> _Acquisition:
    """Of samples along a trajectory, with the weights of its density."""
    kspace = measured.kspace
    assert kspace.trajectory is not None
    trajectory = torch.from_numpy(kspace.trajectory)
    size = settings.size or kspace.matrix or _matrix_of(trajectory)
    slices, coils = data.shape[:2]
    estimated = coils > 1 and settings.maps is None
    # Estimated maps, of which the operator has a copy, may be larger than what was measured.
    check_scan_room(str(source), (slices, coils, *size), 2 * estimated)
    density = (
        torch.from_numpy(kspace.density).float()
        if kspace.density is not None
        else density_compensation(trajectory, (1, *size))
    )
    edge = trajectory_noise(data, trajectory)
    maps, notes = None, list[str]()
    if settings.maps is not None:
        given = given_maps(settings, kspace, size)
        if given.shape[0] not in (1, slices) or given.shape[1] != 1:
            raise InputError(
                f"{settings.maps}: maps of {counted(len(given), 'slice')} in "
                f"{counted(given.shape[1], 'set')}, expected one set along a trajectory, of one "
                f"slice or of {slices}"
            )
        maps = given[:, 0]
    elif estimated:
        plain = NonCartesianMRI(trajectory, (1, *size))
        noise = min(_noise_levels(kspace, edge).values())
        calib_size = settings.calib_size or CALIB_SIZE
        maps = data.new_empty(slices, coils, *size)
        for row, one in zip(maps, data, strict=True):
            found, said = maps_along(plain, one, density, calib_size, noise, source)
            row.copy_(found)
            notes += said
        notes = list(dict.fromkeys(notes))
    operator = NonCartesianMRI(trajectory, (1, *size), maps)
    # Weights of any scale are there: with theirs the image is the one that fits best.
    fit = _by_slice(operator, data, lambda A, y: A(A.adjoint(density * y)))
    density = density * float((fit.conj() * data).real.sum() / fit.abs().square().sum())
    return _Acquisition(
        operator=operator,
        y=data,
        edge=edge,
        described={"mask": "trajectory", "samples": len(trajectory)},
        notes=[*kspace.notes, *notes],
        truth=measured.truth,
        density=density,
    )


def _maps(
    source: Path, settings: MriSettings, measured: Measured, full: Tensor, mask: Tensor
) -> tuple[Tensor | None, list[str]]:
    """Coil maps [slices, sets, coils, H, W], given or estimated; None for one coil without."""
    if measured.maps is not None:
        return measured.maps, []
    if settings.maps is not None:
        maps = given_maps(settings, measured.kspace, tuple(mask.shape))
        if maps.shape[0] not in (1, full.shape[0]):
            raise InputError(
                f"{settings.maps}: maps of {maps.shape[0]} slices, the scan has "
                f"{full.shape[0]}, expected as many, or one"
            )
        return maps.expand(full.shape[0], -1, -1, -1, -1), []
    if full.shape[1] == 1:
        return None, []
    # Of two sets, where there are any; memory that is not written to is not taken.
    maps, counts, notes = full.new_empty(len(full), 2, *full.shape[1:]), list[int](), list[str]()
    for row, one in zip(maps, full, strict=True):
        kept = one * mask
        levels = _noise_levels(measured.kspace, kspace_noise(kept, mask))
        noise = min(levels.values())
        found, said = estimated_maps(kept, settings.calib_size or CALIB_SIZE, mask, noise, source)
        row[: len(found)] = found
        counts.append(len(found))
        notes += said
    sets = max(counts)
    for row, count in zip(maps, counts, strict=True):
        row[count:sets] = 0
    return maps[:, :sets], list(dict.fromkeys(notes))


def _noise(
    settings: MriSettings, measured: Measured, edge: float, scale: float
) -> tuple[float, list[str]]:
    """σ of an image scaled to about 1, of the least of what is known, and what to say of it."""
    if measured.noise is not None:
        return measured.noise / scale, []
    if isinstance(settings.sigma, float):
        return settings.sigma, []
    known = _noise_levels(measured.kspace, edge)
    where = min(known, key=known.__getitem__)
    sigma = max(known[where] / scale, LEAST_NOISE)
    return sigma, [f"noise estimated from {where}: sigma {sigma:.4f}"]


def _noise_levels(kspace: KSpace, edge: float) -> dict[str, float]:
    """What is known of the noise per component: its edge, and its noise scan where there is one.

    Signal makes the edge too noisy, and averages what the noise scan says: never less noise.
    """
    known = {"the edge of k-space": edge}
    if kspace.noise_covariance is not None:
        known["the noise scan"] = whitened_noise(torch.from_numpy(kspace.noise_covariance))
    return known


def _matrix_of(trajectory: Tensor) -> tuple[int, int]:
    """A matrix for samples that fill a disc: as many pixels as samples, at most."""
    side = 2 * round(max(16.0, (len(trajectory) * 4 / torch.pi) ** 0.5) / 2)
    return min(side, 512), min(side, 512)


def _direct(
    operator: LinearOperator, y: Tensor, settings: MriSettings, density: Tensor | None = None
) -> Tensor:
    """The image without any iteration; maps that were given may have squares of any sum."""

    def estimate(operator: LinearOperator, y: Tensor) -> Tensor:
        if settings.maps is not None and isinstance(operator, SenseMRI):
            return combined(centred_ifft(y), operator.coil_maps)
        return zero_filled(operator, y, density)

    return _by_slice(operator, y, estimate)


def support(operator: LinearOperator) -> Tensor:
    """1 where any coil sees, 0 elsewhere."""
    if isinstance(operator, SenseMRI):
        return (operator.coil_maps != 0).any(-3).to(operator.domain.real_dtype)
    return torch.ones(operator.domain.shape, device=operator.device)


def _magnitude(x: Tensor) -> Tensor:
    """[..., sets, H, W] to [..., H, W]."""
    magnitude: Tensor = x.abs().square().sum(-3).sqrt()
    return magnitude


def cropped(images: Tensor, matrix: tuple[int, int] | None) -> Tensor:
    """The middle of images [..., H, W], of that many rows and columns; None for all of them."""
    if matrix is None:
        return images
    # The middle of either is at side // 2.
    top, left = (side // 2 - m // 2 for side, m in zip(images.shape[-2:], matrix, strict=True))
    return images[..., top : top + matrix[0], left : left + matrix[1]]


def _absolute(mask: str) -> str:
    return mask if mask in KINDS else str(Path(mask).absolute())
