"""`sample --grid`: pictures drawn from a model alone, side by side in one file."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor

from restore.errors import InputError, expected_one_of
from restore.io.files import sidecar_path
from restore.io.picture import write_picture
from restore.methods.base import StepCallback, part_of_steps
from restore.noise import NoiseSource
from restore.prior.counted import Counted
from restore.sde.samplers.adaptive import AdaptiveODE
from restore.sde.samplers.base import Sampler
from restore.sde.samplers.registry import find_sampler
from restore.solve import check_finite
from restore.tasks.memory import check_room
from restore.tasks.opened import OpenModel
from restore.tasks.settings import RunSettings, parse_size
from restore.tasks.sidecar import software, write_sidecar

BATCH = 16
GAP = 2


class GridSettings(RunSettings):
    """What the user chooses of pictures without a guide; `parameters` are the sampler's.

    Attributes:
        sampler: by name (`restore.sde.samplers`).
        grid: rows and columns of pictures.
        size: rows and columns of pixels of each.
    """

    sampler: str = "heun"
    grid: tuple[PositiveInt, PositiveInt] = (1, 1)
    size: tuple[PositiveInt, PositiveInt] = (64, 64)


class GridSampler:
    """Draws pictures from a model and writes them side by side.

    Args:
        settings: what the user chose.

    Raises:
        InputError: if the sampler, its parameters, the model or the device are not there.
    """

    def __init__(self, settings: GridSettings) -> None:
        self.settings = settings
        self.sampler = _sampler(settings)
        self.model = OpenModel.load(settings.model, settings.device, settings.dtype)

    def write(self, output: Path, on_step: StepCallback | None = None) -> dict[str, Any]:
        """Draw and write the pictures, and a sidecar; return the record of the run.

        Args:
            output: the picture file.
            on_step: called after each evaluation of the network, counted over all batches.

        Raises:
            InputError: if a parameter does not serve, or the file cannot be written.
        """
        began = time.perf_counter()
        prior = Counted(self.model.prior)
        try:
            x = self._drawn(prior, on_step)
        except (TypeError, ValueError) as error:
            raise InputError(f"--sampler {self.sampler.name}: {error}") from error
        canvas = side_by_side(x.clamp(0, 1).cpu(), self.settings.grid[1])
        notes = write_picture(output, canvas.numpy())
        sidecar = sidecar_path(output)
        record: dict[str, Any] = {
            "output": str(output),
            "sidecar": str(sidecar),
            "task": "sample",
            "sampler": self.sampler.name,
            "model": self.model.name,
            "seed": self.settings.seed,
            "pictures": len(x),
            "evaluations": prior.calls // len(x),
            "seconds": round(time.perf_counter() - began, 3),
            "width": canvas.shape[-1],
            "height": canvas.shape[-2],
        }
        values = dataclasses.asdict(self.sampler)
        plain = {n: v for n, v in values.items() if isinstance(v, str) or math.isfinite(v)}
        config = self.settings.model_copy(
            update={
                "model": self.model.path, "device": str(self.model.device),
                "dtype": self.model.dtype, "parameters": plain,
            }
        )  # fmt: skip
        details = {
            "parameters": plain,
            "model_sha256": self.model.sha256,
            "device": str(self.model.device),
            "dtype": self.model.dtype,
            "notes": list(notes),
            "versions": software(),
            "config": config.model_dump(mode="json", exclude_none=True),
        }
        write_sidecar(sidecar, record | details)
        return record

    def _drawn(self, prior: Counted, on_step: StepCallback | None) -> Tensor:
        rows, columns = self.settings.grid
        count, (height, width) = rows * columns, self.settings.size
        channels = prior.channels or 3
        check_room("sample", (channels, rows * height, columns * width), self.model.device)
        # Steps that adapt are shared by a batch: alone, a picture depends on its seed only.
        alone = isinstance(self.sampler, AdaptiveODE)
        size = 1 if alone else self.settings.batch_size or BATCH
        batches = [range(i, min(i + size, count)) for i in range(0, count, size)]
        drawn = []
        for number, batch in enumerate(batches):
            shown = on_step and part_of_steps(on_step, number, len(batches))
            like = torch.empty(len(batch), channels, height, width, device=self.model.device)
            noise = NoiseSource(self.settings.seed, [(i, 0) for i in batch])
            drawn.append(self.sampler(prior, like, noise=noise, on_step=shown))
        x = torch.cat(drawn)
        check_finite(self.sampler.name, x)
        return x


def side_by_side(pictures: Tensor, columns: int) -> Tensor:
    """[N, C, H, W] as one picture, row by row on a white ground with a gap of `GAP` pixels."""
    count, channels, height, width = pictures.shape
    rows = -(-count // columns)
    canvas = torch.ones(
        channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, dtype=pictures.dtype
    )
    for i, picture in enumerate(pictures):
        top, left = (i // columns) * (height + GAP), (i % columns) * (width + GAP)
        canvas[:, top : top + height, left : left + width] = picture
    return canvas


def parse_grid(text: str) -> tuple[int, int]:
    """COLUMNSxROWS as (rows, columns).

    Raises:
        InputError: if it is not two positive numbers.
    """
    return parse_size(text, "--grid", "COLUMNSxROWS, such as 4x4")


def _sampler(settings: GridSettings) -> Sampler:
    try:
        kind = find_sampler(settings.sampler)
    except ValueError as error:
        raise InputError(f"--sampler {error}") from error
    known = [field.name for field in dataclasses.fields(kind)]
    for name in settings.parameters:
        if name not in known:
            raise InputError(
                f"--sampler {kind.name}: has no parameter {name}; {expected_one_of(known, name)}"
            )
    given: dict[str, Any] = dict(settings.parameters)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise InputError(f"--sampler {kind.name}: {error}") from error
