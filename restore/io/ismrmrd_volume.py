"""A volume of ISMRMRD, encoded in partitions, as slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.ismrmrd_lines import Line, averages_of, centred, gridded
from restore.io.kspace import KSpace, sampled
from restore.io.mri_grid import FieldOfView, at_resolution, image_along
from restore.io.mri_header import MriHeader
from restore.io.placement import Placement, placed_around

Complex = NDArray[np.complex64]
Extent = tuple[float, float]


def read_volume(
    path: Path, heads: Any, lines: list[Line], header: MriHeader
) -> tuple[KSpace, float]:
    """k-space of (phase, partition) at each position on the readout; its gaps count as 0.

    Args:
        path: the file, for what is said.
        heads: of the acquisitions.
        lines: likewise.
        header: of the scan.

    Returns:
        k-space, and of how many averages a sample is at least, as its noise has it.

    Raises:
        InputError: of several slabs, or lines that do not fit the encoded matrix.
    """
    planes = header.across_readout()
    places, count = _partitions(path, heads, heads["idx"]["kspace_encode_step_2"], planes)
    partitions, counts = gridded(path, heads, lines, header, places, count)
    notes, _ = averages_of(counts)
    averages = _averages(counts)
    length = partitions.shape[2]
    data = _along_readout(partitions, _wanted(length, header.fov, header.encoded_fov, 0))
    del partitions
    fov: FieldOfView = planes.encoded_fov or (None, None)
    data, matrix = at_resolution(path, data, planes, fov)
    extent = header.encoded_fov or header.fov
    spacing = None
    if planes.spacing is not None and extent is not None:
        spacing = (planes.spacing[0], planes.spacing[1], extent[0] / length)
    placement = _placement(
        heads[0],
        ("phase_dir", "slice_dir", "read_dir"),
        len(data),
        spacing,
        matrix or data.shape[2:],
    )
    notes = ["a volume: its slices along the readout", *notes]
    kspace = KSpace(
        data, sampled(data), matrix=matrix, spacing=spacing, placement=placement, notes=notes,
        alike=True,
    )  # fmt: skip
    return kspace, averages


def stacked(
    path: Path, kspace: KSpace, heads: Any, numbers: NDArray[np.int64], header: MriHeader
) -> tuple[KSpace, float]:
    """Slices of partitions that share a trajectory in their plane; missing ones count as 0.

    Args:
        path: the file, for what is said.
        kspace: [partitions, coils, samples].
        heads: of the acquisitions.
        numbers: of the partitions.
        header: of the scan.

    Returns:
        k-space of the slices, and of how many averages a sample of them is.

    Raises:
        InputError: of several slabs, or partitions that do not fit the encoded matrix.
    """
    planes = header.across_readout()
    places, count = _partitions(path, heads, numbers, planes)
    whole = np.zeros((count, *kspace.data.shape[1:]), dtype=np.complex64)
    whole[places] = kspace.data
    kept = _wanted(count, planes.fov, planes.encoded_fov, 1)
    first = count // 2 - kept // 2
    data = np.ascontiguousarray(image_along(whole, 0)[first : first + kept], dtype=np.complex64)
    extent = planes.encoded_fov or planes.fov
    spacing = None
    if header.spacing is not None and extent is not None:
        spacing = (header.spacing[0], header.spacing[1], extent[1] / count)
    placement = _placement(
        heads[0], ("read_dir", "phase_dir", "slice_dir"), kept, spacing, kspace.matrix or ()
    )
    notes = ["a volume: its slices along the partitions", *kspace.notes]
    made = replace(kspace, data=data, spacing=spacing, placement=placement, notes=notes)
    return made, count / len(numbers)


def _partitions(
    path: Path, heads: Any, numbers: NDArray[Any], planes: MriHeader
) -> tuple[NDArray[np.int64], int]:
    """Where partitions of these numbers lie, of how many."""
    slabs = len(set(heads["idx"]["slice"].tolist()))
    if slabs > 1:
        raise InputError(f"{path}: a volume of {slabs} slabs, expected one of them in a file")
    steps = numbers.astype(int)
    count = planes.encoded[1] if planes.encoded else int(steps.max()) + 1
    return centred(path, "partitions", steps, count, planes.center), count


def _averages(counts: NDArray[np.int64]) -> float:
    """By how much less a sample's noise varies along the readout than on its line, at least.

    What an asymmetric echo leaves out has none, and the transform gives every position the mean.

    Args:
        counts: of samples [partitions, readout, phase].
    """
    variance = np.divide(1, counts, out=np.zeros(counts.shape), where=counts > 0).mean(axis=1)
    return 1 / (float(variance.max()) or 1.0)


def _wanted(length: int, fov: Extent | None, encoded_fov: Extent | None, axis: int) -> int:
    """How much of an oversampled axis the image has."""
    if fov is None or encoded_fov is None:
        return length
    return max(round(length * min(fov[axis] / encoded_fov[axis], 1)), 1)


def _along_readout(partitions: Complex, kept: int) -> Complex:
    """[partitions, coils, readout, phase] to the middle of [readout, coils, phase, partitions]."""
    count, coils, length, phase = partitions.shape
    first = length // 2 - kept // 2
    slices = np.empty((kept, coils, phase, count), dtype=np.complex64)
    for at, partition in enumerate(partitions):  # all at once would take the memory twice
        middle = image_along(partition, 1)[:, first : first + kept]
        slices[..., at] = middle.transpose(1, 0, 2)
    return slices


def _placement(
    head: Any,
    axes: tuple[str, str, str],
    count: int,
    spacing: tuple[float, float, float] | None,
    size: tuple[int, ...],
) -> Placement | None:
    """Of a volume whose middle is where the acquisition says; None where it says nothing.

    Args:
        head: of an acquisition.
        axes: names of its directions of rows, columns and slices.
        count: of slices.
        spacing: mm along these.
        size: (rows, columns).
    """
    directions = np.array([head[name] for name in axes], np.float64)
    with np.errstate(invalid="ignore"):  # directions that are not finite are no place
        step = directions[2] * (spacing[2] if spacing else 0)
        slices = (np.arange(count) - count // 2)[:, None] * step
    middles = np.asarray(head["position"], np.float64) + slices
    return placed_around(middles, directions, spacing, size)
