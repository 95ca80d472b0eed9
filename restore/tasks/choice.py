"""The method that a verb runs, and its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from restore.errors import InputError, expected_one_of
from restore.methods.registry import find_method, methods
from restore.own import is_own
from restore.tasks.settings import RunSettings


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
    known = methods()
    fit = [*classical, *(other for other, cls in known.items() if verb in cls.tasks)]
    if name not in known and not is_own(name):
        raise InputError(f"--method {name}: unknown; for {verb} {expected_one_of(fit, name)}")
    try:
        method = find_method(name)
    except ValueError as error:
        raise InputError(f"--method {error}") from error
    if verb not in method.tasks:
        raise InputError(f"--method {name}: not for {verb}; {expected_one_of(fit, name)}")


def check_estimate(settings: RunSettings, classical: Collection[str]) -> None:
    """Refuse options of samplers where the user asks for a method that is none.

    Args:
        settings: what the user chose.
        classical: names of the methods without a prior.

    Raises:
        InputError: likewise.
    """
    several = settings.samples is not None or settings.average not in (None, 1)
    if settings.method in classical and (settings.parameters or several):
        raise InputError(
            f"--method {settings.method}: classical, it gives one estimate and has no parameters; "
            "expected no --samples, --average, --steps, --eta, --particles or --set"
        )


def plain_parameters(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Every parameter of a method that a sidecar can hold, with the method's own defaults."""
    fields = dataclasses.fields(find_method(method))  # type: ignore[arg-type]
    values = {f.name: parameters.get(f.name, f.default) for f in fields if f.name != "start"}
    return {name: value for name, value in values.items() if value is not None}
