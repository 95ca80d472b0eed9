"""How files are refused before they are read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from restore.errors import InputError


class Undecodable(Exception):
    """A file that is no usable picture: what was found, and what was expected.

    For the decoders, to whom its name is not known.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}, expected {expected}")


def check_plain(path: Path, expected: str) -> None:
    """Refuse a pipe or a device, which may take for ever to open or read, and what is locked.

    Raises:
        InputError: likewise.
    """
    with suppress(OSError):  # of a name that cannot even be looked up, its reader tells
        if not path.exists():
            return
        if not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: is not a regular file, expected {expected}")
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: permission denied, expected a readable file")
