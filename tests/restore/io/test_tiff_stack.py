"""Folders of TIFF: the files in the order of their numbers, then of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from restore.io.tiff_stack import read_tiff_stack


@pytest.mark.parametrize(
    "names",
    [
        ["proj_1", "proj_2", "proj_10"],
        ["a2_b1", "a2_b10", "a10_b2"],
        ["dark", "open", "view"],
        ["a_1", "b_1", "a_2"],
        ["first", "view_0", "view_1"],
    ],
)
def test_order(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for value, name in enumerate(names):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((2, 3), value, np.float32))
    shuffled = [tmp_path / f"{name}.tif" for name in names[1:] + names[:1]]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(shuffled))
    assert read_tiff_stack(tmp_path)[:, 0, 0].tolist() == [0, 1, 2]
