"""Writing: what was read comes back bit by bit, in the input's mode and depth."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from restore.errors import InputError
from restore.io.levels import as_written, to_integer
from restore.io.picture import read_picture, write_picture

MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"]


def example(mode: str, rng: np.random.Generator) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (9, 14), dtype=np.uint16))
    levels = rng.integers(0, 256, (9, 14, 4), dtype=np.uint8)
    levels[0, :4, 3] = 0  # where nothing is seen, the colours are kept, too
    colour = Image.fromarray(levels)
    if mode in ("P", "PA"):
        indexed = colour.convert("RGB").quantize(16)
        return indexed if mode == "P" else indexed.convert("PA")
    return colour.convert(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp", ".npy"])
def test_unchanged_pixels_are_identical(
    tmp_path: Path, rng: np.random.Generator, mode: str, suffix: str
) -> None:
    source = tmp_path / "a.tif" if mode == "PA" else tmp_path / "a.png"
    example(mode, rng).convert("RGBA" if mode == "PA" else mode).save(source)
    picture = read_picture(source)
    target = tmp_path / f"b{suffix}"
    notes = write_picture(target, picture.pixels, picture)
    again = read_picture(target)
    if mode == "I;16" and suffix in (".webp", ".bmp"):
        assert notes == (f"written with 8 bits, the most that {suffix[1:].upper()} holds",)
        expected = as_written(picture.pixels, 8)
    else:
        expected = picture.pixels
    grey_as_rgb = suffix == ".webp" and picture.channels == 1
    assert again.channels == (3 if grey_as_rgb else picture.channels)
    assert np.array_equal(again.pixels, np.broadcast_to(expected, again.pixels.shape))
    opaque = picture.alpha is None or bool((picture.alpha == 1.0).all())
    if picture.alpha is None or suffix == ".bmp" or (opaque and suffix == ".webp"):
        assert again.alpha is None
    else:
        assert np.array_equal(again.alpha, picture.alpha)
    if suffix == ".bmp" and picture.alpha is not None:
        assert notes == ("transparency is lost: BMP has no place for it",)


@pytest.mark.parametrize(
    ("mode", "kept"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_mode_of_the_output(tmp_path: Path, rng: np.random.Generator, mode: str, kept: str) -> None:
    example(mode, rng).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    for suffix in (".png", ".tif"):
        write_picture(tmp_path / f"b{suffix}", picture.pixels, picture)
        with Image.open(tmp_path / f"b{suffix}") as image:
            assert image.mode == kept


def test_colour_after_grey_and_grey_after_colour(tmp_path: Path, rng: np.random.Generator) -> None:
    example("L", rng).save(tmp_path / "grey.png")
    grey = read_picture(tmp_path / "grey.png")
    write_picture(tmp_path / "b.png", np.repeat(grey.pixels, 3, axis=0), grey)
    assert read_picture(tmp_path / "b.png").mode == "RGB"
    example("RGBA", rng).save(tmp_path / "colour.png")
    colour = read_picture(tmp_path / "colour.png")
    write_picture(tmp_path / "c.png", colour.pixels[:1], colour)
    assert read_picture(tmp_path / "c.png").mode == "LA"


def test_rounds_to_nearest_and_clips(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", np.array([[[-1.0, 0.4999 / 255, 0.5001 / 255, 2.0]]]))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[0, 0, 1, 255]]


def test_takes_tensors(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", torch.full((3, 2, 5), 0.2))
    assert read_picture(tmp_path / "a.png").pixels.shape == (3, 2, 5)


def test_bits_option(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.random((3, 6, 7)).astype(np.float32)
    write_picture(tmp_path / "a.png", values, bits=16)
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, as_written(values, 16))
    write_picture(tmp_path / "a.tif", values, bits=32)
    assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, values)
    assert "16 bits" in write_picture(tmp_path / "b.png", values, bits=32)[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_npy_is_float(tmp_path: Path, rng: np.random.Generator, channels: int) -> None:
    values = rng.random((channels, 4, 6)).astype(np.float32)
    write_picture(tmp_path / "a.npy", values)
    array = np.load(tmp_path / "a.npy")
    assert array.dtype == np.float32
    assert array.shape == ((4, 6) if channels == 1 else (4, 6, 3))
    assert np.array_equal(array.reshape(4, 6, channels), np.moveaxis(values, 0, -1))


def test_alpha_given_dropped_and_resized(tmp_path: Path, rng: np.random.Generator) -> None:
    example("RGBA", rng).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    opaque = np.ones(picture.pixels.shape[1:])
    write_picture(tmp_path / "b.png", picture.pixels, picture, alpha=opaque)
    again = read_picture(tmp_path / "b.png")
    assert again.alpha is not None
    assert again.alpha.min() == 1.0
    write_picture(tmp_path / "b.png", picture.pixels, picture, alpha=None)
    assert read_picture(tmp_path / "b.png").alpha is None
    large = np.repeat(np.repeat(picture.pixels, 2, axis=1), 2, axis=2)
    write_picture(tmp_path / "b.png", large, picture)
    again = read_picture(tmp_path / "b.png")
    assert again.alpha is not None
    assert again.alpha.shape == (1, *large.shape[1:])
    with pytest.raises(ValueError, match=r"alpha is \[2, 2\]"):
        write_picture(tmp_path / "b.png", large, picture, alpha=np.ones((2, 2)))


def test_a_jpeg_uses_its_tables_again(tmp_path: Path, smooth: np.ndarray) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    for quality, subsampling in [(60, 2), (85, 1), (95, 0)]:
        Image.fromarray(smooth).save(source, quality=quality, subsampling=subsampling)
        picture = read_picture(source)
        assert picture.jpeg is not None
        assert picture.jpeg.subsampling == subsampling
        assert write_picture(target, picture.pixels, picture) == ()
        assert read_picture(target).jpeg == picture.jpeg
        assert target.stat().st_size < 1.2 * source.stat().st_size


def test_jpeg_kinds_are_kept(tmp_path: Path, smooth: np.ndarray) -> None:
    Image.fromarray(smooth).save(tmp_path / "p.jpg", progressive=True, quality=80)
    Image.fromarray(smooth).save(tmp_path / "k.jpg", keep_rgb=True, quality=80)
    Image.fromarray(smooth[..., 0]).save(tmp_path / "g.jpg", quality=80)
    kinds = [("p", "ycc", True), ("k", "rgb", False), ("g", "grey", False)]
    for name, colour, progressive in kinds:
        picture = read_picture(tmp_path / f"{name}.jpg")
        write_picture(tmp_path / "b.jpg", picture.pixels, picture)
        again = read_picture(tmp_path / "b.jpg")
        assert again.jpeg == picture.jpeg
        assert again.jpeg is not None
        assert (again.jpeg.colour, again.jpeg.progressive) == (colour, progressive)
        assert np.abs(again.pixels - picture.pixels).max() * 255 < 12


def test_jpeg_of_other_channels(tmp_path: Path, smooth: np.ndarray) -> None:
    Image.fromarray(smooth).save(tmp_path / "c.jpg", quality=70)
    Image.fromarray(smooth[..., 0]).save(tmp_path / "g.jpg", quality=70)
    colour, grey = read_picture(tmp_path / "c.jpg"), read_picture(tmp_path / "g.jpg")
    write_picture(tmp_path / "b.jpg", colour.pixels[:1], colour)
    again = read_picture(tmp_path / "b.jpg").jpeg
    assert again is not None
    assert colour.jpeg is not None
    assert again.tables == colour.jpeg.tables[:1]
    write_picture(tmp_path / "b.jpg", np.repeat(grey.pixels, 3, axis=0), grey)
    again = read_picture(tmp_path / "b.jpg").jpeg
    assert again is not None
    assert grey.jpeg is not None
    assert again.tables == 3 * grey.jpeg.tables


def test_quality(tmp_path: Path, smooth: np.ndarray) -> None:
    pixels = np.moveaxis(smooth, -1, 0) / 255
    expected = Image.fromarray(smooth)
    for quality, given in [(95, None), (40, 40)]:
        write_picture(tmp_path / "a.jpg", pixels, quality=given)
        expected.save(tmp_path / "b.jpg", quality=quality, subsampling=0)
        a, b = read_picture(tmp_path / "a.jpg"), read_picture(tmp_path / "b.jpg")
        assert a.jpeg == b.jpeg
    write_picture(tmp_path / "a.webp", pixels, quality=50)
    lossy = read_picture(tmp_path / "a.webp").pixels
    assert 0.0 < np.abs(lossy - pixels).max() < 0.3


@pytest.mark.parametrize("suffix", ["", ".xyz", ".gif"])
def test_unknown_suffix(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match=r"suffix.*, expected one of \.png \.jpg"):
        write_picture(tmp_path / f"a{suffix}", np.zeros((1, 2, 2)))


@pytest.mark.parametrize(("suffix", "most"), [(".webp", 16383), (".jpg", 65500)])
def test_too_long_for_the_format(tmp_path: Path, suffix: str, most: int) -> None:
    with pytest.raises(InputError, match=f"a side of {most + 1} pixels, .* has at most {most}"):
        write_picture(tmp_path / f"a{suffix}", np.zeros((1, 1, most + 1)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4), (4, 4, 4), (1, 0, 4), (1, 3, 4, 4)])
def test_refuses_other_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[1 or 3, H, W\]"):
        write_picture(tmp_path / "a.png", np.zeros(shape))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
@pytest.mark.parametrize("bits", [8, 32])
def test_refuses_nan(tmp_path: Path, suffix: str, bits: int) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        write_picture(tmp_path / f"a{suffix}", np.full((1, 2, 2), np.nan), bits=bits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".npy"])
@pytest.mark.parametrize("failure", ["interrupt", "full", "late"])
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, failure: str
) -> None:
    """Interrupted or out of space in the middle of the file, or at the rename."""
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"old")

    def half(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        if failure == "interrupt":
            raise KeyboardInterrupt
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupted(self: Path, other: Path) -> Path:
        raise KeyboardInterrupt

    if failure == "late":
        monkeypatch.setattr(Path, "replace", interrupted)
    else:
        monkeypatch.setattr(Path, "write_bytes", half)
    expected: Any = InputError if failure == "full" else KeyboardInterrupt
    with pytest.raises(expected):
        write_picture(target, np.zeros((3, 8, 8)))
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_untouched_pixels_can_be_copied(tmp_path: Path, rng: np.random.Generator) -> None:
    """What inpainting does: the kept pixels of the written file are those of the source."""
    for mode, bits in (("RGB", 8), ("I;16", 16)):
        example(mode, rng).save(tmp_path / "a.png")
        picture = read_picture(tmp_path / "a.png")
        hole = rng.random(picture.pixels.shape[1:]) < 0.3
        filled = np.where(hole, rng.random(picture.pixels.shape), picture.pixels)
        write_picture(tmp_path / "b.png", filled, picture)
        again = to_integer(read_picture(tmp_path / "b.png").pixels, bits)
        assert np.array_equal(again[:, ~hole], to_integer(picture.pixels, bits)[:, ~hole])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_whole_numbers_have_no_white(tmp_path, dtype):
    with pytest.raises(ValueError, match=r"pixels are u?int\d+, expected numbers in \[0, 1\]"):
        write_picture(tmp_path / "a.png", np.ones((3, 4, 4), dtype))
    assert not (tmp_path / "a.png").exists()
