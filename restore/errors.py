"""The one exception that a user sees as one line, and how such a line names what there is."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

# Takes the traceback of a failure that is one row among others, for `--debug`; otherwise silent.
FAILURES = logging.getLogger("restore.failures")
FAILURES.propagate = False


class InputError(Exception):
    """Bad input: one line that names the file, what was found and what was expected.

    The command line prints the message and exits with code 2, without a traceback. Line breaks in
    the message (from a file's name, or a library's own message) are joined.

    Example:
        >>> raise InputError("mask.png: mask is 2x3, the picture is 4x3; expected the same")
        Traceback (most recent call last):
        restore.errors.InputError: mask.png: mask is 2x3, the picture is 4x3; expected the same
    """

    def __init__(self, message: str) -> None:
        first, *rest = message.splitlines() or [""]
        super().__init__(" ".join([first, *(line.strip() for line in rest)]))


def first_error(error: ValidationError) -> tuple[tuple[str, ...], str]:
    """The first thing that is wrong with values by name: its place among them, and why.

    The place is a name and what lies within it ("size", "0"), or () for the values as a whole.
    """
    first = error.errors()[0]
    return tuple(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")


def reason_of(error: BaseException) -> str:
    """What a library says of a failure, as part of a line: joined, not long, never empty."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def in_one_line(error: BaseException) -> str:
    """A failure as a line, with its kind where the message alone may not tell."""
    text = " ".join(str(error).split())
    told = isinstance(error, InputError | ValueError) and text
    return text if told else f"{type(error).__name__}: {text}"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 channel", "3 channels"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def expected_one_of(known: Iterable[str], found: str) -> str:
    """The end of a refusal: every known name, and the nearest where one resembles what was found.

    Example:
        >>> expected_one_of(["ddrm", "pnp"], "drdm")
        'expected one of ddrm, pnp; did you mean ddrm?'
    """
    names = list(known)
    near = difflib.get_close_matches(found, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"expected one of {', '.join(names) or 'none'}{hint}"
