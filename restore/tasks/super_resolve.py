"""`super-resolve`: the picture whose antialiased shrink is the input."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import Downsample
from restore.errors import InputError
from restore.io.picture import Picture
from restore.problem import Problem
from restore.tasks.baselines import bicubic
from restore.tasks.settings import Settings
from restore.tasks.task import (
    Measurement,
    Preset,
    Task,
    add_noise,
    consistent,
    noise_level,
    pixels_of,
)

DEFAULT_SCALE = 4.0
# Error of a sampler's last estimate, where the measurement still has a say.
LAST_LEVEL = 0.02


class SuperResolve(Task):
    """A = Pillow's antialiased resize from the wanted size to the input's."""

    name = "super-resolve"
    presets = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp"),
        "best": Preset("ddrm", {"steps": 50}, average=8),
    }
    sampling = Preset("ddrm", average=4)
    tuned = {
        "ddrm": {"steps": 20, "eta": 1.0, "sigma_max": 0.3},
        "pnp": {"steps": 20, "sigma_max": 0.3},
    }

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The small picture; the start is its bicubic enlargement."""
        pixels = pixels_of(picture, device)
        channels, height, width = pixels.shape[1:]
        size = self._enlarged(picture, settings)
        operator = Downsample(
            (channels, *size), size=(height, width), kernel=settings.kernel, device=device
        )
        noise_std, notes = noise_level(picture, settings, estimated=False)
        problem = Problem(operator, pixels, noise_std)
        start = bicubic(pixels, size).clamp(0, 1)
        return Measurement(
            problem=problem,
            start=start,
            baseline=("bicubic", lambda: start),
            finish=lambda x: consistent(problem, x, LAST_LEVEL),
            operator={"name": "Downsample", "kernel": settings.kernel, "size": list(size)},
            notes=notes,
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """The picture, shrunk by the scale; it is enlarged to exactly its size again."""
        pixels = torch.as_tensor(picture.pixels)
        if settings.size is not None:
            raise InputError("--size: not with --simulate; expected --scale")
        scale = settings.scale or DEFAULT_SCALE
        shrink = Downsample(tuple(pixels.shape), scale, kernel=settings.kernel)
        restored = settings.model_copy(
            update={"scale": None, "size": (picture.height, picture.width)}
        )
        return add_noise(shrink(pixels), settings), restored

    @staticmethod
    def _enlarged(picture: Picture, settings: Settings) -> tuple[int, int]:
        height, width = picture.pixels.shape[-2:]
        if settings.size is not None:
            if settings.scale is not None:
                raise InputError("--scale and --size: expected one of them")
            rows, columns = settings.size
            if rows < height or columns < width:
                raise InputError(
                    f"{picture.path}: the picture is {width}x{height}; "
                    f"expected a --size of at least that, found {columns}x{rows}"
                )
            return rows, columns
        scale = settings.scale or DEFAULT_SCALE
        return round(height * scale), round(width * scale)
