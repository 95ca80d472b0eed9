"""The map of the samples' standard deviation."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from restore.io.files import std_paths
from restore.io.picture import write_picture
from restore.tasks.task import as_array


def write_std(output: Path, x: Tensor) -> tuple[dict[str, float], list[Path]]:
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
