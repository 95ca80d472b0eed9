"""What reads a damaged file, and what must hold of the result."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from restore.errors import InputError
from restore.io.hints import read_hints
from restore.io.jpeg_blocks import read_coefficients, write_jpeg_blocks
from restore.io.jpeg_file import read_jpeg
from restore.io.kernel import read_kernel
from restore.io.mask import read_mask
from restore.io.picture import Picture, read_picture
from restore.io.picture import write_picture as write

_SMALL = 100_000
_REWRITTEN = (".png", ".tif", ".jpg", ".webp")


def outcome(path: Path, size: tuple[int, int], number: int = 0) -> str:
    """Reads a file by the readers that its name calls for.

    Returns:
        ``read``, or the kind of refusal, without names and numbers.

    Raises:
        Exception: anything but `InputError`, which is a fault.
    """
    try:
        _read(path, size, number)
    except InputError as error:
        message = str(error)
        assert "\n" not in message, message
        assert message.startswith(str(path.parent)), message
        return kind_of_refusal(message.replace(str(path.parent), ""))
    return "read"


def _read(path: Path, size: tuple[int, int], number: int) -> None:
    picture: Picture | None = None
    if "mask" in path.name:
        read_mask(path, size)
    elif "hints" in path.name:
        read_hints(path, size)
    elif "kernel" in path.name:
        weights, total = read_kernel(path)
        assert np.isfinite(weights).all()
        assert total > 0
    else:
        picture = read_picture(path)
    if picture is None:
        return
    _check(picture)
    if picture.height * picture.width > _SMALL:
        return
    # The damaged metadata go into another file, which is whole.
    again = path.with_name("again" + _REWRITTEN[number % len(_REWRITTEN)])
    write(again, picture.pixels, picture)
    copy = read_picture(again)
    assert copy.pixels.shape[1:] == picture.pixels.shape[1:]
    if picture.jpeg is not None:
        if number % 2:
            changed = np.zeros(picture.pixels.shape[1:], dtype=bool)
            changed[0, 0] = True
            write_jpeg_blocks(path.with_name("blocks.jpg"), picture.pixels, picture, changed)
        else:
            read_coefficients(path)
        found = read_jpeg(picture)
        assert found.shape == (len(found.tables), *found.shape[1:])
        assert found.coefficients.shape[1:] == (8, 8)


def _check(picture: Picture) -> None:
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.shape[0] in (1, 3)
    assert np.isfinite(picture.pixels).all()
    assert picture.pixels.min() >= 0.0
    assert picture.pixels.max() <= 1.0
    if picture.alpha is not None:
        assert picture.alpha.shape == (1, *picture.pixels.shape[1:])
        assert np.isfinite(picture.alpha).all()
    assert all("\n" not in note for note in picture.notes)


def kind_of_refusal(message: str) -> str:
    """A refusal without names and numbers."""
    return re.sub(r"[\d.]+", "#", message.split(": ", 1)[-1])[:60]
