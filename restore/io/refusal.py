"""How the decoders refuse a file before its name is known to them."""

from __future__ import annotations


class Undecodable(Exception):
    """A file that is no usable picture: what was found, and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}, expected {expected}")
