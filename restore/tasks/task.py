"""What a verb is: how its file becomes a linear inverse problem, and the problem a file again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.io.levels import FLOAT_BITS
from restore.io.picture import Picture, write_picture
from restore.methods.likelihood import pull
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.tasks.settings import Settings
from restore.tasks.windows import Window

PROJECTIONS = 10
# Error of a sampler's last estimate, where the measurement still has a say.
LAST_LEVEL = 0.02
# The first level of a method that starts from the classical estimate and is not tuned for the verb.
START_LEVEL = 0.3
# What serves every verb with a prior of patches; a verb's own parameters come before them.
TUNED: Mapping[str, Mapping[str, Any]] = {
    "ddnm": {"eta": 1.0},
}


@dataclass(frozen=True)
class Part:
    """A window of a picture that is restored by itself.

    Attributes:
        window: its place.
        problem: of the window alone.
        start: of the window alone.
        hole: [h, w], true where pixels may change.
    """

    window: Window
    problem: Problem
    start: Tensor
    hole: Tensor


@dataclass(frozen=True)
class Measurement:
    """A picture as a problem, with what its solution needs on the way back.

    Attributes:
        problem: y = A x + σ_y n, of one picture.
        start: the classical estimate [1, C, H, W] that a sampler may begin from.
        baseline: name of the classical method that results are compared with, and its estimate,
            made only when there is something to compare.
        finish: from solutions [N, C, H, W] to pictures in [0, 1] that keep the measurement.
        mend: from a picture [1, C, H, W] that does not keep it once it is rounded, and the standard
            deviation of the rounding, to one that does; None where there is no such way.
        operator: name and parameters of A, for the sidecar.
        notes: what the user should know.
        hole: [H, W], true where pixels may change; None where all may.
        parts: windows that are restored in the place of the whole, which keeps `start` elsewhere;
            none for a problem that does not fall apart.
        within: what the written picture alone measures, where it is only a part of x.
        resolved: settings that the verb chose.
    """

    problem: Problem
    start: Tensor
    baseline: tuple[str, Callable[[], Tensor]]
    finish: Callable[[Tensor], Tensor]
    operator: dict[str, Any]
    mend: Callable[[Tensor, float], Tensor] | None = None
    notes: list[str] = field(default_factory=list)
    hole: Tensor | None = None
    parts: Sequence[Part] = ()
    within: Problem | None = None
    resolved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def written(self) -> Problem:
        """The problem whose x is the written picture."""
        return self.within or self.problem


@dataclass(frozen=True)
class Preset:
    """A way to do a verb.

    Attributes:
        method: name of the method.
        parameters: of the method.
        average: samples whose mean is the one picture that is written.
    """

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    average: int = 1


# What `--samples` draws with, from so high a level that what the estimate lacks can come, and in
# steps so short that it stays where it is texture (docs/decisions/0021).
SAMPLING = Preset("ccdf", {"steps": 30, "sigma_max": 1.0}, average=4)
TEXTURED_SAMPLING = Preset("ccdf", {"steps": 30, "snr": 0.4, "sigma_max": 1.0}, average=4)
# Likewise from so high a level.
TUNED_SNIPS: Mapping[str, Any] = {"steps": 60, "inner": 1, "sigma_max": 1.0}


class Task(ABC):
    """One verb of the command line.

    Attributes:
        name: the verb.
        presets: by name, how it is done unless told otherwise.
        sampling: the same, where samples are asked for (`--samples`).
        averaging: likewise, where a sampler is asked for otherwise (`--average`, `--eta`, `-m`).
        without_svd: what takes the place of a preset that needs an SVD which the operator lacks.
        tuned: by method, the parameters that serve this verb best with the bundled model; a
            preset's own come before them, the user's before all.
        keeps_tables: whether a JPEG output is quantised by the input's tables.
        quality_degrades: whether `--quality` is that of the file that `--simulate` writes.
        degraded_suffix: of that file.
    """

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Preset]]
    sampling: ClassVar[Preset]
    averaging: ClassVar[Preset]
    without_svd: ClassVar[Preset | None] = None
    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    keeps_tables: ClassVar[bool] = True
    quality_degrades: ClassVar[bool] = False
    degraded_suffix: ClassVar[str] = ".png"

    def check(self, settings: Settings) -> None:  # noqa: B027
        """Refuse settings that serve no picture.

        Raises:
            InputError: one line that names the option.
        """

    @abstractmethod
    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The problem of a picture.

        Raises:
            InputError: if the picture and the settings do not make one.
        """

    @abstractmethod
    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """What a clean picture would have been measured as, for `--simulate`.

        Returns:
            The measurement [C, h, w], and the settings that restore it to the picture's size.

        Raises:
            InputError: if the picture and the settings do not allow it.
        """

    def write_degraded(
        self,
        path: Path,
        pixels: Tensor,
        picture: Picture,
        settings: Settings,  # noqa: ARG002
    ) -> None:
        """Write what `degrade` gave, for `--simulate`; `picture` is the clean one."""
        write_picture(path, pixels.numpy(), picture)

    def method_parameters(
        self,
        method: str,  # noqa: ARG002
        measurement: Measurement,  # noqa: ARG002
        prior: Denoiser,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Parameters of a method that depend on the measurement."""
        return {}


def pixels_of(picture: Picture, device: torch.device) -> Tensor:
    """The colours of a picture as [1, C, H, W]."""
    return torch.as_tensor(picture.pixels, dtype=torch.float32, device=device)[None]


def as_array(x: Tensor) -> NDArray[np.float32]:
    """A tensor as the writers of files take it."""
    array: NDArray[np.float32] = x.detach().cpu().float().numpy()
    return array


def in_units_of(picture: Picture, other: Picture) -> NDArray[np.float32]:
    """The colours [C, H, W] of another picture in units of the white of `picture`.

    White is a number of its own in floating point alone, and each file's is its own.
    """
    if picture.bits != FLOAT_BITS or other.bits != FLOAT_BITS:
        return other.pixels
    return other.pixels * np.float32(other.scale / picture.scale)


def consistent(problem: Problem, x: Tensor, level: float) -> Tensor:
    """The picture in [0, 1] near x that fits the measurement as well as its noise allows.

    Alternates the posterior mean under a Gaussian around x, x + Aᴴ(AAᴴ + ρI)⁻¹(y − A x), with
    clipping to the range of a picture. ρ = (σ_y/level)², so that a measurement noisier than x
    itself changes nothing.

    Args:
        problem: of one picture.
        x: [N, C, H, W].
        level: standard deviation of the error of x.
    """
    for _ in range(PROJECTIONS):
        x = pull(problem, x, (problem.noise_std / level) ** 2).add_(x).clamp_(0, 1)
    return x
