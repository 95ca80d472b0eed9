"""What the runs of photographs and of scans have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restore.errors import InputError
from restore.methods.base import fields_of
from restore.methods.registry import find_method
from restore.prior.tiled import is_out_of_memory
from restore.tasks.choice import check_samples
from restore.tasks.settings import RunSettings
from restore.tasks.task import Preset

# Beyond so many pixels a picture is denoised in tiles of this side, unless told otherwise.
_TILE_PIXELS = 2**21
_TILE = 768


@dataclass(frozen=True)
class Result:
    """What came of one input.

    Attributes:
        record: the object that the command line prints as one line of JSON.
        notes: what the user should know, one line each.
        consistent: the certificate's verdict.
        files: everything that was written.
    """

    record: dict[str, Any]
    notes: list[str]
    consistent: bool
    files: list[Path]


def tile_for(settings: RunSettings, height: int, width: int) -> int | None:
    """The largest side of a tile; None where the picture is denoised whole."""
    return settings.tile or (_TILE if height * width > _TILE_PIXELS else None)


def halved_note(old: int, new: int) -> str:
    """What the user should know of a tile that memory did not suffice for."""
    return f"out of memory with tiles of {old} pixels: {new} instead"


def choose_preset(
    presets: Mapping[str, Preset],
    sampling: Preset,
    averaging: Preset,
    settings: RunSettings,
) -> Preset:
    """The preset that was asked for, or one that samples where what was asked for needs that.

    Args:
        presets: by name.
        sampling: for samples, if no other method is asked for, nor a parameter it does not have.
        averaging: for a mean of samples, for a method by name, and for a parameter that the
            preset's method does not have (`--eta`).
        settings: what the user chose.

    Raises:
        InputError: if samples are asked for of a method that gives one estimate.
    """
    check_samples(settings, sampling.method)
    chosen = presets[settings.preset]
    if settings.samples and _serves(sampling, settings):
        return chosen if chosen.method == sampling.method else sampling
    several = settings.samples or settings.average
    fits = _serves(chosen, settings) and (not several or chosen.average > 1)
    return chosen if fits else averaging


def _serves(preset: Preset, settings: RunSettings) -> bool:
    """Whether the user asks for no other method, nor for a parameter that this one has not."""
    if settings.method is not None:
        return settings.method == preset.method
    return settings.parameters.keys() <= fields_of(find_method(preset.method)).keys()


@contextmanager
def memory_errors(source: Path, where: str = "") -> Iterator[None]:
    """Memory that runs out is one line about the file.

    Raises:
        InputError: likewise.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"{source}: out of memory{where}; expected more of it, or a smaller picture"
        ) from error
