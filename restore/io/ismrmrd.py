"""ISMRMRD: a scan as the list of its acquisitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.hdf5 import read_dataset
from restore.io.kspace import KSpace, sampled
from restore.io.mri_grid import FieldOfView, at_resolution, without_oversampling
from restore.io.mri_header import MriHeader
from restore.io.placement import Placement, placed

Complex = NDArray[np.complex64]

# Bits of an acquisition's flags, counted from 1 as ISMRMRD does.
_NOISE, _REVERSE = 19, 22
# Navigation, phase correction, feedback, dummy scans, coil correction, phase stabilisation.
_NOT_IMAGING = (23, 24, 26, 27, 28, 29, 30, 31)
# What makes images of their own of the same slice; only averages and repetitions are averaged.
_SERIES = ("contrast", "phase", "set")
# Of a radial or spiral scan's extent, that rounding may add.
_SLACK = 1e-3
# Ratio of two sampling times, beyond which they are no real ones.
_UNLIKE = 1e3
# Of a step between slices, by which others may differ.
_EVEN = 0.01


class _Line(NamedTuple):
    """One acquisition.

    Attributes:
        values: [coils, samples] in the order in which they were taken, 0 where they are discarded.
        kept: [samples], what is not discarded.
    """

    values: Complex
    kept: NDArray[np.bool_]


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
    noise = _flagged(flags, _NOISE)
    other = np.zeros(len(rows), dtype=bool)
    for bit in _NOT_IMAGING:
        other |= _flagged(flags, bit)
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
    if len(set(heads["idx"]["kspace_encode_step_2"][imaging].tolist())) > 1:
        raise InputError(f"{path}: a volume (partitions), expected images slice by slice")
    covariance = _noise_covariance(path, rows, np.flatnonzero(noise), imaging, coils)
    lines = [_line(path, rows[i]) for i in imaging]
    read = _on_grid if header.trajectory == "cartesian" else _along
    kspace, numbers, averages = read(path, rows[imaging], lines, header)
    if covariance is not None:
        covariance = covariance / averages
    kspace = replace(kspace, noise_covariance=covariance, spacing=header.spacing)
    return _in_place(kspace, heads[imaging], numbers)


def _on_grid(
    path: Path, rows: Any, lines: list[_Line], header: MriHeader
) -> tuple[KSpace, Sequence[int], int]:
    """The image's k-space, the numbers of its slices, and of how many a sample is the mean."""
    samples = {line.kept.size for line in lines}
    if len(samples) != 1:
        raise InputError(f"{path}: lines of {sorted(samples)} samples, expected one length")
    data, counts = _gridded(path, rows["head"], lines, header)
    notes = [f"{int(counts.max())} averages of each line"] if counts.max() > 1 else []
    data, _ = without_oversampling(data, counts > 0, header)
    fov: FieldOfView = None, None
    if header.fov is not None and header.encoded_fov is not None:
        fov = (min(header.fov[0], header.encoded_fov[0]), header.encoded_fov[1])
    data, matrix = at_resolution(path, data, header, fov)
    least = int(counts[counts > 0].min(initial=max(int(counts.max()), 1)))
    return KSpace(data, sampled(data), matrix=matrix, notes=notes), range(len(data)), least


def _gridded(
    path: Path, heads: Any, lines: list[_Line], header: MriHeader
) -> tuple[Complex, NDArray[np.int64]]:
    """Lines on the encoded grid [slices, coils, readout, phase], averaged where they repeat.

    Also how many samples [slices, readout, phase] there are at each position.
    """
    steps = heads["idx"]["kspace_encode_step_1"].astype(int)
    slices = heads["idx"]["slice"].astype(int)
    coils, length = lines[0].values.shape
    columns = header.encoded[1] if header.encoded else int(steps.max()) + 1
    # Partial Fourier: the line of DC, wherever its number, belongs in the middle.
    offset = columns // 2 - (header.center if header.center is not None else columns // 2)
    places = steps + offset
    if places.min() < 0 or places.max() >= columns or slices.max() >= max(len(lines), 1):
        raise InputError(
            f"{path}: lines {steps.min()} to {steps.max()} do not fit the {columns} of the encoded "
            "matrix, expected a header of this scan"
        )
    # The readout, too, has its middle where the acquisition says.
    center = int(heads["center_sample"][0])
    shift = length // 2 - center if 0 < center < length else 0
    width = length + 2 * abs(shift)
    data = np.zeros((int(slices.max()) + 1, coils, width, columns), dtype=np.complex64)
    counts = np.zeros((data.shape[0], width, columns), dtype=np.int64)
    first = max(2 * shift, 0)
    reverse = _flagged(heads["flags"], _REVERSE)
    for place, at, line, turned in zip(places, slices, lines, reverse, strict=True):
        way = slice(None, None, -1) if turned else slice(None)
        data[at, :, first : first + length, place] += line.values[:, way]
        counts[at, first : first + length, place] += line.kept[way]
    averaged = data / np.maximum(counts, 1)[:, None]
    return averaged.astype(np.complex64), counts


def _along(
    path: Path, rows: Any, lines: list[_Line], header: MriHeader
) -> tuple[KSpace, Sequence[int], int]:
    """Samples along a trajectory that all slices share, the numbers of the slices, and 1.

    A reversed line stays so: beside each sample lies the place where it was taken.
    """
    slices = rows["head"]["idx"]["slice"].astype(int)
    numbers = sorted(set(slices.tolist()))
    parts = [np.flatnonzero(slices == number) for number in numbers]
    trajectory, *others = [
        np.concatenate([_places(path, rows[i], lines[i], header) for i in part]) for part in parts
    ]
    if any(not np.array_equal(other, trajectory) for other in others):
        raise InputError(
            f"{path}: {len(parts)} slices with trajectories of their own, expected the same one"
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
    return KSpace(np.stack(data), None, trajectory=places, matrix=matrix), numbers, 1


def _places(path: Path, row: Any, line: _Line, header: MriHeader) -> NDArray[np.float64]:
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


def _in_place(kspace: KSpace, heads: Any, numbers: Sequence[int]) -> KSpace:
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
    numbers: Sequence[int],
    spacing: tuple[float, float, float] | None,
    size: tuple[int, int],
) -> Placement | None:
    """Of images whose middle is where the acquisitions say; None where they say nothing."""
    firsts = [np.flatnonzero(heads["idx"]["slice"] == number) for number in numbers]
    down, across = (np.asarray(heads[0][name], np.float64) for name in ("read_dir", "phase_dir"))
    axes = np.stack([down, across])
    known = np.isfinite(axes).all() and np.allclose(axes @ axes.T, np.eye(2), atol=1e-3)
    if spacing is None or not known or not all(len(lines) for lines in firsts):
        return None
    middle = np.array([heads[lines[0]]["position"] for lines in firsts], np.float64)
    corner = size[0] // 2 * spacing[0] * down + size[1] // 2 * spacing[1] * across
    return placed(middle - corner, across, down)


def _line(path: Path, row: Any) -> _Line:
    head = row["head"]
    coils, length = int(head["active_channels"]), int(head["number_of_samples"])
    values = np.asarray(row["data"], dtype=np.float32)
    if values.size != 2 * coils * length:
        raise InputError(
            f"{path}: {values.size} numbers in a line of {coils} coils and {length} samples, "
            "expected two each"
        )
    before, after = int(head["discard_pre"]), int(head["discard_post"])
    kept = np.zeros(length, dtype=bool)
    kept[before : max(length - after, 0)] = True
    line = values.view(np.complex64).reshape(coils, length)
    return _Line(np.where(kept, line, np.complex64(0)), kept)


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
    lines = [_line(path, rows[i]) for i in noise]
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


def _flagged(flags: Any, bit: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (flags.astype(np.uint64) >> np.uint64(bit - 1)) % 2 == 1
    return found
