"""Pictures for the page: the current estimate, and files as a browser shows them."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from restore.io.levels import to_integer
from restore.io.picture import read_picture

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

PREVIEW_SIDE = 384
# Of values beyond a picture's, those that may run into white.
_WHITE_QUANTILE = 0.999


def preview_of(x_hat: Tensor) -> str:
    """The first of several estimates [N, C, H, W] as a small JPEG in a `data:` address.

    Complex values are shown by their magnitude; what has neither 1 nor 3 channels by its mean.
    """
    import torch

    x = x_hat[0].detach()
    x = x.abs() if x.is_complex() else x
    shrink = max(1, -(-max(x.shape[-2:]) // PREVIEW_SIDE))
    if shrink > 1:
        x = torch.nn.functional.avg_pool2d(x.float()[None], shrink, ceil_mode=True)[0]
    pixels = x.float().cpu().numpy()
    if len(pixels) not in (1, 3):
        pixels = pixels.mean(0, keepdims=True)
    white = max(1.0, float(np.quantile(pixels, _WHITE_QUANTILE)))
    stream = BytesIO()
    _image(pixels / white).save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def write_shown_picture(
    source: Path, target: Path, size: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Write any picture as an 8-bit PNG that a browser shows.

    Args:
        source: any file that `read_picture` reads.
        target: where to.
        size: (width, height) that it is enlarged to without interpolation; its own without.

    Returns:
        Width and height of what was written.

    Raises:
        InputError: if it is no picture.
    """
    from PIL import Image

    picture = read_picture(source)
    image = _image(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(to_integer(picture.alpha[0], 8)))
    if size is not None and size != image.size:
        image = image.resize(size, Image.Resampling.NEAREST)
    # The fastest compression: it is seen once.
    image.save(target, "PNG", compress_level=1)
    return image.size


def write_shown_mask(target: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask [H, W] as a PNG, white where it is true."""
    from PIL import Image

    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(target, "PNG")


def write_shown_strokes(
    target: Path, known: NDArray[np.bool_], colours: NDArray[np.float32]
) -> None:
    """Write colours [3, H, W] as a PNG that is transparent where none is known, [H, W]."""
    from PIL import Image

    image = _image(colours)
    image.putalpha(Image.fromarray(np.where(known, np.uint8(255), np.uint8(0))))
    image.save(target, "PNG")


def _image(pixels: ArrayLike) -> Image.Image:
    from PIL import Image

    levels = to_integer(pixels, 8)
    return Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
