"""The method that a verb runs, and its parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from restore.errors import InputError, expected_one_of
from restore.methods.base import Method, fields_of
from restore.methods.registry import find_method, methods, methods_of
from restore.own import is_own
from restore.prior.denoiser import Denoiser
from restore.solve import made_method
from restore.tasks.settings import RunSettings
from restore.tasks.task import TUNED, Preset

# Parameters that only a measurement tells, with values beside which no other is too large.
_MEASURED = {"start": torch.zeros(1, 1, 1, 1), "sigma_max": 100.0, "timesteps": 1000}
# Steps for `--fast` and `--best` of what has no presets of its own, relative to those it has else.
_PACE = {"fast": 0.5, "default": 1.0, "best": 2.0}


def check_method(name: str, verb: str, classical: Collection[str] = ()) -> None:
    """Refuse a method that is unknown or does not serve the verb, naming those that do.

    Args:
        name: what the user asked for.
        verb: of the command line.
        classical: names of the verb's methods without a prior.

    Raises:
        InputError: likewise.
    """
    if name in classical:
        return
    fit = [*classical, *methods_of(verb)]
    if name not in methods() and not is_own(name):
        raise InputError(f"--method {name}: unknown; for {verb} {expected_one_of(fit, name)}")
    if verb not in _found(name).tasks:
        raise InputError(f"--method {name}: not for {verb}; {expected_one_of(fit, name)}")


def check_estimate(settings: RunSettings, classical: Collection[str]) -> None:
    """Refuse options of samplers where the user asks for a method that is none.

    Args:
        settings: what the user chose.
        classical: names of the methods without a prior.

    Raises:
        InputError: likewise.
    """
    started = getattr(settings, "init", None) is not None
    if settings.method in classical and (settings.parameters or wants_several(settings) or started):
        raise InputError(
            f"--method {settings.method}: classical, it gives one estimate and has no parameters; "
            "expected no --samples, --average, --steps, --eta, --particles, --set or --init"
        )


def check_parameters(
    settings: RunSettings, preset: Preset, tuned: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse parameters that the method has not, or that are out of range whatever is measured.

    Args:
        settings: what the user chose, for a method with a prior unless it has no parameters.
        preset: of the verb.
        tuned: by method, the parameters that serve the verb best.

    Raises:
        InputError: likewise.
    """
    if not settings.parameters:
        return
    name = settings.method or preset.method
    known = fields_of(find_method(name))
    measured = {parameter: value for parameter, value in _MEASURED.items() if parameter in known}
    chosen = measured | tuned_for(name, tuned.get(name, {}))
    if name == preset.method:
        chosen |= preset.parameters
    try:
        made_method(name, from_the_top(chosen | settings.parameters))
    except ValueError as error:
        raise InputError(f"parameters of {name}: {error}") from error


def tuned_for(method: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with which a method serves a verb best: the verb's own over everyone's.

    Those that the method does not have are left out.
    """
    known = fields_of(find_method(method))
    tuned = {**TUNED.get(method, {}), **own}
    return {name: value for name, value in tuned.items() if name in known}


def check_samples(settings: RunSettings, sampler: str) -> None:
    """Refuse several samples of a method that gives one estimate, whose spread would be none.

    Args:
        settings: what the user chose.
        sampler: the method that the verb draws samples with.

    Raises:
        InputError: likewise.
    """
    name = settings.method
    if name is None or not wants_several(settings) or not (name in methods() or is_own(name)):
        return
    if not (_found(name).samples or _found(name).varies):
        raise InputError(
            f"--method {name}: gives one estimate; expected no --samples or --average, or a "
            f"method that draws samples, such as {sampler}"
        )


def averaged(settings: RunSettings, preset: Preset, classical: Collection[str]) -> int:
    """Of how many samples the picture that is written is the mean, where the user asks for none.

    An average of the preset is of samples: what gives one estimate runs once.
    """
    method = settings.method or preset.method
    if method in classical:
        return 1
    return settings.average or (preset.average if find_method(method).samples else 1)


def wants_several(settings: RunSettings) -> bool:
    """Whether the user asks for samples, or for their mean."""
    return settings.samples is not None or settings.average not in (None, 1)


def _found(name: str) -> type[Method]:
    try:
        return find_method(name)
    except ValueError as error:
        raise InputError(f"--method {error}") from error


def from_the_top(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters, without a start where the first level is the prior's largest (None)."""
    if parameters.get("sigma_max", 0.0) is None:
        return {name: value for name, value in parameters.items() if name != "start"}
    return parameters


def within_levels(chosen: dict[str, Any], prior: Denoiser) -> dict[str, Any]:
    """What a verb chooses, with a first level that the prior knows."""
    if chosen.get("sigma_max") is None:
        return chosen
    return chosen | {"sigma_max": min(chosen["sigma_max"], prior.sigma_max)}


def paced(
    method: str,
    chosen: dict[str, Any],
    preset: Preset,
    presets: Mapping[str, Preset],
    settings: RunSettings,
) -> dict[str, Any]:
    """What a verb chooses, with half of the steps for `--fast` and twice as many for `--best`.

    The verb's own presets state theirs; this is for samples and for methods by name.

    Args:
        method: that runs.
        chosen: its parameters.
        preset: that it belongs to, or stands in the place of.
        presets: of the verb, by name.
        settings: what the user chose.
    """
    steps = chosen.get("steps", getattr(find_method(method), "steps", None))
    stated = preset is presets[settings.preset] and method == preset.method
    if stated or steps is None:
        return chosen
    return chosen | {"steps": max(1, round(steps * _PACE[settings.preset]))}


def plain_parameters(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Every parameter of a method that a sidecar can hold, with the method's own defaults."""
    fields = fields_of(find_method(method))
    values = {name: parameters.get(name, field.default) for name, field in fields.items()}
    return {name: v for name, v in values.items() if name != "start" and v is not None}
