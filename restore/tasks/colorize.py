"""`colorize`: colours for a grey picture, whose luma is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from operators import Colorize, HintedColorize
from restore.errors import InputError
from restore.io.hints import read_hints
from restore.io.picture import Picture
from restore.problem import Problem
from restore.tasks.noise import add_noise, noise_level
from restore.tasks.settings import Settings
from restore.tasks.spread import spread_colours
from restore.tasks.task import (
    SAMPLING,
    TUNED_SNIPS,
    Measurement,
    Preset,
    Task,
    pixels_of,
)


class ColorizeTask(Task):
    """A = BT.601 luma of each pixel, and the colours of those that are hinted."""

    name = "colorize"
    # From a higher level the bundled model, which sees a small patch, invents tints.
    presets = dict.fromkeys(("fast", "default", "best"), Preset("pnp"))
    sampling = SAMPLING
    averaging = Preset("ddrm", average=4)
    tuned = {
        "snips": TUNED_SNIPS,
        "ddrm": {"steps": 20, "eta": 1.0, "sigma_max": 0.1},
        "pnp": {"steps": 5, "sigma_max": 0.05},
    }

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The luma; the start is grey, or the hints' colours spread over pixels of like luma."""
        pixels = pixels_of(picture, device)
        luma = luma_of(pixels)
        noise_std, notes = noise_level(picture, settings, estimated=False)
        if picture.channels == 3 and not bool((pixels == pixels[:, :1]).all()):
            notes.append("a colour picture: its luma is used")
        hints = None
        if settings.hints is not None:
            known, colours = read_hints(settings.hints, (picture.height, picture.width))
            hints = (torch.as_tensor(known, device=device), torch.as_tensor(colours, device=device))
        problem, start, described = colour_problem(luma, hints, noise_std)
        return Measurement(
            problem=problem,
            start=start,
            baseline=("spread hints" if hints else "grey", lambda: start),
            finish=lambda x: with_luma(x, luma),
            operator=described,
            notes=notes,
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """The luma of a colour picture."""
        if picture.channels != 3:
            raise InputError(f"{picture.path}: grey; expected a colour picture with --simulate")
        return add_noise(luma_of(torch.as_tensor(picture.pixels)), settings), settings


def colour_problem(
    luma: Tensor, hints: tuple[Tensor, Tensor] | None, noise_std: float
) -> tuple[Problem, Tensor, dict[str, Any]]:
    """The problem, where to start from, and the name and parameters of the operator.

    Args:
        luma: [1, 1, H, W].
        hints: where colours are known, [H, W], and the colours [3, H, W], taken at the luma.
        noise_std: σ_y.
    """
    shape = (3, *luma.shape[-2:])
    start = luma.expand(1, *shape).contiguous()
    described: dict[str, Any] = {"name": "Colorize", "weights": "bt601"}
    if hints is None:
        return Problem(Colorize(shape, device=luma.device), luma, noise_std), start, described
    known, colours = hints
    colours = with_luma(colours[None], luma)
    start = with_luma(luma + spread_colours(luma[0, 0], known, (colours - luma)[0]), luma)
    operator = HintedColorize(known, shape, device=luma.device)
    described |= {"name": "HintedColorize", "hinted_pixels": int(known.sum())}
    return Problem(operator, torch.cat([luma, colours * known], 1), noise_std), start, described


def luma_of(pixels: Tensor) -> Tensor:
    """[*batch, 1, H, W] of grey or colours [*batch, C, H, W]."""
    grey = pixels.shape[-3] == 1
    return pixels if grey else Colorize(tuple(pixels.shape[-3:]), device=pixels.device)(pixels)


def with_luma(x: Tensor, luma: Tensor) -> Tensor:
    """The colours of x [N, 3, H, W] at another luma [1, 1, H, W], within [0, 1].

    The hue stays; where the colour at that luma lies beyond the gamut, it is desaturated up to its
    edge, so that the luma is kept exactly.
    """
    chroma = x - luma_of(x)
    room = torch.where(chroma > 0, 1 - luma, luma) / chroma.abs().clamp_min(1e-9)
    return (luma + chroma * room.amin(-3, keepdim=True).clamp(max=1)).clamp(0, 1)
