"""Each kind of picture, written by Pillow, and what is read from it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from restore.errors import InputError
from restore.io.levels import rounding_std, to_integer
from restore.io.picture import read_picture, write_picture


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def levels(pixels: np.ndarray) -> np.ndarray:
    """[C, H, W] in [0, 1] as uint8 [H, W, C]."""
    return np.moveaxis(to_integer(pixels, 8), 0, -1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".gif", ".ppm", ".tga"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 4)])
def test_rgb_and_grey_of_any_format_and_size(
    tmp_path: Path, rng: np.random.Generator, suffix: str, size: tuple[int, int]
) -> None:
    colour = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    options = {"lossless": True} if suffix == ".webp" else {}
    picture = read_picture(saved(tmp_path / f"c{suffix}", Image.fromarray(colour), **options))
    if suffix != ".gif":
        assert np.array_equal(levels(picture.pixels), colour)
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.flags.c_contiguous
    assert (picture.height, picture.width, picture.channels) == (*size, 3)
    grey = colour[..., 0]
    picture = read_picture(saved(tmp_path / f"g{suffix}", Image.fromarray(grey), **options))
    assert np.array_equal(levels(picture.pixels)[..., 0], grey)
    assert picture.channels == (3 if suffix == ".webp" else 1)


def test_rounding_std_of_the_file(tmp_path: Path, smooth: np.ndarray) -> None:
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(smooth)))
    assert picture.bits == 8
    assert picture.rounding_std == rounding_std(8) == pytest.approx(0.00113206, rel=1e-5)


def test_one_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    bits = rng.integers(0, 2, (6, 11)).astype(bool)
    for suffix in (".png", ".tif", ".bmp"):
        picture = read_picture(saved(tmp_path / f"a{suffix}", Image.fromarray(bits)))
        assert (picture.mode, picture.bits) == ("1", 1)
        assert np.array_equal(picture.pixels[0], bits.astype(np.float32))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_is_apart(tmp_path: Path, rng: np.random.Generator, mode: str, suffix: str) -> None:
    array = rng.integers(0, 256, (5, 8, len(mode)), dtype=np.uint8)
    picture = read_picture(saved(tmp_path / f"a{suffix}", Image.fromarray(array, mode)))
    assert picture.mode == mode
    assert picture.alpha is not None
    assert np.array_equal(levels(picture.pixels), array[..., :-1])
    assert np.array_equal(levels(picture.alpha)[..., 0], array[..., -1])


def test_webp_with_alpha(tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(0, 256, (5, 8, 4), dtype=np.uint8)
    path = saved(tmp_path / "a.webp", Image.fromarray(array), lossless=True, exact=True)
    picture = read_picture(path)
    assert picture.alpha is not None
    assert np.array_equal(levels(picture.pixels), array[..., :3])
    assert np.array_equal(levels(picture.alpha)[..., 0], array[..., 3])


def palette_picture() -> Image.Image:
    image = Image.new("P", (3, 2))
    image.putpalette([10, 20, 30, 200, 100, 0, 255, 255, 255])
    image.putdata([0, 1, 2, 2, 1, 0])
    return image


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    for suffix in (".png", ".gif", ".bmp", ".tif"):
        picture = read_picture(saved(tmp_path / f"a{suffix}", palette_picture()))
        assert picture.mode == "P"
        assert picture.channels == 3
        assert picture.alpha is None
        assert levels(picture.pixels)[0].tolist() == [[10, 20, 30], [200, 100, 0], [255, 255, 255]]


def test_grey_palette_becomes_grey(tmp_path: Path) -> None:
    image = palette_picture()
    image.putpalette([10, 10, 10, 99, 99, 99, 255, 255, 255])
    picture = read_picture(saved(tmp_path / "a.png", image))
    assert levels(picture.pixels)[0].tolist() == [[10], [99], [255]]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\x80"])
def test_palette_with_transparency(tmp_path: Path, transparency: int | bytes) -> None:
    path = saved(tmp_path / "a.png", palette_picture(), transparency=transparency)
    picture = read_picture(path)
    assert picture.alpha is not None
    opacity = [255, 0, 255] if isinstance(transparency, int) else [255, 0, 128]
    assert levels(picture.alpha)[0, :, 0].tolist() == opacity
    assert levels(picture.pixels)[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (1, 2, 3))])
def test_colour_key(tmp_path: Path, mode: str, key: Any) -> None:
    image = Image.new(mode, (2, 1), 200 if mode == "L" else (200, 0, 0))
    image.putpixel((1, 0), key)
    picture = read_picture(saved(tmp_path / "a.png", image, transparency=key))
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [[1.0, 0.0]]
    assert picture.channels == (1 if mode == "L" else 3)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("key", [0, 1])
def test_grey_key_of_few_bits(tmp_path: Path, bits: int, key: int) -> None:
    """The key is stored as a level of the file's own depth (PNG, third edition, 11.3.1.1)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">L", zlib.crc32(name + data))
        return struct.pack(">L", len(data)) + name + data + check

    width = 8 // bits
    row = bytes([sum((i % 2) << (8 - bits * (i + 1)) for i in range(width))])
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">LLBBBBB", width, 1, bits, 0, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">H", key))
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )
    picture = read_picture(path)
    assert picture.bits == bits
    expected = np.arange(width) % 2
    assert np.allclose(picture.pixels[0, 0], expected / (2**bits - 1))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha[0, 0], (expected != key).astype(np.float32))


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime", "blue")]
    for suffix in (".gif", ".png", ".webp", ".tif"):
        options = {"lossless": True} if suffix == ".webp" else {}
        path = saved(
            tmp_path / f"a{suffix}", frames[0], save_all=True, append_images=frames[1:], **options
        )
        picture = read_picture(path)
        assert levels(picture.pixels)[1, 1].tolist() == [255, 0, 0]
        said = "several pages: the first is used"
        expected = said if suffix == ".tif" else "animated: the first frame is used"
        assert picture.notes == (expected,)


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_orientation_is_applied_once(tmp_path: Path, code: int, suffix: str) -> None:
    seen = np.zeros((32, 48, 3), dtype=np.uint8)
    seen[:16, :16] = (255, 0, 0)
    seen[16:, 32:] = (0, 0, 255)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[code]
    stored = Image.fromarray(seen)
    stored = stored if undo is None else stored.transpose(undo)
    exif = Image.Exif()
    exif[274] = code
    options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {"lossless": True}
    picture = read_picture(saved(tmp_path / f"a{suffix}", stored, exif=exif, **options))
    assert np.abs(levels(picture.pixels).astype(int) - seen).max() <= 8
    left = Image.Exif()
    left.load(b"Exif\0\0" + (picture.metadata.exif or b""))
    assert left.get(274, 1) == 1


def test_orientation_of_16_bits(tmp_path: Path, rng: np.random.Generator) -> None:
    grey = rng.integers(0, 65536, (4, 7), dtype=np.uint16)
    exif = Image.Exif()
    exif[274] = 6
    for suffix in (".png", ".tif"):
        picture = read_picture(saved(tmp_path / f"a{suffix}", Image.fromarray(grey), exif=exif))
        assert np.array_equal(to_integer(picture.pixels[0], 16), np.rot90(grey, -1))


def srgb_cmyk_profile() -> bytes:
    """No CMYK profile comes with Pillow; a stand-in for one that little CMS refuses."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_without_profile(tmp_path: Path, suffix: str) -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    picture = read_picture(saved(tmp_path / f"a{suffix}", image))
    assert (picture.mode, picture.channels) == ("CMYK", 3)
    assert np.abs(levels(picture.pixels)[4, 4].astype(int) - [255, 0, 0]).max() <= 2
    assert picture.notes == ("CMYK without a profile converted by the plain formula",)


def test_cmyk_of_16_bits_is_said_to_lose_some(tmp_path: Path) -> None:
    stored = np.full((4, 4, 4), [0, 65535, 65535, 0], dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="separated")
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels[:, 0, 0].tolist() == [1, 0, 0]
    assert picture.notes[-1] == "16-bit CMYK read at 8 bits"


def test_cmyk_with_an_unusable_profile(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    path = saved(tmp_path / "a.jpg", image, icc_profile=srgb_cmyk_profile())
    picture = read_picture(path)
    assert np.abs(levels(picture.pixels)[4, 4].astype(int) - [255, 0, 0]).max() <= 2
    assert "without its profile, which is unusable" in picture.notes[0]


def test_ycbcr_tiff(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), (200, 120, 40)).convert("YCbCr")
    picture = read_picture(saved(tmp_path / "a.tif", image, compression="jpeg"))
    assert np.abs(levels(picture.pixels)[4, 4].astype(int) - [200, 120, 40]).max() <= 3


def test_lab_tiff(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), (200, 120, 40))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert converted is not None
    profile = ImageCms.ImageCmsProfile(lab).tobytes()
    picture = read_picture(saved(tmp_path / "a.tif", converted, icc_profile=profile))
    assert picture.mode == "LAB"
    assert picture.metadata.icc is None  # the pixels are sRGB now
    assert np.abs(levels(picture.pixels)[4, 4].astype(int) - [200, 120, 40]).max() <= 3


def test_16_bit_pgm(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 2 1 65535\n" + bytes([1, 2, 255, 254]))
    picture = read_picture(path)
    assert picture.bits == 16
    assert to_integer(picture.pixels[0], 16).tolist() == [[258, 65534]]


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_npy(tmp_path: Path, rng: np.random.Generator, dtype: Any, channels: int) -> None:
    shape = (5, 7, channels) if channels else (5, 7)
    array = (rng.random(shape) * (250 if np.issubdtype(dtype, np.integer) else 1)).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    picture = read_picture(tmp_path / "a.npy")
    full = array if channels else array[..., None]
    colours = full[..., : 1 if channels < 3 else 3]
    top = 1 if picture.bits == 32 else 2**picture.bits - 1
    assert np.allclose(picture.pixels * top, np.moveaxis(colours, -1, 0), rtol=1e-6, atol=0)
    assert (picture.alpha is not None) == (channels in (2, 4))


@pytest.mark.parametrize(
    ("top", "scale"), [(1.0, 1.0), (1.04, 1.0), (250.0, 255.0), (6e4, 65535.0)]
)
def test_float_alpha_has_a_scale_and_gets_it_back(
    tmp_path: Path, rng: np.random.Generator, top: float, scale: float
) -> None:
    array = rng.random((5, 7, 4)).astype(np.float32)
    array[..., 3] = np.linspace(0, top, 35).reshape(5, 7)
    np.save(tmp_path / "a.npy", array)
    picture = read_picture(tmp_path / "a.npy")
    assert picture.alpha is not None
    assert picture.alpha_scale == scale
    assert np.allclose(picture.alpha[0], (array[..., 3] / scale).clip(0, 1), rtol=1e-6)
    assert ("opaque" in " ".join(picture.notes)) == (scale > 1)
    write_picture(tmp_path / "b.npy", picture.pixels, picture)
    assert np.allclose(np.load(tmp_path / "b.npy"), array.clip(0, scale if scale > 1 else 1))


def test_float_alpha_that_is_no_number_is_refused(tmp_path: Path) -> None:
    array = np.ones((2, 3, 4), np.float32)
    array[0, 0, 3] = np.nan
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match="NaN or infinity in its transparency"):
        read_picture(tmp_path / "a.npy")


def test_npy_of_bools_is_black_and_white(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[True, False]]))
    assert read_picture(tmp_path / "a.npy").pixels.tolist() == [[[1.0, 0.0]]]


def test_float_above_one_is_scaled_without_loss(tmp_path: Path, rng: np.random.Generator) -> None:
    array = (rng.random((6, 6)) * 812).astype(np.float32)
    array[0, 0] = 812
    np.save(tmp_path / "a.npy", array)
    picture = read_picture(tmp_path / "a.npy")
    assert picture.scale == 1024.0
    assert np.array_equal(picture.pixels[0] * 1024, array)
    assert "1024 is taken as white" in picture.notes[0]


def test_float_overshoot_is_clipped_and_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[-0.02, 0.5, 1.03]], dtype=np.float32))
    picture = read_picture(tmp_path / "a.npy")
    assert picture.scale == 1.0
    assert picture.pixels[0].tolist() == [[0.0, 0.5, 1.0]]
    assert "clipped to 0 to 1" in picture.notes[0]


def test_a_text_chunk_after_the_pixels_is_read(tmp_path: Path, smooth: np.ndarray) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(smooth))
    data = path.read_bytes()
    body = b"tEXtTitle\0after"
    piece = struct.pack(">L", len(body) - 4) + body + struct.pack(">L", zlib.crc32(body))
    path.write_bytes(data[:-12] + piece + data[-12:])
    assert read_picture(path).metadata.text == {"Title": "after"}
