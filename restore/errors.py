"""The one exception that a user sees as one line."""

from __future__ import annotations


class InputError(Exception):
    """Bad input: one line that names the file, what was found and what was expected.

    The command line prints the message and exits with code 2, without a traceback. Line breaks in
    the message (from a file's name, or a library's own message) are joined.

    Example:
        >>> raise InputError("mask.png: mask is 100x80, the picture is 120x80")
        Traceback (most recent call last):
        restore.errors.InputError: mask.png: mask is 100x80, the picture is 120x80
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
