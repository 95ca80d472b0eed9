"""ISMRMRD: a scan as the list of its acquisitions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError, counted
from restore.io.hdf5 import read_dataset
from restore.io.ismrmrd_lines import Line, averages_of, flagged, gridded, read_line
from restore.io.ismrmrd_volume import read_volume, stacked
from restore.io.kspace import KSpace, sampled
from restore.io.mri_grid import FieldOfView, at_resolution, without_oversampling
from restore.io.mri_header import MriHeader
from restore.io.placement import Placement, placed_around

Complex = NDArray[np.complex64]

# Bits of an acquisition's flags, counted from 1 as ISMRMRD does.
_NOISE = 19
# Navigation, phase correction, feedback, dummy scans, coil correction, phase stabilisation.
_NOT_IMAGING = (23, 24, 26, 27, 28, 29, 30, 31)
# A line for coil maps alone, and one that is of the image too.
_CALIBRATION, _ALSO_IMAGING = 20, 21
# What makes images of their own of the same slice; only averages and repetitions are averaged.
_SERIES = ("contrast", "phase", "set")
# Of a radial or spiral scan's extent, that rounding may add.
_SLACK = 1e-3
# Ratio of two sampling times, beyond which they are no real ones.
_UNLIKE = 1e3
# Of a step between slices, by which others may differ.
_EVEN = 0.01


def read_ismrmrd(path: Path, file: Any, group: str) -> KSpace:
    """Read the first encoding of a group, in the order in which its slices lie.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    texts = read_dataset(path, file, f"{group}/xml").ravel()
    if not len(texts):
        raise InputError(f"{path}: {group}/xml is empty, expected ISMRMRD's XML")
    header = MriHeader(path, texts[0])
    rows = read_dataset(path, file, f"{group}/data")
    if rows.dtype.names is None or not {"head", "data"} <= set(rows.dtype.names) or not len(rows):
        raise InputError(f"{path}: {group}/data is {rows.dtype}, expected acquisitions")
    heads, flags = rows["head"], rows["head"]["flags"]
    noise = flagged(flags, _NOISE)
    other = np.zeros(len(rows), dtype=bool)
    for bit in _NOT_IMAGING:
        other |= flagged(flags, bit)
    apart = flagged(flags, _CALIBRATION) & ~flagged(flags, _ALSO_IMAGING) & header.calibrated_apart
    other |= apart
    # Scans of other encodings, for the coils mostly, are no lines of this image.
    other |= heads["encoding_space_ref"] != 0
    imaging = np.flatnonzero(~noise & ~other)
    if not len(imaging):
        raise InputError(f"{path}: no acquisition of an image among {len(rows)}, expected some")
    coils = {int(heads["active_channels"][i]) for i in imaging}
    if len(coils) != 1:
        raise InputError(f"{path}: {sorted(coils)} coils in one scan, expected one number")
    for name in _SERIES:
        count = len(set(heads["idx"][name][imaging].tolist()))
        if count > 1:
            raise InputError(
                f"{path}: {count} images of each slice by `{name}`, expected one of them in a file"
            )
    volume = len(set(heads["idx"]["kspace_encode_step_2"][imaging].tolist())) > 1
    covariance = _noise_covariance(path, rows, np.flatnonzero(noise), imaging, coils)
    lines = [read_line(path, rows[i]) for i in imaging]
    kspace, averages = _read(path, rows[imaging], lines, header, volume=volume)
    if count := int(apart.sum()):
        note = f"{counted(count, 'line')} of a separate scan for coil maps left out"
        kspace = replace(kspace, notes=[*kspace.notes, note])
    return replace(kspace, noise_covariance=None if covariance is None else covariance / averages)


def _read(
    path: Path, rows: Any, lines: list[Line], header: MriHeader, *, volume: bool
) -> tuple[KSpace, float]:
    """The image's k-space in its place, and of how many averages a sample is at least."""
    heads, on_grid = rows["head"], header.trajectory == "cartesian"
    if on_grid and volume:
        return read_volume(path, heads, lines, header)
    if on_grid:
        kspace, numbers, averages = _on_grid(path, heads, lines, header)
    else:
        parts = heads["idx"]["kspace_encode_step_2" if volume else "slice"].astype(int)
        kspace, numbers = _along(path, rows, lines, header, parts)
        averages = 1
        if volume:
            return stacked(path, kspace, heads, numbers, header)
    return _in_place(replace(kspace, spacing=header.spacing), heads, numbers), averages


def _on_grid(
    path: Path, heads: Any, lines: list[Line], header: MriHeader
) -> tuple[KSpace, NDArray[np.int64], int]:
    """The image's k-space, the numbers of its slices, and of how many a sample is the mean."""
    slices = heads["idx"]["slice"].astype(int)
    if slices.max() >= len(lines):
        raise InputError(
            f"{path}: slice {slices.max()} of {len(lines)} lines, expected some of each slice"
        )
    data, counts = gridded(path, heads, lines, header, slices, int(slices.max()) + 1)
    notes, least = averages_of(counts)
    data, _ = without_oversampling(data, counts > 0, header)
    fov: FieldOfView = None, None
    if header.fov is not None and header.encoded_fov is not None:
        fov = (min(header.fov[0], header.encoded_fov[0]), header.encoded_fov[1])
    data, matrix = at_resolution(path, data, header, fov)
    return KSpace(data, sampled(data), matrix=matrix, notes=notes), np.arange(len(data)), least


def _along(
    path: Path, rows: Any, lines: list[Line], header: MriHeader, of: NDArray[np.int64]
) -> tuple[KSpace, NDArray[np.int64]]:
    """Samples along a trajectory that all slices, or partitions, share, and their numbers.

    A reversed line stays so: beside each sample lies the place where it was taken.

    Args:
        path: the file, for what is said.
        rows: the acquisitions.
        lines: likewise.
        header: of the scan.
        of: the slice, or partition, of each.
    """
    numbers = np.unique(of)
    parts = [np.flatnonzero(of == number) for number in numbers]
    trajectory, *others = [
        np.concatenate([_places(path, rows[i], lines[i], header) for i in part]) for part in parts
    ]
    if any(not np.array_equal(other, trajectory) for other in others):
        raise InputError(
            f"{path}: {len(parts)} slices or partitions with trajectories of their own, "
            "expected the same one"
        )
    matrix = header.matrix
    if matrix is None:
        raise InputError(f"{path}: no matrix in the header, expected the size of the image")
    if not len(trajectory):
        raise InputError(f"{path}: every sample is discarded, expected some of an image")
    reach, most = float(np.abs(trajectory).max()), max(matrix) / 2
    if not reach <= 0.5 * (1 + _SLACK):
        trajectory = trajectory / np.asarray(matrix)
        if not np.abs(trajectory).max() <= 0.5 * (1 + _SLACK) or math.isclose(
            reach, math.pi, rel_tol=0.02
        ):
            raise InputError(
                f"{path}: the trajectory reaches {reach:.4g}, expected ±0.5 (cycles per pixel) or "
                f"±{most:g} (per field of view)"
            )
    data = [
        np.concatenate([lines[i].values[:, lines[i].kept] for i in part], axis=1) for part in parts
    ]
    places = trajectory.clip(-0.5, 0.5)
    return KSpace(np.stack(data), None, trajectory=places, matrix=matrix), numbers


def _places(path: Path, row: Any, line: Line, header: MriHeader) -> NDArray[np.float64]:
    """Where the samples of a line were taken that are not discarded, [samples, 2]."""
    dimensions = int(row["head"]["trajectory_dimensions"])
    if dimensions not in (2, 3):
        raise InputError(
            f"{path}: {header.trajectory} without a trajectory, expected one beside each line"
        )
    places = np.asarray(row["traj"], dtype=np.float64)
    if places.size != dimensions * line.kept.size:
        raise InputError(
            f"{path}: {line.kept.size} samples at {places.size} coordinates, expected {dimensions} "
            "of each"
        )
    places = places.reshape(-1, dimensions)
    # A third number from 0 on is a density weight, as some converters write it.
    if dimensions == 3 and places[:, 2].min(initial=0) < 0:
        raise InputError(f"{path}: a trajectory through a volume, expected one in a plane")
    return places[line.kept, :2]


def _in_place(kspace: KSpace, heads: Any, numbers: NDArray[np.int64]) -> KSpace:
    """The same with its placement, and its slices in the order in which they lie.

    Scanners number slices in the order in which they take them, every second one first, say.
    """
    size = kspace.matrix or (kspace.data.shape[-2], kspace.data.shape[-1])
    placement = _placement(heads, numbers, kspace.spacing, size)
    if placement is None or len(numbers) < 2:
        return replace(kspace, placement=placement)
    along = placement.first @ placement.normal
    order = np.argsort(along, kind="stable")
    # Counted from the end that the file begins with.
    if order @ np.arange(len(order)) < order[::-1] @ np.arange(len(order)):
        order = order[::-1]
    steps = np.abs(np.diff(along[order]))
    notes = [*kspace.notes]
    if not np.array_equal(order, np.arange(len(order))):
        notes.append("slices are written in the order in which they lie")
    if np.ptp(steps) > _EVEN * np.median(steps):
        notes.append(f"uneven spacing of the slices: {steps.min():.2f} to {steps.max():.2f} mm")
    return replace(
        kspace, data=kspace.data[order], placement=placement.taken(order.tolist()), notes=notes
    )


def _placement(
    heads: Any,
    numbers: NDArray[np.int64],
    spacing: tuple[float, float, float] | None,
    size: tuple[int, int],
) -> Placement | None:
    """Of images whose middle is where the acquisitions say; None where they say nothing."""
    firsts = [np.flatnonzero(heads["idx"]["slice"] == number) for number in numbers]
    if not all(len(lines) for lines in firsts):
        return None
    axes = np.array([heads[0][name] for name in ("read_dir", "phase_dir")], np.float64)
    middles = np.array([heads[lines[0]]["position"] for lines in firsts], np.float64)
    return placed_around(middles, axes, spacing, size)


def _noise_covariance(
    path: Path,
    rows: Any,
    noise: NDArray[np.int64],
    imaging: NDArray[np.int64],
    coils: set[int],
) -> Complex | None:
    """The covariance of the noise of one line of an image, [coils, coils].

    Its variance is in proportion to the bandwidth: the inverse of the time of a sample.
    """
    lines = [read_line(path, rows[i]) for i in noise]
    lines = [line for line in lines if {line.values.shape[0]} == coils]
    if not lines:
        return None
    samples = np.concatenate([line.values[:, line.kept] for line in lines], axis=1)
    if samples.shape[1] < 2 * samples.shape[0]:
        return None
    covariance = np.cov(samples).reshape(len(samples), len(samples))
    times = rows["head"]["sample_time_us"].astype(np.float64)
    of_noise, of_image = (float(times[which][0]) for which in (noise, imaging))
    if of_noise > 0 and of_image > 0 and 1 / _UNLIKE < of_noise / of_image < _UNLIKE:
        covariance = covariance * (of_noise / of_image)
    return covariance.astype(np.complex64)
