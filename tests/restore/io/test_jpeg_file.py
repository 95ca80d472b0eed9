"""Coefficients of real kinds of JPEG, and the kinds that are refused, by name."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import jpeglib
import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.io.jpeg_blocks import write_jpeg_blocks
from restore.io.jpeg_file import read_jpeg
from restore.io.picture import read_picture

EXPECTED = "expected a JPEG with Huffman coding in grey, YCbCr or RGB"


def coefficients(path: Path) -> np.ndarray:
    return read_jpeg(read_picture(path)).coefficients


def test_what_is_read(tmp_path, smooth):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(smooth).save(path, quality=60, subsampling="4:2:2", exif=exif)
    file = read_jpeg(read_picture(path))
    assert file.shape == (3, 40, 56)
    assert file.orientation == 6
    assert file.factors == ((1, 2), (1, 1), (1, 1))
    assert file.colour == "ycc"
    assert len(file.coefficients) == 5 * 7 + 2 * 5 * 4
    with Image.open(path) as image:
        tables = [np.array(image.quantization[i]).reshape(8, 8) for i in (0, 1, 1)]
    # Horizontal and vertical frequencies are told apart by the usual luma table.
    assert tables[0][0, 1] != tables[0][1, 0]
    assert np.array_equal(file.tables, tables)


def test_jpeglib_gets_names_in_ascii(tmp_path, smooth, monkeypatch):
    """It opens them as bytes of UTF-8, which Windows takes for those of another encoding."""
    path, names = tmp_path / "Fläche.jpg", []
    Image.fromarray(smooth).save(path)
    read = jpeglib.read_dct
    monkeypatch.setattr(jpeglib, "read_dct", lambda name: names.append(name) or read(name))
    picture = read_picture(path)
    assert len(read_jpeg(picture).coefficients) == 5 * 7 + 2 * 3 * 4
    untouched = np.zeros((40, 56), bool)
    write_jpeg_blocks(tmp_path / "Kopie.jpg", picture.pixels, picture, untouched)
    assert names
    assert all(map(str.isascii, names))


def test_other_codings_hold_the_same_coefficients(tmp_path, smooth):
    image, plain = Image.fromarray(smooth), tmp_path / "a.jpg"
    image.save(plain)
    for name, options in {
        "progressive": {"progressive": True},
        "optimised": {"optimize": True},
        "restart": {"restart_marker_blocks": 2},
    }.items():
        other = tmp_path / f"{name}.jpg"
        image.save(other, **options)
        assert other.read_bytes() != plain.read_bytes()
        assert np.array_equal(coefficients(other), coefficients(plain))


def test_a_frame_of_a_video_without_its_codes(tmp_path, smooth):
    whole, frame = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(smooth).save(whole)
    data = whole.read_bytes()
    while (at := data.find(b"\xff\xc4")) >= 0:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    frame.write_bytes(data)
    assert np.array_equal(coefficients(frame), coefficients(whole))


def test_a_name_that_is_not_utf_8(tmp_path, smooth):
    plain = tmp_path / "a.jpg"
    Image.fromarray(smooth).save(plain)
    other = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    try:
        other.write_bytes(plain.read_bytes())
    except OSError:
        pytest.skip("the file system takes no such name")
    assert np.array_equal(coefficients(other), coefficients(plain))
    picture, changed = read_picture(other), np.zeros((40, 56), bool)
    assert write_jpeg_blocks(tmp_path / "b.jpg", picture.pixels, picture, changed) == ()
    assert np.array_equal(coefficients(tmp_path / "b.jpg"), coefficients(plain))


def test_grey_rgb_and_coarse_tables(tmp_path, smooth):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth[..., 0]).save(path)
    assert read_jpeg(read_picture(path)).shape == (1, 40, 56)
    Image.fromarray(smooth).save(path, keep_rgb=True)
    assert read_jpeg(read_picture(path)).colour == "rgb"
    Image.fromarray(smooth).save(path, qtables=[[300] * 64] * 2)
    assert read_jpeg(read_picture(path)).tables.max() == 300


def test_cmyk_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16)).save(path)
    with pytest.raises(InputError, match=f"a.jpg: JPEG with CMYK colours, {EXPECTED}"):
        coefficients(path)


@pytest.mark.parametrize(
    ("marker", "name"), [(0xC9, "arithmetic coding"), (0xC3, "lossless"), (0xC5, "hierarchical")]
)
def test_other_processes_are_refused_by_name(tmp_path, smooth, monkeypatch, marker, name):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth).save(path)
    picture = read_picture(path)
    path.write_bytes(path.read_bytes().replace(b"\xff\xc0", bytes([0xFF, marker]), 1))
    monkeypatch.setattr(jpeglib, "read_dct", None)
    with pytest.raises(InputError, match=f"JPEG with {name}, {EXPECTED}"):
        read_jpeg(picture)


def test_other_formats_and_unreadable_files_are_refused(tmp_path, smooth):
    png, jpg = tmp_path / "a.png", tmp_path / "a.jpg"
    Image.fromarray(smooth).save(png)
    with pytest.raises(InputError, match=f"a.png: is PNG, {EXPECTED}"):
        coefficients(png)
    Image.fromarray(smooth).save(jpg)
    picture = read_picture(jpg)
    jpg.write_bytes(jpg.read_bytes()[:300])
    with pytest.raises(InputError, match="JPEG whose coefficients cannot be read"):
        read_jpeg(dataclasses.replace(picture, path=jpg))


RESTORED = {
    "adobe_rgb_nosubsampling": "rgb", "baseline_420": "ycc", "baseline_422": "ycc",
    "baseline_444_nojfif": "ycc", "dnl_marker_420": "ycc", "grey_restart": "grey",
    "progressive_444": "ycc", "qtable_16bit": "ycc", "restart_422": "ycc",
    "size_17x17_420": "ycc", "exif_orientation_6": "ycc",
}  # fmt: skip
REFUSED = {"arithmetic_coded": "arithmetic coding", "cmyk": "CMYK", "ycck_restart": "YCCK"}


def test_real_files_of_every_kind(shared):
    files = {path.stem: path for path in (shared / "jpeg").glob("*.jpg")}
    assert set(files) == set(RESTORED) | set(REFUSED)
    for name, colour in RESTORED.items():
        file = read_jpeg(read_picture(files[name]))
        assert (file.colour, file.orientation) == (colour, 6 if "exif" in name else 1)
    for name, kind in REFUSED.items():
        with pytest.raises(InputError, match=f"JPEG with {kind}"):
            coefficients(files[name])
