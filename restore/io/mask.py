"""Which pixels are to be filled: a mask file, or the hole in a photo's alpha."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.picture import Picture, read_picture

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_HALF = 0.5


def read_mask(path: str | os.PathLike[str], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Reads a mask: white is to be filled, grey counts when brighter than 50 %.

    Colours count by their BT.601 luma. In a mask with varying alpha: strokes of a single colour on
    transparent ground are to be filled where they are more than half opaque, whatever the colour;
    otherwise the picture is taken over black.

    Args:
        path: any picture that `read_picture` reads.
        size: (H, W) of the photo.

    Returns:
        bool [H, W], True where the photo is to be filled.

    Raises:
        InputError: unreadable, of another size, all white or all black.
    """
    mask = read_picture(path)
    height, width = size
    if (mask.height, mask.width) != (height, width):
        raise InputError(
            f"{path}: mask is {mask.width}x{mask.height}, the picture is {width}x{height}; "
            "expected the same"
        )
    fill = _brightness(mask) > _HALF
    if fill.all():
        raise InputError(f"{path}: the mask is all white, so nothing is known; expected black too")
    if not fill.any():
        raise InputError(f"{path}: the mask is all black, so nothing to fill; expected white too")
    return fill


def hole_from_alpha(picture: Picture) -> NDArray[np.bool_]:
    """The hole in a photo: where it is less than half opaque.

    Returns:
        bool [H, W], True where the photo is to be filled.

    Raises:
        InputError: no alpha, or no hole in it, or nothing but hole.
    """
    expected = "expected a mask or a photo with a transparent hole"
    if picture.alpha is None:
        raise InputError(f"{picture.path}: no mask and no transparency, {expected}")
    hole: NDArray[np.bool_] = picture.alpha[0] < _HALF
    if not hole.any():
        raise InputError(f"{picture.path}: its alpha has no hole, so nothing to fill; {expected}")
    if hole.all():
        raise InputError(f"{picture.path}: all transparent, so nothing is known; {expected}")
    return hole


def _brightness(mask: Picture) -> NDArray[np.float32]:
    grey: NDArray[np.float32]
    grey = mask.pixels[0] if mask.channels == 1 else np.tensordot(_LUMA, mask.pixels, axes=1)
    if mask.alpha is None or np.ptp(mask.alpha) == 0.0:
        return grey
    alpha: NDArray[np.float32] = mask.alpha[0]
    visible = mask.pixels[:, alpha > 0.0]
    of_one_colour = bool((visible == visible[:, :1]).all())
    return alpha if of_one_colour else grey * alpha
