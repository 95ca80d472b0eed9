"""The files of a restored photograph: itself, its samples and the map of their deviation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from restore.io.files import numbered, std_paths
from restore.io.jpeg_blocks import write_jpeg_blocks
from restore.io.picture import Picture, output_format, write_picture
from restore.tasks.settings import Settings
from restore.tasks.task import as_array

Writer = Callable[[Path, Tensor], list[str]]
"""writer(path, x): write a picture [C, H, W]; returns notes for the user."""


def picture_writer(
    source: Path, picture: Picture, hole: Tensor | None, quality: int | None
) -> Writer:
    """What writes pictures as the input is stored.

    Args:
        source: the input.
        picture: what was read of it.
        hole: [H, W], true where pixels have changed; None where all may have. Elsewhere a JPEG
            keeps the blocks of a JPEG with its tables, and alpha stays.
        quality: of a JPEG, None for that of the input; of WebP, None for lossless.
    """
    changed = None if hole is None else hole.cpu().numpy()

    def write(path: Path, pixels: Tensor) -> list[str]:
        alpha: Any = "keep"
        if changed is not None:
            same_tables = picture.jpeg is not None and quality is None
            if same_tables and output_format(path) == "JPEG":
                return list(write_jpeg_blocks(path, as_array(pixels), source, changed))
            if picture.alpha is not None:
                alpha = np.where(changed, 1.0, picture.alpha[0])
        return list(write_picture(path, as_array(pixels), picture, alpha=alpha, quality=quality))

    return write


def write_samples(
    output: Path, x: Tensor, write: Writer, settings: Settings
) -> tuple[list[Path], dict[str, float] | None]:
    """Write what `--samples` and `--save-std` ask for of x [N, C, H, W].

    Returns:
        The files, and the scale of the map of the standard deviation.
    """
    if settings.samples is None:
        return [], None
    files = numbered(output, len(x))
    for path, sample in zip(files, x, strict=True):
        write(path, sample)
    if not settings.save_std:
        return files, None
    spread, maps = _write_std(output, x)
    return [*files, *maps], spread


def _write_std(output: Path, x: Tensor) -> tuple[dict[str, float], list[Path]]:
    """Write the standard deviation of samples x [N > 1, C, H, W] as `NAME_std.npy` and `.png`.

    Returns:
        For the sidecar: the value that the PNG shows as white, and the mean; and the files.
    """
    spread = x.std(dim=0)
    scale = max(float(spread.max()), 1e-6)
    array, shown = std_paths(output)
    write_picture(array, as_array(spread))
    write_picture(shown, as_array(spread / scale))
    return {"white_is": scale, "mean": float(spread.mean())}, [array, shown]
