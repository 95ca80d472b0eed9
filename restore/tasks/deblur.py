"""`deblur`: the picture that, blurred by a known kernel, is the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Blur
from restore.errors import InputError
from restore.io.picture import Picture
from restore.problem import Problem
from restore.tasks.baselines import wiener
from restore.tasks.kernel import FORMS, LARGEST, Kernel, absolute, check_fits, parse_kernel
from restore.tasks.noise import add_noise, noise_level
from restore.tasks.settings import Settings
from restore.tasks.task import (
    TEXTURED_SAMPLING,
    TUNED_SNIPS,
    Measurement,
    Preset,
    Task,
    pixels_of,
)

DEFAULT_BORDER = "valid"
# A kernel that leaves so much of every frequency leaves the picture's texture.
SLIGHT = 0.25


class Deblur(Task):
    """A = the blur; with the border "valid" of a larger picture, whose margin is found too."""

    name = "deblur"
    presets = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp"),
        # More steps are no better, and no sampler's mean is (the decision has the figures).
        "best": Preset("pnp", {"sigma_max": 0.4}),
    }
    sampling = TEXTURED_SAMPLING
    averaging = Preset("ddrm-cg", average=4)
    tuned = {
        "pnp": {"steps": 20, "sigma_max": 0.2},
        "snips": TUNED_SNIPS,
        # From an estimate all steps would lie where y is the noisier one and each adds its residual
        # again: with 100 of them that costs 6 dB, with 20 nothing is gained.
        "ddrm": {"steps": 20, "sigma_max": None, "grid": "quad"},
        "ddnm": {"steps": 20, "sigma_max": None, "grid": "quad"},
        "ddrm-cg": {"steps": 20, "sigma_max": 0.2},
    }

    def check(self, settings: Settings) -> None:
        """There is a kernel."""
        self._kernel(settings)

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The blurred picture; the start is Wiener's estimate."""
        kernel, text = self._kernel(settings)
        border = settings.border or DEFAULT_BORDER
        y = pixels_of(picture, device)
        channels, height, width = y.shape[1:]
        check_fits(kernel, text, picture.path, (height, width))
        slight = _least_gain(kernel.weights) > SLIGHT
        if slight and settings.sigma is None:
            noise_std = picture.rounding_std
            notes = [
                "noise not estimated: behind so slight a blur it cannot be told from texture; "
                "expected --sigma if there is more than the file's rounding"
            ]
        else:
            noise_std, notes = noise_level(picture, settings, estimated=True)
        rows, columns = (side // 2 if border == "valid" else 0 for side in kernel.weights.shape)
        canvas = (channels, height + 2 * rows, width + 2 * columns)
        problem = Problem(Blur(canvas, kernel.weights, border, device=device), y, noise_std)
        start = wiener(problem, kernel.weights).clamp(0, 1)

        def cropped(x: Tensor) -> Tensor:
            return x[..., rows : rows + height, columns : columns + width].clamp(0, 1)

        within = None
        if border == "valid":
            inside = Blur((channels, height, width), kernel.weights, border, device=device)
            measured = F.pad(y, (-columns, -columns, -rows, -rows))
            within = Problem(inside, measured, noise_std)
        return Measurement(
            problem=problem,
            start=start,
            baseline=("wiener", lambda: cropped(start)),
            finish=cropped,
            operator={"name": "Blur", "kernel": absolute(text), "border": border},
            notes=[*kernel.notes, *notes],
            within=within,
            resolved={"kernel": absolute(text), "border": border},
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """The blurred picture, continued by reflection where the border is "valid"."""
        kernel, text = self._kernel(settings)
        pixels = torch.as_tensor(picture.pixels)
        check_fits(kernel, text, picture.path, (picture.height, picture.width))
        border = settings.border or DEFAULT_BORDER
        blur = Blur(tuple(pixels.shape), kernel.weights, "reflect" if border == "valid" else border)
        return add_noise(blur(pixels), settings), settings

    @staticmethod
    def _kernel(settings: Settings) -> tuple[Kernel, str]:
        if settings.kernel is None:
            raise InputError(f"--kernel: missing; expected {FORMS}")
        return parse_kernel(settings.kernel), settings.kernel


def _least_gain(kernel: Tensor) -> float:
    """The least |k̂| of a kernel."""
    return float(torch.fft.rfft2(kernel, s=(2 * LARGEST, 2 * LARGEST)).abs().min())
