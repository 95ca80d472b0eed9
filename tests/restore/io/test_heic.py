"""HEIC, as phones write it, by an optional package."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from restore.errors import InputError
from restore.io.decode import decode
from restore.io.files import expand_inputs
from restore.io.levels import to_integer
from restore.io.picture import read_picture, write_picture


def write_heic(path: Path, pixels: np.ndarray, mode: str, **options: object) -> Path:
    """Without loss; uint8, or uint16 for the modes of 16 bits, which are kept to 10."""
    size = (pixels.shape[1], pixels.shape[0])
    file = pillow_heif.from_bytes(mode, size, np.ascontiguousarray(pixels).tobytes())
    file.save(path, quality=-1, chroma=444, matrix_coefficients=0, **options)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_levels_and_alpha(tmp_path: Path, rng: np.random.Generator, mode: str) -> None:
    pixels = rng.integers(0, 256, (18, 26, len(mode)), dtype=np.uint8)
    picture = read_picture(write_heic(tmp_path / "a.HEIC", pixels, mode))
    colours = pixels[..., :3]
    assert np.array_equal(np.moveaxis(to_integer(picture.pixels, 8), 0, -1), colours)
    assert (picture.format, picture.bits) == ("HEIF", 8)
    if mode == "RGBA":
        assert picture.alpha is not None
        assert np.array_equal(to_integer(picture.alpha[0], 8), pixels[..., 3])


def test_exif_and_profile_go_with_it(tmp_path: Path, smooth: np.ndarray) -> None:
    """What turns a HEIC are boxes of its own: its EXIF says upright, whatever was written."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A phone", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pillow_heif.register_heif_opener()
    Image.fromarray(smooth).save(tmp_path / "a.heic", exif=exif, icc_profile=profile)
    picture = read_picture(tmp_path / "a.heic")
    assert picture.pixels.shape == (3, *smooth.shape[:2])
    write_picture(tmp_path / "out.png", picture.pixels, like=picture)
    with Image.open(tmp_path / "out.png") as written:
        assert written.getexif()[0x010F] == "A phone"
        assert written.getexif().get(0x0112, 1) == 1
        assert written.info["icc_profile"] == profile


def test_more_than_eight_bits_are_said_to_be_lost(tmp_path: Path, rng: np.random.Generator) -> None:
    deep = rng.integers(0, 65536, (18, 26, 3), dtype=np.uint16)
    picture = read_picture(write_heic(tmp_path / "deep.hif", deep, "RGB;16"))
    assert picture.bits == 8
    assert picture.notes == ("10-bit HEIC read at 8 bits",)
    assert np.abs(np.moveaxis(picture.pixels, 0, -1) - deep / 65535).max() < 0.02


def test_colours_that_no_profile_describes_are_named(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = pillow_heif.from_bytes("RGB", (8, 8), pixels.tobytes())
    for primaries, notes in (
        (1, ()),
        (12, ("Display P3 colours of a HEIC without a profile taken for sRGB",)),
    ):
        file.save(tmp_path / "a.heic", color_primaries=primaries)
        assert read_picture(tmp_path / "a.heic").notes == notes
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file.save(tmp_path / "a.heic", color_primaries=12, icc_profile=profile)
    assert read_picture(tmp_path / "a.heic").notes == ()


def test_without_its_package_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = write_heic(tmp_path / "a.heic", pixels, "RGB")

    def without_its_library() -> None:
        raise ImportError

    absent = SimpleNamespace(register_heif_opener=without_its_library)
    for package in (None, absent):
        monkeypatch.setitem(sys.modules, "pillow_heif", package)
        with pytest.raises(InputError, match=r"a.heic: HEIC, which needs the package pillow-heif,"):
            read_picture(path)
    # Not asked for where the same container holds something else.
    Image.fromarray(pixels).save(tmp_path / "b.avif")
    assert read_picture(tmp_path / "b.avif").format == "AVIF"


@pytest.mark.parametrize(
    ("share", "said"), [(0.01, "HEIC that is cut or damaged in its h"), (0.5, "dam"), (0.95, "dam")]
)
def test_damaged(tmp_path: Path, rng: np.random.Generator, share: float, said: str) -> None:
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = write_heic(tmp_path / "a.heic", pixels, "RGB").read_bytes()
    (tmp_path / "cut.heic").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"cut\.heic: {said}.*, expected a complete picture"):
        read_picture(tmp_path / "cut.heic")


def test_the_first_of_several(tmp_path: Path, rng: np.random.Generator) -> None:
    pillow_heif.register_heif_opener()
    first, second = (
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)) for _ in range(2)
    )
    stream = BytesIO()
    first.save(stream, "HEIF", quality=-1, save_all=True, append_images=[second])
    stream.seek(0)
    decoded = decode(stream)
    assert np.array_equal(decoded.levels[..., 0], np.asarray(first))
    assert decoded.notes == ()


def test_folders_have_them(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.heif", "c.txt"):
        (tmp_path / name).touch()
    assert [file.path.name for file in expand_inputs([tmp_path])] == ["a.HEIC", "b.heif"]
