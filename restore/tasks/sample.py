"""`sample`: a picture that shares the low frequencies of a guide, and is drawn otherwise."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from operators import Downsample, Mask, Resize
from restore.errors import InputError
from restore.io.picture import Picture
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.tasks.memory import check_room
from restore.tasks.settings import Settings
from restore.tasks.task import LAST_LEVEL, Measurement, Preset, Task, consistent, pixels_of

FACTOR = 8.0


class Sample(Task):
    """A = 0: nothing is measured; the input is the guide of ILVR.

    A result is certified by the frequencies that it shares with the guide, both shrunk.
    """

    name = "sample"
    presets = {
        "fast": Preset("ilvr", {"steps": 25}),
        "default": Preset("ilvr"),
        "best": Preset("ilvr", {"steps": 250}),
    }
    sampling = averaging = Preset("ilvr")
    tuned = {"ilvr": {"phi": "resize", "factor": FACTOR}}

    def check(self, settings: Settings) -> None:
        """Refuse what would take the guide's place, or says nothing here.

        Raises:
            InputError: likewise.
        """
        if settings.init is not None:
            raise InputError("--init: the guide is what is begun from; expected none")
        if settings.sigma:  # a sidecar says 0
            raise InputError("--sigma: nothing is measured; expected none")
        if settings.parameters.get("phi") == "projection":
            raise InputError(
                "--set phi=projection: keeps what is measured, and of a guide nothing is; "
                "expected phi=resize"
            )
        _factor(settings)

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """A mask of zeros; the start, which is the reference of ILVR, is the guide."""
        guide = pixels_of(picture, device)
        if settings.size is not None:
            check_room(str(picture.path), (picture.channels, *settings.size), device)
            shape = tuple(guide.shape[1:])
            guide = Resize(shape, settings.size, device=device)(guide).clamp(0, 1)
        shape = tuple(guide.shape[1:])
        nothing = Mask(torch.zeros(1, 1), shape, device=device)
        factor = _factor(settings)
        shrink = Downsample(shape, factor, device=device)
        shown = Problem(shrink, shrink(guide), picture.rounding_std)
        own_way = settings.parameters.get("stop")  # for so many steps at the end

        def finish(x: Tensor) -> Tensor:
            return x.clamp(0, 1) if own_way else consistent(shown, x, LAST_LEVEL)

        return Measurement(
            problem=Problem(nothing, torch.zeros_like(guide)),
            start=guide,
            baseline=("guide", lambda: guide),
            finish=finish,
            operator={"name": "Downsample", "factor": factor},
            within=shown,
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:  # noqa: ARG002
        """There is nothing to simulate."""
        raise InputError("--simulate: nothing is measured; expected it with another verb")

    def method_parameters(
        self,
        method: str,  # noqa: ARG002
        measurement: Measurement,  # noqa: ARG002
        prior: Denoiser,
    ) -> dict[str, Any]:
        """From pure noise."""
        return {"sigma_max": prior.sigma_max}


def _factor(settings: Settings) -> float:
    """By how much the guide is shrunk.

    Raises:
        InputError: if it is no factor.
    """
    factor = settings.parameters.get("factor", FACTOR)
    if isinstance(factor, (bool, str)) or not 1 <= factor < math.inf:
        raise InputError(f"--set factor={factor}: expected a number of at least 1")
    return float(factor)
