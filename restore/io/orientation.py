"""The eight EXIF orientations as array operations."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

_ROWS, _COLUMNS = -2, -1
_INVERSE = {6: 8, 8: 6}


def apply_orientation(stored: NDArray[Scalar], code: int) -> NDArray[Scalar]:
    """Turns a picture as stored into the picture as seen (EXIF 2.32, tag 0x0112).

    Args:
        stored: [..., H, W].
        code: 1 to 8; any other number is taken as 1, as viewers do.

    Returns:
        [..., H, W] or, for codes 5 to 8, [..., W, H]; contiguous.
    """
    both = (_ROWS, _COLUMNS)
    match code:
        case 2:
            turned = np.flip(stored, _COLUMNS)
        case 3:
            turned = np.flip(stored, both)
        case 4:
            turned = np.flip(stored, _ROWS)
        case 5:
            turned = np.swapaxes(stored, *both)
        case 6:
            turned = np.rot90(stored, -1, both)
        case 7:
            turned = np.flip(np.swapaxes(stored, *both), both)
        case 8:
            turned = np.rot90(stored, 1, both)
        case _:
            turned = stored
    return np.ascontiguousarray(turned)


def undo_orientation(seen: NDArray[Scalar], code: int) -> NDArray[Scalar]:
    """The inverse of `apply_orientation`."""
    return apply_orientation(seen, _INVERSE.get(code, code))
