"""fastMRI's and ISMRMRD's HDF5."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.hdf5 import open_hdf5, read_dataset
from restore.io.kspace import KSpace, sampled
from restore.io.placement import Placement, placed

Complex = NDArray[np.complex64]

MRI_HDF5_SUFFIXES = (".h5", ".hdf5")
# Bits of an acquisition's flags, counted from 1 as ISMRMRD does.
_NOISE, _REVERSE = 19, 22
# Navigation, phase correction, feedback, dummy scans, coil correction, phase stabilisation.
_NOT_IMAGING = (23, 24, 26, 27, 28, 29, 30, 31)
# What makes images of their own of the same slice; only averages and repetitions are averaged.
_SERIES = ("contrast", "phase", "set")
# More pixels to a line than that are a damaged header.
_FINEST = 4
# Of a radial or spiral scan's extent, that rounding may add.
_SLACK = 1e-3
# What images are called: ours, and fastMRI's of several coils and of one.
_IMAGES = ("reconstruction", "reconstruction_rss", "reconstruction_esc")


def read_mri_hdf5(path: Path) -> KSpace:
    """Read either layout, told apart by what the file holds.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    with open_hdf5(path) as file:
        if "kspace" in file:
            return _fastmri(path, file)
        groups = [name for name in file if f"{name}/data" in file and f"{name}/xml" in file]
        if groups:
            return _ismrmrd(path, file, groups[0])
        known = ", ".join(map(str, file)) or "nothing"
    raise InputError(
        f"{path}: holds {known}, expected fastMRI's `kspace` or ISMRMRD's `data` and `xml`"
    )


def read_mri_images(path: Path) -> NDArray[np.float32]:
    """Return magnitudes [slices, rows, columns] that the verb has written, or fastMRI's own.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    with open_hdf5(path) as file:
        names = [name for name in _IMAGES if name in file]
        images = read_dataset(path, file, (names or [_IMAGES[0]])[0])
    if images.dtype.kind not in "uifc" or images.ndim not in (2, 3):
        raise InputError(
            f"{path}: images {list(images.shape)} {images.dtype}, expected [slices, rows, columns]"
        )
    magnitudes: NDArray[np.float32] = np.abs(images).astype(np.float32)
    return magnitudes.reshape(-1, *images.shape[-2:])


def _fastmri(path: Path, file: Any) -> KSpace:
    data = read_dataset(path, file, "kspace")
    if data.ndim not in (3, 4) or not np.iscomplexobj(data):
        raise InputError(
            f"{path}: kspace is {list(data.shape)} {data.dtype}, expected complex "
            "[slices, rows, columns] or [slices, coils, rows, columns]"
        )
    data = (data[:, None] if data.ndim == 3 else data).astype(np.complex64)
    matrix, spacing, notes = None, None, []
    if "ismrmrd_header" in file:
        header = _Header(path, read_dataset(path, file, "ismrmrd_header").item())
        matrix, spacing = header.matrix, header.spacing
    else:
        notes.append("no header: the whole field of view is written")
    mask = sampled(data)
    if "mask" in file:
        lines = read_dataset(path, file, "mask").astype(bool)
        if lines.shape != (data.shape[-1],):
            raise InputError(
                f"{path}: the mask is {list(lines.shape)}, the lines are {data.shape[-1]}, "
                "expected one value a line"
            )
        if not lines.any():
            raise InputError(f"{path}: the mask is all zero, expected some lines")
        mask &= lines
    data = _filled(path, np.where(mask, data, np.complex64(0)), matrix)
    return KSpace(data, sampled(data), matrix=_fitting(matrix, data), spacing=spacing, notes=notes)


def _ismrmrd(path: Path, file: Any, group: str) -> KSpace:
    header = _Header(path, read_dataset(path, file, f"{group}/xml")[0])
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
    samples = {int(heads["number_of_samples"][i]) for i in imaging}
    coils = {int(heads["active_channels"][i]) for i in imaging}
    if len(coils) != 1:
        raise InputError(f"{path}: {sorted(coils)} coils in one scan, expected one number")
    for name in _SERIES:
        count = len(set(heads["idx"][name][imaging].tolist()))
        if count > 1:
            raise InputError(
                f"{path}: {count} images of each slice by `{name}`, expected one of them in a file"
            )
    covariance = _noise_covariance(path, rows, np.flatnonzero(noise), coils)
    lines = [_line(path, rows[i]) for i in imaging]
    if header.trajectory != "cartesian":
        return _along(path, rows, imaging, lines, header, covariance)
    if len(samples) != 1:
        raise InputError(f"{path}: lines of {sorted(samples)} samples, expected one length")
    data, counts = _gridded(path, heads[imaging], lines, header)
    notes = []
    if counts.max() > 1:
        notes.append(f"{int(counts.max())} averages of each line")
    data = _filled(path, _without_oversampling(data, header), header.matrix)
    size = header.matrix or (data.shape[-2], data.shape[-1])
    return KSpace(
        data, sampled(data), noise_covariance=covariance, matrix=_fitting(header.matrix, data),
        spacing=header.spacing, placement=_placement(heads[imaging], header.spacing, size),
        notes=notes,
    )  # fmt: skip


def _gridded(
    path: Path, heads: Any, lines: list[Complex], header: _Header
) -> tuple[Complex, NDArray[np.int64]]:
    """Lines on the encoded grid [slices, coils, readout, phase], averaged where they repeat."""
    steps = heads["idx"]["kspace_encode_step_1"].astype(int)
    slices = heads["idx"]["slice"].astype(int)
    if len(set(heads["idx"]["kspace_encode_step_2"].tolist())) > 1:
        raise InputError(f"{path}: a volume (partitions), expected images slice by slice")
    coils, length = lines[0].shape
    columns = header.lines or int(steps.max()) + 1
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
    counts = np.zeros((data.shape[0], columns), dtype=np.int64)
    first = max(2 * shift, 0)
    for place, at, line in zip(places, slices, lines, strict=True):
        data[at, :, first : first + length, place] += line
        counts[at, place] += 1
    averaged = data / np.maximum(counts, 1)[:, None, None, :]
    return averaged.astype(np.complex64), counts


def _placement(
    heads: Any, spacing: tuple[float, float, float] | None, size: tuple[int, int]
) -> Placement | None:
    """Of images whose middle is where the acquisitions say; None where they say nothing."""
    slices = heads["idx"]["slice"]
    firsts = [np.flatnonzero(slices == number) for number in range(int(slices.max()) + 1)]
    down, across = (np.asarray(heads[0][name], np.float64) for name in ("read_dir", "phase_dir"))
    axes = np.stack([down, across])
    known = np.isfinite(axes).all() and np.allclose(axes @ axes.T, np.eye(2), atol=1e-3)
    if spacing is None or not known or not all(len(lines) for lines in firsts):
        return None
    middle = np.array([heads[lines[0]]["position"] for lines in firsts], np.float64)
    corner = size[0] // 2 * spacing[0] * down + size[1] // 2 * spacing[1] * across
    return placed(middle - corner, across, down)


def _without_oversampling(data: Complex, header: _Header) -> Complex:
    """Cut the readout's field of view to that of the image, where the header says."""
    if header.encoded_fov is None or header.fov is None or header.fov >= header.encoded_fov:
        return data
    length = data.shape[2]
    kept = round(length * header.fov / header.encoded_fov)
    axes, first = (2,), length // 2 - kept // 2
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(data, axes), axis=2, norm="ortho"), axes)
    image = image[:, :, first : first + kept]
    back = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes), axis=2, norm="ortho"), axes)
    # What was not sampled stays so: the transform along the readout leaves zeros zero.
    return np.ascontiguousarray(back, dtype=np.complex64)


def _along(
    path: Path,
    rows: Any,
    imaging: NDArray[np.int64],
    lines: list[Complex],
    header: _Header,
    covariance: Complex | None,
) -> KSpace:
    slices = rows["head"]["idx"]["slice"][imaging].astype(int)
    parts = [np.flatnonzero(slices == number) for number in sorted(set(slices.tolist()))]
    trajectory, *others = [
        np.concatenate([_places(path, rows[imaging[i]], header) for i in part]) for part in parts
    ]
    if any(not np.array_equal(other, trajectory) for other in others):
        raise InputError(
            f"{path}: {len(parts)} slices with trajectories of their own, expected the same one"
        )
    matrix = header.matrix
    if matrix is None:
        raise InputError(f"{path}: no matrix in the header, expected the size of the image")
    reach, most = float(np.abs(trajectory).max()), max(matrix) / 2
    if reach > 0.5 * (1 + _SLACK):
        trajectory = trajectory / np.asarray(matrix)
        if not np.abs(trajectory).max() <= 0.5 * (1 + _SLACK) or math.isclose(
            reach, math.pi, rel_tol=0.02
        ):
            raise InputError(
                f"{path}: the trajectory reaches {reach:.4g}, expected ±0.5 (cycles per pixel) or "
                f"±{most:g} (per field of view)"
            )
    data = [np.concatenate([lines[i] for i in part], axis=1) for part in parts]
    if any(one.shape[1] != len(trajectory) for one in data):
        raise InputError(
            f"{path}: {data[0].shape[1]} samples at {len(trajectory)} places, expected as many"
        )
    return KSpace(
        np.stack(data), None, trajectory=trajectory.clip(-0.5, 0.5), noise_covariance=covariance,
        matrix=matrix, spacing=header.spacing,
    )  # fmt: skip


def _places(path: Path, row: Any, header: _Header) -> NDArray[np.float64]:
    dimensions = int(row["head"]["trajectory_dimensions"])
    if dimensions not in (2, 3):
        raise InputError(
            f"{path}: {header.trajectory} without a trajectory, expected one beside each line"
        )
    places = np.asarray(row["traj"], dtype=np.float64)
    if places.size % dimensions:
        raise InputError(f"{path}: {places.size} coordinates of {dimensions} each, expected whole")
    return places.reshape(-1, dimensions)[:, :2]


def _line(path: Path, row: Any) -> Complex:
    head = row["head"]
    coils, length = int(head["active_channels"]), int(head["number_of_samples"])
    values = np.asarray(row["data"], dtype=np.float32)
    if values.size != 2 * coils * length:
        raise InputError(
            f"{path}: {values.size} numbers in a line of {coils} coils and {length} samples, "
            "expected two each"
        )
    line = values.view(np.complex64).reshape(coils, length)
    before, after = int(head["discard_pre"]), int(head["discard_post"])
    line = line.copy()
    line[:, :before] = 0
    line[:, length - after :] = 0
    return line[:, ::-1] if _flagged(head["flags"], _REVERSE) else line


def _noise_covariance(
    path: Path, rows: Any, noise: NDArray[np.int64], coils: set[int]
) -> Complex | None:
    lines = [_line(path, rows[i]) for i in noise]
    lines = [line for line in lines if {line.shape[0]} == coils]
    if not lines:
        return None
    samples = np.concatenate(lines, axis=1)
    if samples.shape[1] < 2 * samples.shape[0]:
        return None
    return np.cov(samples).reshape(len(samples), len(samples)).astype(np.complex64)


def _flagged(flags: Any, bit: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (flags.astype(np.uint64) >> np.uint64(bit - 1)) % 2 == 1
    return found


class _Header:
    """What is used of ISMRMRD's XML. Fields that are optional there are None here.

    Attributes:
        trajectory: cartesian, radial, spiral, ….
        matrix: (readout, phase) of the image.
        lines: phase-encoding steps of the encoded matrix.
        center: the step of DC.
        fov: of the image along the readout, mm; `encoded_fov` of what was sampled.
        spacing: mm of a pixel.
    """

    def __init__(self, path: Path, text: bytes | str) -> None:
        # Entities are not needed, and how they are abused is known.
        raw = text.encode() if isinstance(text, str) else bytes(text)
        if b"<!ENTITY" in raw or b"<!DOCTYPE" in raw:
            raise InputError(f"{path}: a header with entities, expected ISMRMRD's XML")
        try:
            root = ElementTree.fromstring(raw.strip(b"\0"))
        except ElementTree.ParseError as error:
            raise InputError(f"{path}: {error} in the header, expected ISMRMRD's XML") from error
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        encoding = root.find("encoding")
        if encoding is None:
            raise InputError(f"{path}: no encoding in the header, expected ISMRMRD's XML")
        self._path = path
        self.trajectory = (encoding.findtext("trajectory") or "cartesian").strip().lower()
        recon = self._numbers(encoding, "reconSpace/matrixSize")
        encoded = self._numbers(encoding, "encodedSpace/matrixSize")
        fov = self._numbers(encoding, "reconSpace/fieldOfView_mm")
        encoded_fov = self._numbers(encoding, "encodedSpace/fieldOfView_mm")
        self.matrix = (round(recon[0]), round(recon[1])) if recon else None
        self.lines = round(encoded[1]) if encoded else None
        center = encoding.findtext("encodingLimits/kspace_encoding_step_1/center")
        self.center = int(center) if center and center.strip().isdecimal() else None
        self.fov = fov[0] if fov else None
        self.encoded_fov = encoded_fov[0] if encoded_fov else None
        self.spacing = None
        if recon and fov and min(fov) > 0:
            self.spacing = (fov[0] / recon[0], fov[1] / recon[1], fov[2] / recon[2])

    def _numbers(self, encoding: ElementTree.Element, where: str) -> tuple[float, ...] | None:
        found = [encoding.findtext(f"{where}/{axis}") for axis in "xyz"]
        if None in found:
            return None
        try:
            numbers = tuple(float(text) for text in found if text is not None)
        except ValueError:
            numbers = (0.0,)
        if not all(0 < number < 1e6 for number in numbers):
            raise InputError(f"{self._path}: {where} is {found} in the header, expected numbers")
        return numbers


def _filled(path: Path, data: Complex, matrix: tuple[int, int] | None) -> Complex:
    """k-space [..., rows, columns] with zeros around it, where the image has more pixels."""
    if matrix is None:
        return data
    before, after = [], []
    for side, wanted in zip(data.shape[-2:], matrix, strict=True):
        if wanted > _FINEST * side:
            raise InputError(
                f"{path}: a matrix of {matrix[0]} x {matrix[1]} of k-space "
                f"{list(data.shape[-2:])}, expected at most {_FINEST} times as many"
            )
        more = max(wanted - side, 0)
        # DC goes from side // 2 to wanted // 2.
        before.append((side + more) // 2 - side // 2)
        after.append(more - before[-1])
    around = [(0, 0)] * (data.ndim - 2) + list(zip(before, after, strict=True))
    return np.pad(data, around)


def _fitting(matrix: tuple[int, int] | None, data: Complex) -> tuple[int, int] | None:
    """The matrix, where it is a part of the field of view."""
    return None if matrix == data.shape[-2:] else matrix
