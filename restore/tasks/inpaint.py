"""`inpaint`: fill a hole; every pixel outside it stays as it was."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators import Mask
from restore.io.mask import hole_from_alpha, read_mask
from restore.io.picture import Picture
from restore.problem import Problem
from restore.tasks.baselines import biharmonic, smooth_fill
from restore.tasks.noise import add_noise, noise_level
from restore.tasks.settings import Settings
from restore.tasks.task import (
    SAMPLING,
    TUNED_SNIPS,
    Measurement,
    Part,
    Preset,
    Task,
    pixels_of,
)
from restore.tasks.windows import windows_around


class Inpaint(Task):
    """A = the mask of the known pixels."""

    name = "inpaint"
    presets = {
        "fast": Preset("pnp", {"steps": 10}),
        "default": Preset("pnp"),
        "best": Preset("ddrm", {"steps": 50}, average=8),
    }
    sampling = SAMPLING
    averaging = Preset("ddrm", average=4)
    tuned = {
        "snips": TUNED_SNIPS,
        "ddrm": {"steps": 20, "eta": 1.0, "sigma_max": 0.3},
        "pnp": {"steps": 20, "sigma_max": 0.2},
    }

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """Known pixels, zero elsewhere; the start is a smooth filling."""
        missing = self._hole(picture, settings)
        noise_std, notes = noise_level(picture, settings, estimated=False, known=~missing)
        hole = torch.as_tensor(missing, device=device)
        pixels = pixels_of(picture, device)
        known = pixels * ~hole
        problem = Problem(Mask(~hole, tuple(pixels.shape[1:]), device=device), known, noise_std)
        start = smooth_fill(known, hole)
        return Measurement(
            problem=problem,
            start=start,
            baseline=("biharmonic", lambda: biharmonic(known, hole).clamp(0, 1)),
            finish=lambda x: torch.where(hole, x.clamp(0, 1), pixels),
            parts=parts_of(problem, hole, start),
            operator={"name": "Mask", "hole_pixels": int(hole.sum())},
            notes=notes,
            hole=hole,
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """White in the hole."""
        hole = torch.as_tensor(self._hole(picture, settings))
        pixels = add_noise(torch.as_tensor(picture.pixels), settings)
        return torch.where(hole, torch.ones(()), pixels), settings

    @staticmethod
    def _hole(picture: Picture, settings: Settings) -> NDArray[np.bool_]:
        if settings.mask is None:
            return hole_from_alpha(picture)
        return read_mask(settings.mask, (picture.height, picture.width))


def parts_of(problem: Problem, hole: Tensor, start: Tensor) -> list[Part]:
    """A problem of known and missing pixels in the windows around its holes.

    Args:
        problem: of the mask of the known pixels, one picture.
        hole: [H, W], true where they are missing.
        start: [1, C, H, W].
    """
    parts = []
    for window in windows_around(hole.cpu().numpy()):
        inside, y = hole[tuple(window)], problem.y[(..., *window)]
        mask = Mask(~inside, tuple(y.shape[1:]), device=y.device)
        part = Problem(mask, y, problem.noise_std)
        parts.append(Part(window, part, start[(..., *window)], inside))
    return parts
