"""`--init`: a picture from which a method starts, in the place of the classical estimate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from restore.errors import InputError, counted
from restore.io.picture import Picture, read_picture
from restore.tasks.task import Measurement, in_units_of


def started_from(path: Path, measured: Picture, measurement: Measurement) -> Measurement:
    """The measurement with the picture of a file in the place of its classical start.

    Args:
        path: the file.
        measured: what was measured, in whose units the start is.
        measurement: of it.

    Raises:
        InputError: if it has another size than the result.
    """
    pixels = torch.from_numpy(in_units_of(measured, read_picture(path)))[None]
    size = measurement.written.operator.domain.shape
    if pixels.shape[1:] != size:
        raise InputError(
            f"--init {path}: the picture is {size_text(tuple(pixels.shape[1:]))}, "
            f"the result {size_text(size)}; expected the same"
        )
    start = measurement.start.clone()
    # What a solution has around the written picture keeps its classical start.
    top, left = ((whole - part) // 2 for whole, part in zip(start.shape[2:], size[1:], strict=True))
    start[..., top : top + size[1], left : left + size[2]] = pixels.to(start)
    parts = [
        dataclasses.replace(part, start=start[(..., *part.window)]) for part in measurement.parts
    ]
    return dataclasses.replace(measurement, start=start, parts=parts)


def size_text(shape: tuple[int, ...]) -> str:
    """A shape [..., C, H, W] as a user reads it."""
    return f"{shape[-1]}x{shape[-2]} with {counted(shape[-3], 'channel')}"
