"""What a comparison is of: methods, a budget of evaluations, and parameters of single methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from restore.errors import InputError, expected_one_of
from restore.methods.base import fields_of
from restore.methods.registry import find_method
from restore.tasks.classical import CLASSICAL
from restore.tasks.settings import Scalar, Settings


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        names: methods and classical methods, in order.
        settings: of the task; `simulate` where the inputs are clean.
        nfe: evaluations of the network for a sample, at most; None for each method's own number.
            A method whose `parameters` have steps takes those.
        samples: for each method that draws them.
        crop: side of the centre crop of clean inputs, and of a mask or hints that have the size of
            an input; None for the whole picture.
        parameters: of single methods, by name: over the tuned ones of the task.
    """

    names: tuple[str, ...]
    settings: Settings
    nfe: int | None = 100
    samples: int = 1
    crop: int | None = None
    parameters: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)


def affordable(
    names: Sequence[str], nfe: int | None, settled: Collection[str]
) -> tuple[tuple[str, ...], list[str]]:
    """The methods that are defined with so many evaluations, and a line on each that is not.

    Those that are settled, of which the user has set a parameter, stay.
    """
    kept: list[str] = []
    reasons: list[str] = []
    for name in names:
        try:
            if nfe is not None and name not in CLASSICAL and name not in settled:
                find_method(name)().within(nfe)
        except ValueError as error:
            reasons.append(str(error))
        else:
            kept.append(name)
    return tuple(kept), reasons


def check_own(name: str, values: Mapping[str, Scalar], names: Sequence[str]) -> None:
    """Refuse parameters of a method that is not compared or does not have them.

    Args:
        name: of the method, as it was asked for.
        values: by parameter.
        names: of the methods that are compared.

    Raises:
        InputError: likewise.
    """
    if name not in names:
        raise InputError(f"--set {name}: is not compared; {expected_one_of(names, name)}")
    known = []
    if name not in CLASSICAL:
        known = [parameter for parameter in fields_of(find_method(name)) if parameter != "start"]
    for parameter in values:
        if parameter not in known:
            raise InputError(
                f"--set {name}.{parameter}: unknown; {expected_one_of(known, parameter)}"
            )
