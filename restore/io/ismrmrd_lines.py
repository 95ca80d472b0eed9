"""The acquisitions of an ISMRMRD scan, and the grid that Cartesian ones lie on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.mri_header import MriHeader

Complex = NDArray[np.complex64]

# A bit of an acquisition's flags, counted from 1 as ISMRMRD does.
_REVERSE = 22
# Fewer lines of a matrix than one in so many are a damaged header.
_SPARSEST = 1000


class Line(NamedTuple):
    """One acquisition.

    Attributes:
        values: [coils, samples] in the order in which they were taken, 0 where they are discarded.
        kept: [samples], what is not discarded.
    """

    values: Complex
    kept: NDArray[np.bool_]


def read_line(path: Path, row: Any) -> Line:
    """An acquisition of the file's list."""
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
    # Without a copy where all is kept: of a volume the lines fill much of the memory.
    return Line(line if kept.all() else np.where(kept, line, np.complex64(0)), kept)


def flagged(flags: Any, bit: int) -> NDArray[np.bool_]:
    """Whether a bit of the flags is set."""
    found: NDArray[np.bool_] = (flags.astype(np.uint64) >> np.uint64(bit - 1)) % 2 == 1
    return found


def centred(
    path: Path, what: str, steps: NDArray[np.int64], count: int, center: int | None
) -> NDArray[np.int64]:
    """Where steps lie on an encoded side: that of DC, wherever its number, is in the middle.

    Args:
        path: the file, for what is said.
        what: they are, in words.
        steps: their numbers.
        count: of the encoded side.
        center: the number of DC; None where it is in the middle.

    Raises:
        InputError: if they do not fit.
    """
    if count > _SPARSEST * len(steps):
        raise InputError(f"{path}: {len(steps)} {what} of {count}, expected a header of this scan")
    offset = count // 2 - (center if center is not None else count // 2)
    # As numbers of any size, which a damaged header may have.
    if int(steps.min()) + offset < 0 or int(steps.max()) + offset >= count:
        raise InputError(
            f"{path}: {what} {steps.min()} to {steps.max()} do not fit the {count} of the encoded "
            "matrix, expected a header of this scan"
        )
    return steps + offset


def gridded(
    path: Path,
    heads: Any,
    lines: list[Line],
    header: MriHeader,
    slices: NDArray[np.int64],
    count: int,
) -> tuple[Complex, NDArray[np.int64]]:
    """Lines on the encoded grid [slices, coils, readout, phase], averaged where they repeat.

    Also how many samples [slices, readout, phase] there are at each position.

    Args:
        path: the file, for what is said.
        heads: of the acquisitions.
        lines: likewise.
        header: of the scan.
        slices: the slice, or partition, of each line, below `count`.
        count: how many there are.

    Raises:
        InputError: if lines are of several lengths, or do not fit the encoded matrix.
    """
    lengths = {line.kept.size for line in lines}
    if len(lengths) != 1:
        raise InputError(f"{path}: lines of {sorted(lengths)} samples, expected one length")
    steps = heads["idx"]["kspace_encode_step_1"].astype(int)
    coils, length = lines[0].values.shape
    columns = header.encoded[1] if header.encoded else int(steps.max()) + 1
    places = centred(path, "lines", steps, columns, header.center)
    if count * columns > _SPARSEST * len(lines):
        raise InputError(
            f"{path}: {len(lines)} lines of an encoded matrix of {columns} x {count}, expected a "
            "header of this scan"
        )
    # The readout, too, has its middle where the acquisition says.
    center = int(heads["center_sample"][0])
    shift = length // 2 - center if 0 < center < length else 0
    width = length + 2 * abs(shift)
    data = np.zeros((count, coils, width, columns), dtype=np.complex64)
    counts = np.zeros((count, width, columns), dtype=np.int64)
    first = max(2 * shift, 0)
    reverse = flagged(heads["flags"], _REVERSE)
    for place, at, line, turned in zip(places, slices, lines, reverse, strict=True):
        way = slice(None, None, -1) if turned else slice(None)
        data[at, :, first : first + length, place] += line.values[:, way]
        counts[at, first : first + length, place] += line.kept[way]
    data /= np.maximum(counts, 1)[:, None].astype(np.float32)
    return data, counts


def averages_of(counts: NDArray[np.int64]) -> tuple[list[str], int]:
    """What to say of how often samples were taken, and of how many each is the mean at least."""
    most = int(counts.max())
    notes = [f"{most} averages of each line"] if most > 1 else []
    return notes, int(counts[counts > 0].min(initial=max(most, 1)))
