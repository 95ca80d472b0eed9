"""`super-resolve`: the picture whose antialiased shrink is the input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from operators import Blur, Downsample, LinearOperator
from operators.resize import RESIZE_KERNELS
from restore.errors import InputError
from restore.io.picture import Picture
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.tasks.baselines import bicubic
from restore.tasks.kernel import FORMS, absolute, check_fits, parse_kernel
from restore.tasks.memory import check_room
from restore.tasks.noise import add_noise, noise_level
from restore.tasks.settings import Settings
from restore.tasks.task import (
    LAST_LEVEL,
    TEXTURED_SAMPLING,
    TUNED_SNIPS,
    Measurement,
    Preset,
    Task,
    consistent,
    pixels_of,
)

DEFAULT_SCALE = 4.0
DEFAULT_KERNEL = "bicubic"
KERNELS = f"{', '.join(RESIZE_KERNELS)}, {FORMS}"
# Noise up to which DDRM is better with η = 1; above, that forgets what y does say.
QUIET = 0.005


class SuperResolve(Task):
    """A = Pillow's antialiased resize from the wanted size to the input's, after a blur if any."""

    name = "super-resolve"
    presets = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp"),
        "best": Preset("ddrm", {"steps": 50}, average=8),
    }
    sampling = TEXTURED_SAMPLING
    averaging = Preset("ddrm", average=4)
    without_svd = Preset("ddrm-cg", average=4)
    tuned = {
        "snips": TUNED_SNIPS,
        "ddrm": {"steps": 20, "sigma_max": 0.3},
        "ddrm-cg": {"steps": 20, "sigma_max": 0.3},
        "pnp": {"steps": 20, "sigma_max": 0.3},
    }

    def check(self, settings: Settings) -> None:
        """The kernel exists."""
        if settings.kernel is not None and settings.kernel not in RESIZE_KERNELS:
            parse_kernel(settings.kernel, KERNELS)

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The small picture; the start is its bicubic enlargement."""
        pixels = pixels_of(picture, device)
        channels, height, width = pixels.shape[1:]
        rows, columns = self._enlarged(picture, settings)
        check_room(str(picture.path), (channels, rows, columns), device)
        size = round(rows), round(columns)
        operator, described, kernel_notes = _shrink(
            picture, settings, (channels, *size), (height, width), device
        )
        noise_std, notes = noise_level(picture, settings, estimated=False)
        problem = Problem(operator, pixels, noise_std)
        start = bicubic(pixels, size).clamp(0, 1)
        return Measurement(
            problem=problem,
            start=start,
            baseline=("bicubic", lambda: start),
            finish=lambda x: consistent(problem, x, LAST_LEVEL),
            operator=described | {"size": list(size)},
            notes=[*kernel_notes, *notes],
            resolved={"kernel": described["kernel"]},
        )

    def method_parameters(
        self,
        method: str,
        measurement: Measurement,
        prior: Denoiser,  # noqa: ARG002
    ) -> dict[str, Any]:
        """DDRM draws all anew that y does not say, where y has no noise but its rounding."""
        quiet = measurement.problem.noise_std <= QUIET
        return {"eta": 1.0} if method == "ddrm" and quiet else {}

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """The picture, shrunk by the scale; it is enlarged to exactly its size again."""
        pixels = torch.as_tensor(picture.pixels)
        if settings.size is not None:
            raise InputError("--size: not with --simulate; expected --scale")
        scale = settings.scale or DEFAULT_SCALE
        small = tuple(max(1, round(side / scale)) for side in pixels.shape[1:])
        shrink, _, _ = _shrink(picture, settings, tuple(pixels.shape), small, pixels.device)
        restored = settings.model_copy(
            update={"scale": None, "size": (picture.height, picture.width)}
        )
        return add_noise(shrink(pixels), settings), restored

    @staticmethod
    def _enlarged(picture: Picture, settings: Settings) -> tuple[float, float]:
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
        return height * scale, width * scale


def _shrink(
    picture: Picture,
    settings: Settings,
    shape: tuple[int, ...],
    size: tuple[int, ...],
    device: torch.device,
) -> tuple[LinearOperator, dict[str, Any], tuple[str, ...]]:
    """From pictures of `shape` (C, H, W) to `size`, its parts for the sidecar, and notes."""
    text = settings.kernel or DEFAULT_KERNEL
    described = {"name": "Downsample", "kernel": text}
    height, width = size
    if text in RESIZE_KERNELS:
        resize = Downsample(shape, size=(height, width), kernel=text, device=device)
        return resize, described, ()
    kernel = parse_kernel(text, KERNELS)
    check_fits(kernel, text, picture.path, (shape[1], shape[2]))
    resize = Downsample(shape, size=(height, width), kernel=DEFAULT_KERNEL, device=device)
    blur = Blur(shape, kernel.weights, "reflect", device=device)
    described = {"name": "Downsample of Blur", "kernel": absolute(text), "resize": DEFAULT_KERNEL}
    return resize @ blur, described, kernel.notes
