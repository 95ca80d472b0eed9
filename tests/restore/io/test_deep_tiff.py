"""TIFFs of 16 bits and floating point, written by tifffile."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.errors import InputError
from restore.io.levels import to_integer
from restore.io.picture import read_picture, write_picture

H, W = 37, 53


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep.tif"


def made(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"compression": "zlib", "byteorder": ">"},
        {"tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib"},
        {"bigtiff": True},
        {"rowsperstrip": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
def test_16_bits(path: Path, rng: np.random.Generator, options: dict[str, Any], kind: str) -> None:
    channels = {"grey": 1, "rgb": 3, "rgba": 4}[kind]
    levels = rng.integers(0, 65536, (H, W, channels), dtype=np.uint16)
    if kind == "grey":
        made(path, levels[..., 0], photometric="minisblack", **options)
    else:
        extra = {"extrasamples": ["unassalpha"]} if kind == "rgba" else {}
        made(path, levels, photometric="rgb", **extra, **options)
    picture = read_picture(path)
    assert picture.bits == 16
    colours = np.moveaxis(levels[..., :3], -1, 0)
    assert np.array_equal(to_integer(picture.pixels, 16), colours)
    if kind == "rgba":
        assert picture.alpha is not None
        assert np.array_equal(to_integer(picture.alpha[0], 16), levels[..., 3])


@pytest.mark.parametrize("big", [False, True])
def test_planes_apart(path: Path, rng: np.random.Generator, big: bool) -> None:
    planes = rng.integers(0, 65536, (3, H, W), dtype=np.uint16)
    options = {"planarconfig": "separate", "bigtiff": big}
    picture = read_picture(made(path, planes, photometric="rgb", **options))
    assert np.array_equal(to_integer(picture.pixels, 16), planes)


def test_grey_with_alpha(path: Path, rng: np.random.Generator) -> None:
    levels = rng.integers(0, 65536, (H, W, 2), dtype=np.uint16)
    options = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    picture = read_picture(made(path, levels, photometric="minisblack", **options))
    assert picture.alpha is not None
    assert np.array_equal(to_integer(picture.pixels[0], 16), levels[..., 0])
    assert np.array_equal(to_integer(picture.alpha[0], 16), levels[..., 1])


def test_white_is_zero(path: Path, rng: np.random.Generator) -> None:
    levels = rng.integers(0, 65536, (H, W), dtype=np.uint16)
    picture = read_picture(made(path, levels, photometric="miniswhite"))
    assert np.array_equal(to_integer(picture.pixels[0], 16), 65535 - levels)
    half = rng.random((H, W)).astype(np.float16)
    picture = read_picture(made(path, half, photometric="miniswhite"))
    assert np.array_equal(picture.pixels[0], 1 - half.astype(np.float32))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_and_alpha_apart(
    path: Path, rng: np.random.Generator, photometric: str, compression: str | None
) -> None:
    planes = rng.integers(0, 256, (2, H, W), dtype=np.uint8)
    options = {"planarconfig": "separate", "extrasamples": ["unassalpha"]}
    made(path, planes, photometric=photometric, compression=compression, **options)
    picture = read_picture(path)
    grey = planes[0] if photometric == "minisblack" else 255 - planes[0]
    assert np.array_equal(to_integer(picture.pixels[0], 8), grey)
    assert picture.alpha is not None
    assert np.array_equal(to_integer(picture.alpha[0], 8), planes[1])


@pytest.mark.parametrize("big", [False, True])
def test_the_first_of_several_pages_is_said(
    path: Path, rng: np.random.Generator, big: bool
) -> None:
    pages = rng.random((2, H, W, 3)).astype(np.float32)
    picture = read_picture(made(path, pages, photometric="rgb", bigtiff=big))
    assert np.array_equal(picture.pixels, np.moveaxis(pages[0], -1, 0))
    assert "several pages: the first is used" in picture.notes
    assert (
        "several pages: the first is used"
        not in read_picture(made(path, pages[0], photometric="rgb")).notes
    )


def test_premultiplied_alpha_is_divided_out(path: Path) -> None:
    straight = np.array([60000, 30000, 10, 32768])
    stored = straight.copy()
    stored[:3] = np.rint(straight[:3] * (32768 / 65535))
    array = np.broadcast_to(stored.astype(np.uint16), (2, 2, 4)).copy()
    array[0, 0] = 0
    picture = read_picture(made(path, array, photometric="rgb", extrasamples=["assocalpha"]))
    seen = to_integer(picture.pixels, 16)
    assert seen[:, 1, 1].tolist() == np.rint(stored[:3] * (65535 / 32768)).tolist()
    assert seen[:, 0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floating_point(
    path: Path,
    rng: np.random.Generator,
    dtype: Any,
    byteorder: str,
    compression: str | None,
    channels: int,
) -> None:
    options = {"byteorder": byteorder, "compression": compression}
    array = rng.random((H, W, channels)).astype(dtype)
    kind = "minisblack" if channels == 1 else "rgb"
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    made(path, array[..., 0] if channels == 1 else array, photometric=kind, **extra, **options)
    picture = read_picture(path)
    assert (picture.bits, picture.rounding_std, picture.scale) == (32, 0.0, 1.0)
    whole = np.moveaxis(array.astype(np.float32), -1, 0)
    assert np.array_equal(picture.pixels, whole[:3])
    if channels == 4:
        assert np.array_equal(picture.alpha, whole[3:])


def test_lzw_16_bit_rgb(path: Path, rng: np.random.Generator) -> None:
    """Made by Pillow as 8-bit RGB of twice the width, then called 16-bit: the same bytes."""
    levels = rng.integers(0, 65536, (H, W, 3), dtype=np.uint16)
    stored = levels.astype("<u2").view(np.uint8).reshape(H, 2 * W, 3)
    Image.fromarray(stored).save(path, compression="tiff_lzw")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        width, bits = tags["ImageWidth"], tags["BitsPerSample"].valueoffset
    data[width.offset + 2 : width.offset + 12] = struct.pack("<HLL", 4, 1, W)
    data[bits : bits + 6] = struct.pack("<3H", 16, 16, 16)
    path.write_bytes(data)
    assert np.array_equal(to_integer(read_picture(path).pixels, 16), np.moveaxis(levels, -1, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (H, W), (300, 400)])
def test_written_tiffs_are_tiffs_to_tifffile(
    path: Path, rng: np.random.Generator, dtype: Any, channels: int, size: tuple[int, int]
) -> None:
    values = rng.random((channels, *size), dtype=np.float32)
    bits = 32 if dtype is np.float32 else 8 * np.dtype(dtype).itemsize
    colours, alpha = (values[:-1], values[-1:]) if channels in (2, 4) else (values, None)
    assert write_picture(path, colours, bits=bits, alpha=alpha) == ()
    seen = tifffile.imread(path).reshape(*size, channels)
    expected = values if bits == 32 else to_integer(values, bits)
    assert seen.dtype == dtype
    assert np.array_equal(np.moveaxis(seen, -1, 0), expected)
    again = read_picture(path)
    assert again.bits == bits
    assert np.array_equal(
        again.pixels if bits == 32 else to_integer(again.pixels, bits), expected[: len(colours)]
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_floating_point_in_its_own_units_is_bit_identical(
    path: Path, rng: np.random.Generator, channels: int
) -> None:
    array = (rng.random((H, W, channels)) * 3000).astype(np.float32)
    kind = "minisblack" if channels == 1 else "rgb"
    made(path, array[..., 0] if channels == 1 else array, photometric=kind)
    picture = read_picture(path)
    assert picture.scale == 4096.0
    for suffix in (".tif", ".npy"):
        written = path.with_name(f"again{suffix}")
        write_picture(written, picture.pixels, picture)
        stored = np.load(written) if suffix == ".npy" else tifffile.imread(written)
        assert np.array_equal(stored.reshape(array.shape), array)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 4), dtype=np.int32), "32-bit MINISBLACK TIFF with 1 channels of int32"),
        (np.zeros((4, 4), dtype=np.uint32), "32-bit MINISBLACK TIFF of uint32"),
        (np.zeros((4, 4), dtype=np.int16), "16-bit MINISBLACK TIFF with 1 channels of int16"),
        (np.zeros((4, 4), dtype=np.int8), "8-bit MINISBLACK TIFF with 1 channels of int8"),
        (np.zeros((4, 4), dtype=np.complex64), "channels of complex64"),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_refuses_other_numbers(path: Path, array: np.ndarray, found: str) -> None:
    with pytest.raises(InputError, match=f"deep.tif: .*{found}, expected grey or RGB"):
        read_picture(made(path, array, photometric="minisblack"))


def test_refuses_many_channels(path: Path) -> None:
    array = np.zeros((5, 8, 8), dtype=np.uint8)
    with pytest.raises(InputError, match="with 5 channels of uint8"):
        read_picture(made(path, array, photometric="minisblack", planarconfig="separate"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_truncated(path: Path, rng: np.random.Generator, dtype: Any, capfd: Any) -> None:
    array = (rng.random((64, 64, 3)) * 200).astype(dtype)
    data = made(path, array, photometric="rgb").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"deep\.tif: truncated .*, expected a complete picture"):
        read_picture(path)
    assert capfd.readouterr() == ("", "")


def test_not_a_number(path: Path) -> None:
    array = np.full((4, 4), np.nan, dtype=np.float32)
    with pytest.raises(InputError, match=r"deep\.tif: NaN or infinity among the values"):
        read_picture(made(path, array))


def test_negative_values(path: Path) -> None:
    array = np.linspace(-3, 5, 16, dtype=np.float32).reshape(4, 4)
    with pytest.raises(InputError, match="values from -3 to 5, expected none below 0"):
        read_picture(made(path, array))
