"""Arrays of any range as PNG to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.io.atomic import atomic_path

# Of the pixels, those that a window lets run into white.
_BRIGHTEST = 0.001


def window_of(images: NDArray[Any]) -> float:
    """What is shown as white: the largest value but for one pixel in a thousand."""
    top = float(np.quantile(images, 1 - _BRIGHTEST))
    return top if top > 0 else max(float(images.max()), float(np.finfo(np.float32).tiny))


def write_shown(
    path: Path, images: NDArray[Any], white: float | None = None, black: float = 0.0
) -> None:
    """Write images [slices, rows, columns] as one 16-bit grey PNG, side by side if several.

    Args:
        path: where to.
        images: of any range.
        white: the value that is shown as white; `window_of` if not given.
        black: the value that is shown as black.
    """
    from PIL import Image

    top = window_of(images) if white is None else white
    span = max(top - black, float(np.finfo(np.float32).tiny))
    levels = np.clip((images - black) / span, 0, 1)
    count = len(images)
    columns = int(np.ceil(np.sqrt(count)))
    blank = np.zeros_like(levels[0])
    padded = [*levels, *[blank] * (-count % columns)]
    rows = [np.concatenate(padded[i : i + columns], 1) for i in range(0, len(padded), columns)]
    sheet = np.rint(np.concatenate(rows, 0) * 65535).astype(np.uint16)
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, "PNG")
