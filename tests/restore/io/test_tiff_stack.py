"""Folders of TIFF: the files in the order of their numbers, then of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from restore.errors import InputError
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


@pytest.mark.parametrize("kind", [{"imagej": True}, {}])
def test_a_stack_whose_index_has_one_page_is_refused(tmp_path: Path, kind: dict[str, bool]) -> None:
    """As ImageJ writes those of more than 4 GB: the rest lies behind it, without an index."""
    volume = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    tifffile.imwrite(tmp_path / "whole.tif", volume, photometric="minisblack", **kind)
    assert np.array_equal(read_tiff_stack(tmp_path / "whole.tif"), volume)
    tifffile.imwrite(tmp_path / "one.tif", volume, photometric="minisblack", truncate=True, **kind)
    with pytest.raises(InputError, match=r"one.tif: 4 pages, of which 1 are in its index"):
        read_tiff_stack(tmp_path / "one.tif")
