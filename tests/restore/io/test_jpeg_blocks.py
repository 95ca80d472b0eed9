"""Changed JPEGs keep the coefficients of untouched blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jpeglib
import numpy as np
import pytest
from PIL import Image
from scipy.fft import idctn

from restore.errors import InputError
from restore.io.jpeg_blocks import read_coefficients, write_jpeg_blocks
from restore.io.picture import read_picture
from restore.metrics import psnr

COMPONENTS = ("Y", "Cb", "Cr")
SAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}


@pytest.fixture
def photo(rng: np.random.Generator) -> np.ndarray:
    """[77, 101, 3] with texture: no whole number of blocks."""
    rows, columns = np.mgrid[0:77, 0:101]
    waves = [(9, 7), (5, 13), (20, 6)]
    smooth = np.stack([np.sin(rows / a) * np.cos(columns / b) for a, b in waves], axis=-1)
    noisy = 128 + 70 * smooth + rng.normal(0, 8, smooth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def coefficients(path: Path) -> Any:
    return jpeglib.read_dct(str(path))


def footprint(changed: np.ndarray, shape: tuple[int, int], step: tuple[int, int]) -> np.ndarray:
    """Which blocks of a component lie over changed pixels, by a plain loop."""
    result = np.zeros(shape, dtype=bool)
    for row, column in zip(*np.nonzero(changed), strict=True):
        result[row // (8 * step[0]), column // (8 * step[1])] = True
    return result


def test_black_is_encoded_as_by_libjpeg(tmp_path: Path) -> None:
    """Its sum is the one coefficient of -1024 that 8 bits have; the divisors are 1."""
    levels = np.full((8, 16), 255, dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.jpg", quality=100)
    levels[:, :8] = 0
    Image.fromarray(levels).save(tmp_path / "black.jpg", quality=100)
    write_jpeg_blocks(tmp_path / "b.jpg", levels[None] / 255, tmp_path / "a.jpg", levels == 0)
    wanted = coefficients(tmp_path / "black.jpg").Y
    assert wanted.min() == -1024
    assert np.array_equal(coefficients(tmp_path / "b.jpg").Y, wanted)


@pytest.mark.parametrize("sampling", [*SAMPLINGS, "grey", "rgb"])
@pytest.mark.parametrize("quality", [50, 92])
@pytest.mark.parametrize("progressive", [False, True])
def test_untouched_blocks_keep_their_coefficients(
    tmp_path: Path, photo: np.ndarray, sampling: str, quality: int, progressive: bool
) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    options: dict[str, Any] = {"quality": quality, "progressive": progressive}
    if sampling == "grey":
        Image.fromarray(photo[..., 0]).save(source, **options)
    elif sampling == "rgb":
        Image.fromarray(photo).save(source, keep_rgb=True, subsampling=0, **options)
    else:
        Image.fromarray(photo).save(source, subsampling=sampling, **options)
    picture = read_picture(source)
    changed = np.zeros(picture.pixels.shape[1:], dtype=bool)
    changed[20:31, 33:50] = True
    changed[76, 100] = True
    pixels = picture.pixels.copy()
    pixels[:, changed] = 0.3
    assert write_jpeg_blocks(target, pixels, picture, changed) == ()

    old, new = coefficients(source), coefficients(target)
    assert np.array_equal(old.qt, new.qt)
    assert np.array_equal(old.samp_factor, new.samp_factor)
    assert old.jpeg_color_space == new.jpeg_color_space
    most = np.max(old.samp_factor, axis=0)
    for index, name in enumerate(COMPONENTS[: picture.channels]):
        before, after = getattr(old, name), getattr(new, name)
        step = tuple(most // old.samp_factor[index])
        touched = footprint(changed, before.shape[:2], step)
        assert np.array_equal(before[~touched], after[~touched])
        assert not np.array_equal(before[touched], after[touched])
    again = read_picture(target)
    # The filled area is there, up to the quantisation.
    assert np.abs(again.pixels[:, 24:27, 36:46] - 0.3).mean() < 0.05
    if sampling in ("4:4:4", "grey", "rgb"):
        outside = ~np.kron(footprint(changed, (10, 13), (1, 1)), np.ones((8, 8), bool))[:77, :101]
        assert np.array_equal(again.pixels[:, outside], picture.pixels[:, outside])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_nothing_changed_gives_the_same_picture(
    tmp_path: Path, photo: np.ndarray, sampling: str
) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(photo).save(source, subsampling=sampling)
    picture = read_picture(source)
    write_jpeg_blocks(target, picture.pixels, source, np.zeros((77, 101), dtype=bool))
    assert np.array_equal(read_picture(target).pixels, picture.pixels)
    assert target.stat().st_size <= source.stat().st_size


@pytest.mark.parametrize("sampling", [*SAMPLINGS, "grey"])
def test_everything_changed_is_a_jpeg_like_pillows(
    tmp_path: Path, photo: np.ndarray, sampling: str
) -> None:
    """The encoder itself: as near to the picture as libjpeg's with the same tables."""
    source, target, theirs = (tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg"))
    array = photo[..., 0] if sampling == "grey" else photo
    options = {} if sampling == "grey" else {"subsampling": sampling}
    Image.fromarray(np.zeros_like(array)).save(source, quality=85, **options)
    Image.fromarray(array).save(theirs, quality=85, **options)
    pixels = np.moveaxis(np.atleast_3d(array), -1, 0) / 255
    write_jpeg_blocks(target, pixels, source, np.ones((77, 101), dtype=bool))
    ours = psnr(read_picture(target).pixels, pixels)
    assert ours > psnr(read_picture(theirs).pixels, pixels) - 0.1


@pytest.mark.parametrize("code", range(1, 9))
def test_a_turned_photo_stays_turned_as_it_was(
    tmp_path: Path, photo: np.ndarray, code: int
) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    exif = Image.Exif()
    exif[274] = code
    Image.fromarray(photo).save(source, exif=exif, quality=90)
    picture = read_picture(source)
    changed = np.zeros(picture.pixels.shape[1:], dtype=bool)
    changed[10:20, 40:55] = True
    pixels = picture.pixels.copy()
    pixels[:, changed] = np.array([[0.9], [0.1], [0.1]])
    write_jpeg_blocks(target, pixels, picture, changed)
    again = read_picture(target)
    assert again.orientation == code
    assert again.pixels.shape == picture.pixels.shape
    assert psnr(again.pixels[:, 12:18, 42:53], pixels[:, 12:18, 42:53]) > 25
    same = coefficients(source).Y == coefficients(target).Y
    assert 2 <= (~same.all(axis=(2, 3))).sum() <= 12


def test_metadata_is_kept(tmp_path: Path, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x9003: "2021:02:03 04:05:06"}
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    icc = b"\0" * 16 + b"RGB " + bytes(100_000)
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(photo).save(
        source, exif=exif, xmp=xmp, icc_profile=icc, comment=b"hello", dpi=(240, 240)
    )
    picture = read_picture(source)
    changed = np.zeros((77, 101), dtype=bool)
    changed[5, 5] = True
    write_jpeg_blocks(target, picture.pixels, picture, changed)
    assert read_picture(target).metadata == picture.metadata
    data = target.read_bytes()
    assert data.count(b"JFIF\0") == 1
    assert data.count(b"Exif\0\0") == 1


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 20), (9, 8), (17, 17)])
def test_odd_sizes(
    tmp_path: Path, rng: np.random.Generator, sampling: str, size: tuple[int, int]
) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    levels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(levels).save(source, subsampling=sampling, quality=95)
    picture = read_picture(source)
    changed = np.zeros(size, dtype=bool)
    changed[-1, -1] = True
    pixels = np.where(changed, 0.5, picture.pixels)
    write_jpeg_blocks(target, pixels, picture, changed)
    assert read_picture(target).pixels.shape == (3, *size)


def test_4_4_0_which_pillow_cannot_write(tmp_path: Path, photo: np.ndarray) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    made = jpeglib.from_spatial(np.ascontiguousarray(photo[:72, :96]))
    made.samp_factor = "4:4:0"
    made.write_spatial(str(source), qt=80)
    picture = read_picture(source)
    assert picture.jpeg is not None
    assert picture.jpeg.sampling[0] == (1, 2)
    changed = np.zeros((72, 96), dtype=bool)
    changed[40:44, 40:44] = True
    pixels = np.where(changed, 0.5, picture.pixels)
    assert write_jpeg_blocks(target, pixels, picture, changed) == ()
    old, new = coefficients(source), coefficients(target)
    assert np.array_equal(old.samp_factor, new.samp_factor)
    assert (old.Cb != new.Cb).any(axis=(2, 3)).sum() == 1


def test_cmyk_is_encoded_whole_and_said(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.new("CMYK", (16, 16), (10, 200, 30, 0)).save(source)
    picture = read_picture(source)
    changed = np.eye(16, dtype=bool)
    notes = write_jpeg_blocks(target, picture.pixels, picture, changed)
    assert notes == ("b.jpg: the whole picture was encoded again, its colours are CMYK",)
    assert read_picture(target).pixels.shape == (3, 16, 16)


def test_other_channels_are_encoded_whole(tmp_path: Path, photo: np.ndarray) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(photo).save(source)
    picture = read_picture(source)
    notes = write_jpeg_blocks(target, picture.pixels[:1], picture, np.ones((77, 101), bool))
    assert "number of channels has changed" in notes[0]
    assert read_picture(target).channels == 1


def test_refusals(tmp_path: Path, photo: np.ndarray) -> None:
    png, jpg = tmp_path / "a.png", tmp_path / "a.jpg"
    Image.fromarray(photo).save(png)
    Image.fromarray(photo).save(jpg)
    with pytest.raises(InputError, match=r"a\.png: is PNG, expected a JPEG"):
        write_jpeg_blocks(tmp_path / "b.jpg", np.zeros((3, 77, 101)), png, np.ones((77, 101)))
    with pytest.raises(InputError, match=r"a\.png: is PNG, expected a JPEG"):
        read_coefficients(png)
    with pytest.raises(ValueError, match=r"pixels \[3, 5, 5\]"):
        write_jpeg_blocks(tmp_path / "b.jpg", np.zeros((3, 5, 5)), jpg, np.ones((77, 101)))
    with pytest.raises(ValueError, match="NaN"):
        write_jpeg_blocks(
            tmp_path / "b.jpg", np.full((3, 77, 101), np.nan), jpg, np.ones((77, 101))
        )


def test_a_cut_file_never_reaches_jpeglib(
    tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    monkeypatch.setattr(jpeglib, "read_dct", None)
    with pytest.raises(InputError, match="truncated JPEG"):
        read_coefficients(path)


def test_coefficients_decode_to_the_picture(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo[..., 0]).save(tmp_path / "a.jpg", quality=80)
    found = read_coefficients(tmp_path / "a.jpg")
    blocks = idctn(found.Y * found.qt[0], axes=(-2, -1), norm="ortho") + 128
    plane = blocks.swapaxes(1, 2).reshape(80, 104)[:77, :101]
    seen = read_picture(tmp_path / "a.jpg").pixels[0] * 255
    assert np.abs(np.clip(plane, 0, 255) - seen).max() < 1.01


@pytest.mark.parametrize("failure", [KeyboardInterrupt, None])
def test_a_failure_leaves_nothing(
    tmp_path: Path,
    photo: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[BaseException] | None,
) -> None:
    """An interrupt, and a temporary folder that is full, so that jpeglib writes half a file."""
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.fromarray(photo).save(source)
    picture = read_picture(source)
    original = jpeglib.DCTJPEG.write_dct

    def half(self: Any, path: str, **options: Any) -> None:
        if failure is not None:
            raise failure
        original(self, path, **options)
        data = Path(path).read_bytes()
        Path(path).write_bytes(data[: len(data) // 2])

    monkeypatch.setattr(jpeglib.DCTJPEG, "write_dct", half)
    with pytest.raises(failure or InputError):
        write_jpeg_blocks(target, picture.pixels, picture, np.ones((77, 101), bool))
    assert list(tmp_path.iterdir()) == [source]
