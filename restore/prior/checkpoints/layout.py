"""What the loaders share: what was found in a state dict, what was said, and what was assumed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Module

from restore.errors import InputError, expected_one_of
from restore.prior.conversion import Conversion
from restore.prior.networks.layers import CheckpointNetwork


@dataclass(frozen=True)
class Recognised:
    """A checkpoint's architecture and how its output is to be read.

    Attributes:
        family: name of the layout.
        title: for people.
        network: the network without weights, on the meta device.
        conversion: how D is made of it.
        channels: channels of the picture.
        classes: number of classes; 0 for an unconditional network.
        label: the class to ask for.
        facts: what the state dict or a config says, for `restore models info`.
        assumed: what neither says, and was taken as in the published checkpoints.
        unused: names of the file that inference does not need.
    """

    family: str
    title: str
    network: CheckpointNetwork
    conversion: Conversion
    channels: int
    classes: int
    label: int | None
    facts: dict[str, str]
    assumed: dict[str, str]
    unused: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(value.numel() for value in self.network.parameters())


class Layout(Protocol):
    """A loader: how a family's state dict is recognised, and what is made of it."""

    FAMILY: str
    TITLE: str
    MARKS: tuple[str, ...]

    @staticmethod
    def describe(weights: Any, said: Choices) -> Recognised:
        """The architecture; InputError where the file does not determine it."""


@dataclass
class Choices:
    """What the user, a card or a config says about a checkpoint, by name.

    Attributes:
        path: the file, for messages.
        said: the values of the user and the card.
        config: those of the file; they come after, and some of them tell nothing here.
        assumed: what was asked for, not given, and taken by default.
    """

    path: str
    said: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    @property
    def given(self) -> dict[str, Any]:
        """Whatever is known."""
        return {**self.config, **self.said}

    def get(self, name: str, default: Any, why: str | None = None) -> Any:
        """A value; `why` is what to tell where the default is an assumption.

        Raises:
            InputError: if it is of another kind than the default, or a number that is said and
                not above 0.
        """
        self._asked.add(name)
        if name not in self.given:
            if why:
                self.assumed[name] = f"{default} ({why})"
            return default
        value = self.given[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and name in self.said and not 0 < value < math.inf:
            raise InputError(f"{self.path}: {name} is {value}; expected a number above 0")
        if number and isinstance(default, float):
            return float(value)
        fits = default is None or isinstance(value, type(default))
        if not fits or (isinstance(value, bool) and not isinstance(default, bool)):
            raise InputError(f"{self.path}: {name} is {value!r}; expected such as {default!r}")
        return value

    def one_of(self, name: str, allowed: Sequence[str], default: str | None, why: str = "") -> str:
        """One of several words.

        Raises:
            InputError: if it is none of them, or not said and without a default; lists them.
        """
        self._asked.add(name)
        value = self.given.get(name, default)
        if value is None:
            raise InputError(
                f"{self.path}: {why}; candidates: {', '.join(f'{name}={v}' for v in allowed)}; "
                f"say which with `restore models add FILE --set {name}=…`"
            )
        if value not in allowed:
            raise InputError(
                f"{self.path}: {name} is {value!r}; {expected_one_of(allowed, str(value))}"
            )
        if name not in self.given and why:
            self.assumed[name] = f"{value} ({why})"
        return str(value)

    def label(self, classes: int) -> int | None:
        """The class to ask a conditional network for; None of an unconditional one.

        Raises:
            InputError: if it is not among the classes.
        """
        self._asked.add("label")
        label = self.given.get("label")
        if label is None:
            return None
        if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < classes:
            expected = f"0 to {classes - 1}" if classes else "none: it has no classes"
            raise InputError(f"{self.path}: label is {label}; expected {expected}")
        return label

    def check_all_known(self) -> None:
        """Refuse what is said and no loader asked for.

        Raises:
            InputError: if there is such a name; lists the known ones.
        """
        unknown = sorted(set(self.said) - self._asked)
        if unknown:
            raise InputError(
                f"{self.path}: {unknown[0]} is not a setting of this checkpoint; "
                f"{expected_one_of(sorted(self._asked), unknown[0])}"
            )


def check_levels(path: object, conversion: Conversion) -> None:
    """Refuse noise levels that do not rise from above 0.

    Raises:
        InputError: likewise.
    """
    try:
        between: tuple[float, ...] = getattr(conversion, "levels", ())
        levels = (conversion.sigma_min, *between, conversion.sigma_max)
    except (IndexError, ValueError, OverflowError):
        levels = (math.nan,)
    rise = all(low <= high for low, high in pairwise(levels))
    if not (rise and 0 < levels[0] < levels[-1] < math.inf):
        raise InputError(
            f"{path}: noise levels from {levels[0]:g} to {levels[-1]:g}, expected some that rise "
            "from above 0: other settings of its schedule"
        )


def check_numbers(path: object, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that hold what is no number.

    Raises:
        InputError: likewise.
    """
    for name, value in state.items():
        # By their ends, which takes no memory.
        if not value.is_floating_point() or not all(
            bool(end.isfinite()) for end in (value.aminmax() if value.numel() else ())
        ):
            raise InputError(f"{path}: {name} holds what is no number, expected trained weights")


def check_names(path: object, network: Module, state: Mapping[str, Any]) -> None:
    """Refuse a state dict that does not fit the network.

    Raises:
        InputError: lists the missing, the unexpected and the wrongly shaped names.
    """
    expected = network.state_dict()
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} {list(state[name].shape)} for {list(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    if missing or unexpected or shapes:
        parts = [("missing", missing), ("unexpected", unexpected), ("of another shape", shapes)]
        told = "; ".join(f"{len(names)} {kind}: {few(names)}" for kind, names in parts if names)
        raise InputError(f"{path}: weights do not fit their architecture: {told}")


def few(names: Iterable[str]) -> str:
    """The first three of several names."""
    names = list(names)
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def count(names: Iterable[str], pattern: str) -> int:
    """How many different first groups of a pattern the names have."""
    return len({found.group(1) for name in names if (found := re.match(pattern, name))})


def level_text(widths: Sequence[int], attention: Sequence[bool], blocks: int) -> str:
    """Widths of the levels, those with attention marked, and their blocks."""
    levels = " ".join(f"{w}{'*' if a else ''}" for w, a in zip(widths, attention, strict=True))
    return f"{levels} (* with attention), {blocks} blocks each"
