"""How files are refused before they are read."""

from __future__ import annotations

from pathlib import Path

from restore.errors import InputError


class Undecodable(Exception):
    """A file that is no usable picture: what was found, and what was expected.

    For the decoders, to whom its name is not known.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}, expected {expected}")


def check_plain(path: Path, expected: str) -> None:
    """Refuse a pipe or a device: to open or to read it may take for ever.

    Raises:
        InputError: likewise.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: is not a regular file, expected {expected}")
