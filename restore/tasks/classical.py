"""Classical methods by the names of the command line, to compare samplers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from operators import Blur, Resize
from restore.errors import InputError, expected_one_of
from restore.methods.base import StepCallback
from restore.methods.registry import methods_of
from restore.tasks.baselines import bicubic, biharmonic, non_local_means, wiener
from restore.tasks.choice import check_method
from restore.tasks.task import Measurement
from restore.tasks.total_variation import total_variation


@dataclass(frozen=True)
class Classical:
    """A method without a network.

    Attributes:
        name: on the command line.
        title: what it is, in a few words.
        tasks: the verbs that it serves.
        estimate: from the measurement of one of these to a picture [1, C, H, W] in [0, 1]; what
            takes long calls the function that it is given, if any.
        package: what the user must have installed for it, being no dependency of ours.
    """

    name: str
    title: str
    tasks: tuple[str, ...]
    estimate: Callable[[Measurement, StepCallback | None], Tensor]
    package: str | None = None

    @property
    def available(self) -> bool:
        """Whether its package is there."""
        return self.package is None or find_spec(self.package) is not None


def _bicubic(measurement: Measurement, _: StepCallback | None) -> Tensor:
    problem = measurement.problem
    height, width = problem.operator.domain.shape[-2:]
    return bicubic(problem.y, (height, width)).clamp(0, 1)


def _lanczos(measurement: Measurement, _: StepCallback | None) -> Tensor:
    y = measurement.problem.y
    height, width = measurement.problem.operator.domain.shape[-2:]
    shape, size = tuple(y.shape[1:]), (height, width)
    return Resize(shape, size, "lanczos", dtype=y.dtype, device=y.device)(y).clamp(0, 1)


def _biharmonic(measurement: Measurement, _: StepCallback | None) -> Tensor:
    assert measurement.hole is not None
    return biharmonic(measurement.problem.y, measurement.hole).clamp(0, 1)


def _non_local_means(measurement: Measurement, _: StepCallback | None) -> Tensor:
    problem = measurement.problem
    return non_local_means(problem.y, problem.noise_std).clamp(0, 1)


def _bm3d(measurement: Measurement, _: StepCallback | None) -> Tensor:
    package = import_module("bm3d")
    problem = measurement.problem
    denoise = package.bm3d if problem.y.shape[1] == 1 else package.bm3d_rgb
    picture = problem.y[0].permute(1, 2, 0).cpu().double().numpy()
    denoised = torch.from_numpy(denoise(picture, problem.noise_std)).to(problem.y)
    return denoised.reshape(*picture.shape).permute(2, 0, 1)[None].clamp(0, 1)


def _wiener(measurement: Measurement, _: StepCallback | None) -> Tensor:
    blur = measurement.problem.operator
    assert isinstance(blur, Blur)
    return measurement.finish(wiener(measurement.problem, blur.kernel))


def _grey(measurement: Measurement, _: StepCallback | None) -> Tensor:
    luma = measurement.problem.y[:, :1]
    return luma.expand(-1, 3, -1, -1).clamp(0, 1)


# Not for `colorize`: colours that vary less than grey at the same luma are those of green alone.
def _total_variation(measurement: Measurement, on_step: StepCallback | None) -> Tensor:
    x = total_variation(measurement.problem, measurement.start, on_step=on_step)
    return measurement.finish(x)


_METHODS = (
    Classical("bicubic", "bicubic enlargement (Pillow)", ("super-resolve",), _bicubic),
    Classical("lanczos", "Lanczos enlargement (Pillow)", ("super-resolve",), _lanczos),
    Classical("biharmonic", "biharmonic filling (scikit-image)", ("inpaint",), _biharmonic),
    Classical("non-local-means", "non-local means (scikit-image)", ("denoise",), _non_local_means),
    # For non-commercial use only: never a dependency.
    Classical("bm3d", "BM3D (the user's own package)", ("denoise",), _bm3d, package="bm3d"),
    Classical("wiener", "Wiener's filter with the spectrum of photographs", ("deblur",), _wiener),
    Classical("grey", "the luma alone", ("colorize",), _grey),
    Classical("decoded", "the file as it is decoded", ("dejpeg",), lambda m, _: m.start),
    Classical(
        "tv",
        "least total variation (ODL, scikit-image)",
        ("super-resolve", "inpaint", "denoise", "deblur"),
        _total_variation,
    ),
)

CLASSICAL: dict[str, Classical] = {method.name: method for method in _METHODS}


def classical_of(verb: str) -> tuple[str, ...]:
    """Names of the classical methods that serve a verb and whose packages are there."""
    return tuple(n for n, one in CLASSICAL.items() if verb in one.tasks and one.available)


def serving(verb: str) -> tuple[str, ...]:
    """Every classical method that is at hand and every method, of those that serve a verb."""
    return (*classical_of(verb), *methods_of(verb))


def check_served(name: str, verb: str) -> None:
    """Refuse a method that is unknown, does not serve a verb or lacks its package.

    Args:
        name: what the user asked for.
        verb: of the command line.

    Raises:
        InputError: likewise; names those that are at hand.
    """
    at_hand = classical_of(verb)
    if name in CLASSICAL and name not in at_hand:
        if verb not in CLASSICAL[name].tasks:
            expected = expected_one_of(serving(verb), name)
            raise InputError(f"--method {name}: not for {verb}; {expected}")
        raise InputError(
            f"--method {name}: needs the package {CLASSICAL[name].package}, which is not installed "
            f"and never comes with this one; those at hand are {', '.join(serving(verb))}"
        )
    check_method(name, verb, at_hand)
