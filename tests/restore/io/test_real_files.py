"""Real pictures of cameras and other programs, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from restore.errors import InputError
from restore.io.jpeg_blocks import read_coefficients, write_jpeg_blocks
from restore.io.levels import to_integer
from restore.io.picture import read_picture, write_picture

JPEGS = [
    "adobe_rgb_nosubsampling",
    "arithmetic_coded",
    "baseline_420",
    "baseline_422",
    "baseline_444_nojfif",
    "dnl_marker_420",
    "exif_orientation_6",
    "grey_restart",
    "progressive_444",
    "qtable_16bit",
    "restart_422",
    "size_17x17_420",
]
NO_COEFFICIENTS = {"arithmetic_coded", "restart_422"}


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg(shared: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = shared / "jpeg" / f"{name}.jpg"
    picture = read_picture(path)
    with Image.open(path) as image:
        seen = np.atleast_3d(np.asarray(ImageOps.exif_transpose(image)))
    assert np.array_equal(to_integer(picture.pixels, 8), np.moveaxis(seen, -1, 0))
    write_picture(tmp_path / "a.png", picture.pixels, picture)
    copy = read_picture(tmp_path / "a.png")
    assert np.array_equal(copy.pixels, picture.pixels)
    for kind in ("exif", "icc", "xmp", "iptc"):
        assert getattr(copy.metadata, kind) == getattr(picture.metadata, kind)
    write_picture(tmp_path / "a.jpg", picture.pixels, picture)
    assert read_picture(tmp_path / "a.jpg").jpeg == picture.jpeg
    assert (tmp_path / "a.jpg").stat().st_size < 1.4 * path.stat().st_size + 1000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_blocks(
    shared: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path, target = shared / "jpeg" / f"{name}.jpg", tmp_path / "a.jpg"
    picture = read_picture(path)
    changed = np.zeros(picture.pixels.shape[1:], dtype=bool)
    changed[:5, :5] = True
    pixels = np.where(changed, 0.4, picture.pixels)
    notes = write_jpeg_blocks(target, pixels, picture, changed)
    assert capfd.readouterr() == ("", "")
    if name in NO_COEFFICIENTS:
        assert "jpeglib cannot read its coefficients" in notes[0]
        with pytest.raises(InputError, match="expected Huffman coding"):
            read_coefficients(path)
        return
    assert notes == ()
    old, new = read_coefficients(path), read_coefficients(target)
    assert (old.Y != new.Y).any(axis=(2, 3)).sum() == 1
    assert np.array_equal(old.qt, new.qt)
    again = read_picture(target)
    assert again.jpeg is not None
    assert picture.jpeg is not None
    assert (again.jpeg.tables, again.jpeg.colour) == (picture.jpeg.tables, picture.jpeg.colour)
    assert again.metadata.icc == picture.metadata.icc
    assert again.metadata.xmp == picture.metadata.xmp


@pytest.mark.parametrize("name", ["cmyk", "ycck_restart"])
def test_cmyk(shared: Path, name: str) -> None:
    picture = read_picture(shared / "jpeg" / f"{name}.jpg")
    assert (picture.mode, picture.channels) == ("CMYK", 3)
    assert len(picture.notes) == 1


def test_photos(shared: Path, tmp_path: Path) -> None:
    paths = sorted((shared / "photos" / "val").glob("*.jpg"))[:4]
    paths += sorted((shared / "photos" / "damaged").glob("*.png"))
    assert len(paths) == 6
    for path in paths:
        picture = read_picture(path)
        write_picture(tmp_path / "a.png", picture.pixels, picture)
        copy = read_picture(tmp_path / "a.png")
        assert np.array_equal(copy.pixels, picture.pixels)
        assert (copy.alpha is None) == (picture.alpha is None)
