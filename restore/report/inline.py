"""Pictures and maps as PNG inside a page, so that it needs no other file."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from restore.io.levels import to_integer

if TYPE_CHECKING:
    from PIL import Image

# Levels of a map: what the eye tells apart, and a third of the bytes of 256.
_LEVELS = 64
MAP_GRADIENT = "linear-gradient(to right, #000, #f00 33.3%, #ff0 66.7%, #fff)"
"""The colours of a map from 0 to its white, as CSS has them."""


LONGEST = 1024
"""The most pixels of a side on a page; what is larger is shown smaller."""


def shrunk(pixels: ArrayLike) -> NDArray[np.float32]:
    """Pictures or maps [..., H, W] with no side over `LONGEST`, by the mean over areas."""
    from PIL import Image

    values = np.asarray(pixels, dtype=np.float32)
    height, width = values.shape[-2:]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return values
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))
        for plane in values.reshape(-1, height, width)
    ]
    return np.stack(planes).reshape(*values.shape[:-2], size[1], size[0])


def png_uri(pixels: ArrayLike) -> str:
    """A picture [1 or 3, H, W] in [0, 1] as a `data:` address of an 8-bit PNG.

    Raises:
        ValueError: if a value is not finite.
    """
    from PIL import Image

    levels = to_integer(pixels, 8)
    return _uri(Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)))


def map_uri(values: ArrayLike, white: float) -> str:
    """A map [H, W] of values from 0 as a `data:` address of a PNG in colours.

    0 is black, then come red, yellow and, from `white` on, white: ever lighter, so that it reads
    in grey too.
    """
    from PIL import Image

    share = np.clip(np.asarray(values, dtype=np.float64) / white, 0.0, 1.0)
    image = Image.fromarray(np.rint(share * (_LEVELS - 1)).astype(np.uint8), "P")
    image.putpalette(_palette().tobytes())
    return _uri(image)


def _palette() -> NDArray[np.uint8]:
    ramp = 3 * np.linspace(0.0, 1.0, _LEVELS)[:, None] - np.arange(3)
    return np.rint(255 * np.clip(ramp, 0.0, 1.0)).astype(np.uint8)


def _uri(image: Image.Image) -> str:
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
