"""From what a visitor chose to the settings of a verb, as the command line makes them.

A value of the command line may be the path of a file or the name of code to import; what comes from
a browser may not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from restore.errors import InputError
from restore.methods.registry import methods_of
from restore.prior.models import bundled_models
from restore.tasks.settings import RunSettings, resolve_settings
from restore.web.service import Service

AUTOMATIC = "automatic"
PRESETS = ("fast", "default", "best")
_NUMBER = re.compile(r"-?[\d.]+(e-?\d+)?")
_WHOLE = re.compile(r"\d{1,100}")
# What a run may cost that a visitor asks for.
MOST_STEPS, MOST_SAMPLES, MOST_VIEWS = 1000, 32, 10_000
# The largest float to which no other whole number is rounded.
_LARGEST_EXACT = 2**53 - 1
S = TypeVar("S", bound=RunSettings)


def method_names(verb: str, classical: tuple[str, ...] = ()) -> list[str]:
    """What a visitor may choose as the method of a verb."""
    return [AUTOMATIC, *methods_of(verb), *classical]


def model_names(service: Service, channels: int | None = None) -> list[str]:
    """What a visitor may choose as the model.

    Args:
        service: may offer models of its own.
        channels: of those bundled models that serve; None for all.
    """
    fit = [
        name
        for name, model in bundled_models().items()
        if channels is None or model.card.channels == channels
    ]
    return [AUTOMATIC, *fit, *service.models]


def settings_of(
    service: Service,
    verb: str,
    kind: type[S],
    common: Mapping[str, Any],
    own: Mapping[str, Any],
    classical: tuple[str, ...] = (),
) -> S:
    """The settings of a run.

    Args:
        service: says the device and the models.
        verb: the task.
        kind: of its settings.
        common: `preset`, `method`, `model`, `steps`, `seed`, `samples`, `sigma`, as the page's
            controls have them: None, 0 or "" where nothing is chosen.
        own: the verb's own, by settings name; None where nothing is chosen.
        classical: names of the verb's methods without a prior.

    Raises:
        InputError: one line, if something is not among what the page offers.
    """
    given: dict[str, Any] = {"device": service.device}
    given |= {name: value for name, value in own.items() if value is not None}
    preset = common.get("preset") or "default"
    among("quality", preset, PRESETS)
    if preset != "default":
        given[preset] = True
    for name, offered in (
        ("method", method_names(verb, classical)),
        ("model", model_names(service)),
    ):
        value = common.get(name) or AUTOMATIC
        among(name, value, offered)
        if value != AUTOMATIC:
            given[name] = value
    for name, most in (("steps", MOST_STEPS), ("samples", MOST_SAMPLES)):
        if value := whole(name, common.get(name), most):
            given[name] = value
    given["seed"] = whole("seed", common.get("seed"))
    if given.get("samples", 0) > 1:
        given["save_std"] = True
    if sigma := str(common.get("sigma") or "").strip():
        given["sigma"] = sigma
    return resolve_settings(given, None, verb, kind)


def whole(name: str, value: object, most: int | None = None) -> int:
    """A whole number from 0 to `most`; 0 for nothing.

    Raises:
        InputError: if it is none.
    """
    number = _whole(name, value)
    if most is not None and number > most:
        raise InputError(f"{name} {value}: expected at most {most}")
    return number


def _whole(name: str, value: object) -> int:
    if isinstance(value, (int, str)) and _WHOLE.fullmatch(str(value)):
        return int(value)
    number = numeric(name, value) or 0.0
    if number > _LARGEST_EXACT:
        raise InputError(f"{name} {value}: rounded; expected at most {_LARGEST_EXACT}")
    if number != int(number) or number < 0:
        raise InputError(f"{name} {value}: expected a whole number from 0")
    return int(number)


def numeric(name: str, value: object) -> float | None:
    """A finite number; None for nothing.

    Raises:
        InputError: if it is none.
    """
    if value is None or value == "":
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} {value}: expected a number")
    return number


def angles(text: str | None) -> str | None:
    """START:STOP:N as typed; None for nothing. Never the name of a file.

    Raises:
        InputError: if it is not that.
    """
    text = (text or "").strip()
    if not text:
        return None
    parts = text.split(":")
    if len(parts) != 3 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise InputError(f"angles {text}: expected START:STOP:N, such as 0:180:90")
    whole("angles: N", parts[2], MOST_VIEWS)
    return text


def center(text: str | None) -> str | None:
    """A detector index as typed; None for nothing, where it is found.

    Raises:
        InputError: if it is no number.
    """
    value = numeric("axis", (text or "").strip())
    return None if value is None else f"{value!r}"


def among(name: str, value: str, offered: Sequence[str]) -> str:
    """A value that is one of those offered.

    Raises:
        InputError: if it is not.
    """
    if value not in offered:
        raise InputError(f"{name} {value}: expected one of {', '.join(offered)}")
    return value
