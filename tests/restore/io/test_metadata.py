"""EXIF, ICC, XMP, IPTC, text and resolution survive reading and writing."""

from __future__ import annotations

import dataclasses
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from restore.io.metadata import Metadata, photoshop_block
from restore.io.picture import Picture, read_picture, write_picture

SUFFIXES = [".png", ".jpg", ".tif", ".webp"]
# Of what `source` writes, by the suffixes that are read and written.
LOST = {
    (".png", ".jpg"): "text is",
    (".png", ".tif"): "text is",
    (".png", ".webp"): "text is",
    (".jpg", ".tif"): "text is",
    (".jpg", ".webp"): "IPTC, text are",
    (".tif", ".webp"): "IPTC is",
}
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'dc:title="\xc3\xa9t\xc3\xa9"/></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x05\x00\x05Title\x1c\x02\x19\x00\x03key"


def exif_with(orientation: int | None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0131] = "Program"
    if orientation is not None:
        exif[0x0112] = orientation
    exif[0x8769] = {0x9003: "2021:02:03 04:05:06", 0x829A: 0.008, 0x9286: b"ASCII\0\0\0hi"}
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    return exif


def source(path: Path, pixels: np.ndarray, orientation: int = 6) -> Picture:
    """A picture with all metadata, written by Pillow."""
    image = Image.fromarray(pixels)
    options: dict[str, Any] = {"exif": exif_with(orientation), "icc_profile": ICC}
    suffix = path.suffix
    if suffix != ".webp":
        options["dpi"] = (300, 300)
    if suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        info.add_text("Title", "a title")
        info.add_itxt("Author", "Zoë", lang="fr", tkey="Auteur")
        options["pnginfo"] = info
    elif suffix == ".tif":
        tags = exif_with(orientation)
        tags[700] = XMP
        tags[33723] = IPTC
        options["exif"] = tags.tobytes()
    else:
        options["xmp"] = XMP
    if suffix == ".jpg":
        block = b"Photoshop 3.0\0" + photoshop_block(IPTC)
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
        options["comment"] = b"a comment"
    image.save(path, **options)
    return read_picture(path)


def exif_of(path: Path) -> Image.Exif:
    with Image.open(path) as image:
        exif = image.getexif()
        exif.get_ifd(0x8769)
        exif.get_ifd(0x8825)
        return exif


@pytest.mark.parametrize("read", SUFFIXES)
@pytest.mark.parametrize("written", SUFFIXES)
def test_from_every_format_to_every_other(
    tmp_path: Path, smooth: np.ndarray, read: str, written: str
) -> None:
    picture = source(tmp_path / f"a{read}", smooth)
    assert picture.pixels.shape == (3, 56, 40)
    target = tmp_path / f"b{written}"
    notes = write_picture(target, picture.pixels, picture)

    exif = exif_of(target)
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "Maker"
    assert exif[0x0131] == "Program"
    details = exif.get_ifd(0x8769)
    assert details[0x9003] == "2021:02:03 04:05:06"
    assert float(details[0x829A]) == pytest.approx(0.008)
    assert details[0x9286] == b"ASCII\0\0\0hi"
    assert [float(v) for v in exif.get_ifd(0x8825)[2]] == [48.0, 51.0, 30.0]

    again = read_picture(target)
    assert again.pixels.shape == picture.pixels.shape
    assert again.metadata.icc == ICC
    # Of a TIFF, Pillow removes the orientation by itself.
    upright = b"" if read == ".tif" else b'tiff:Orientation="1"'
    assert again.metadata.xmp == XMP.replace(b'tiff:Orientation="6"', upright)
    if read != ".webp" and written != ".webp":
        assert again.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
    if read in (".jpg", ".tif"):
        assert again.metadata.iptc == (None if written == ".webp" else IPTC)
    lost = LOST.get((read, written))
    assert [note.partition(" lost: ")[0] for note in notes] == ([lost] if lost else [])
    if read == written == ".png":
        assert again.metadata.text == {"Title": "a title", "Author": "Zoë"}
        with Image.open(target) as image:
            author = image.text["Author"]  # type: ignore[attr-defined]
            assert (author.lang, author.tkey) == ("fr", "Auteur")
    if read == ".jpg" and written in (".jpg", ".png"):
        assert again.metadata.text == {"comment": "a comment"}


def test_what_a_bmp_has_no_place_for_is_said(tmp_path: Path, smooth: np.ndarray) -> None:
    picture = source(tmp_path / "a.jpg", smooth)
    notes = write_picture(tmp_path / "b.bmp", picture.pixels, picture)
    assert notes == ("EXIF, ICC, XMP, IPTC, text are lost: BMP has no place for them",)
    plain = dataclasses.replace(picture, metadata=Metadata(icc=ICC))
    notes = write_picture(tmp_path / "b.bmp", picture.pixels, plain)
    assert notes == ("ICC is lost: BMP has no place for it",)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_grey_palette_loses_its_profile_of_colours_not_in_silence(
    tmp_path: Path, smooth: np.ndarray, suffix: str
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(smooth[..., 0]).convert("P").save(path, icc_profile=ICC)
    picture = read_picture(path)
    assert picture.channels == 1
    notes = write_picture(tmp_path / f"b{suffix}", picture.pixels, picture)
    assert notes == ("the ICC profile is left out: it is of RGB, the picture is grey",)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_invented(tmp_path: Path, smooth: np.ndarray, suffix: str) -> None:
    Image.fromarray(smooth).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    write_picture(tmp_path / f"b{suffix}", picture.pixels, picture)
    found = read_picture(tmp_path / f"b{suffix}").metadata
    assert found == Metadata()


@pytest.mark.parametrize("bits", [8, 16])
def test_deep_pngs_carry_the_same(tmp_path: Path, smooth: np.ndarray, bits: int) -> None:
    picture = source(tmp_path / "a.jpg", smooth)
    write_picture(tmp_path / "b.png", picture.pixels, picture, bits=bits)
    again = read_picture(tmp_path / "b.png")
    assert again.bits == bits
    assert again.metadata.exif == picture.metadata.exif
    assert again.metadata.icc == ICC
    assert again.metadata.iptc == IPTC
    assert again.metadata.xmp == picture.metadata.xmp


def test_exif_is_copied_byte_by_byte(tmp_path: Path, smooth: np.ndarray) -> None:
    """But for the orientation: maker notes hold offsets, so nothing may move."""
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=exif_with(3))
    with Image.open(tmp_path / "a.jpg") as image:
        before = image.info["exif"][6:]
    after = read_picture(tmp_path / "a.jpg").metadata.exif
    assert after is not None
    assert len(after) == len(before)
    different = [i for i in range(len(after)) if after[i] != before[i]]
    assert [(before[i], after[i]) for i in different] == [(3, 1)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tail", [b"", b"more after it"])
def test_the_thumbnail_of_the_old_picture_is_removed(
    tmp_path: Path, smooth: np.ndarray, order: str, tail: bytes
) -> None:
    small = BytesIO()
    Image.fromarray(smooth).resize((8, 8)).save(small, "JPEG")
    thumbnail = small.getvalue()
    pack = lambda form, *values: struct.pack(order + form, *values)  # noqa: E731
    head = (b"II" if order == "<" else b"MM") + pack("HL", 42, 8)
    first = pack("HHHLHH", 1, 274, 3, 1, 6, 0) + pack("L", 26)
    second = pack("H", 2) + pack("HHLL", 513, 4, 1, 56) + pack("HHLL", 514, 4, 1, len(thumbnail))
    block = head + first + second + pack("L", 0) + thumbnail + tail
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    picture = read_picture(tmp_path / "a.jpg")
    kept = picture.metadata.exif
    assert kept is not None
    assert b"JFIF" not in kept
    assert kept[22:26] == bytes(4)  # no second directory
    assert len(kept) == (len(block) if tail else len(block) - len(thumbnail))
    write_picture(tmp_path / "b.jpg", picture.pixels, picture)
    exif = exif_of(tmp_path / "b.jpg")
    assert exif[274] == 1
    assert exif.get_ifd(1) == {}


@pytest.mark.parametrize(
    "block",
    [b"II*\0", b"XXXXXXXXXXXX", b"MM\0*\0\0\xff\xff", b"II*\0\x08\0\0\0\x09\0"],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_damaged_exif_is_left_out_and_said(
    tmp_path: Path, smooth: np.ndarray, block: bytes, suffix: str
) -> None:
    path = tmp_path / f"b{suffix}"
    Image.fromarray(smooth).save(path, exif=b"Exif\0\0" + block)
    picture = read_picture(path)
    assert picture.metadata.exif is None
    assert "the EXIF block is damaged and was left out" in picture.notes


def test_grey_profile_stays_with_grey_only(tmp_path: Path, smooth: np.ndarray) -> None:
    profile = bytearray(ICC)
    profile[16:20] = b"GRAY"
    Image.fromarray(smooth[..., 0]).save(tmp_path / "a.png", icc_profile=bytes(profile))
    picture = read_picture(tmp_path / "a.png")
    for channels, expected in ((1, bytes(profile)), (3, None)):
        pixels = np.repeat(picture.pixels, channels, axis=0)
        for suffix in (".png", ".jpg", ".tif"):
            notes = write_picture(tmp_path / f"b{suffix}", pixels, picture)
            assert read_picture(tmp_path / f"b{suffix}").metadata.icc == expected
            said = "the ICC profile is left out: it is of GRAY, the picture is RGB"
            assert notes == (() if expected else (said,))


# A segment of 65535 bytes holds its length and a name of 29 besides.
@pytest.mark.parametrize(("size", "fits"), [(65_504, True), (65_505, False)])
def test_what_is_too_long_for_a_jpeg_is_said(
    tmp_path: Path, smooth: np.ndarray, size: int, fits: bool
) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * size)
    Image.fromarray(smooth).save(tmp_path / "a.png", pnginfo=info)
    picture = read_picture(tmp_path / "a.png")
    notes = write_picture(tmp_path / "b.jpg", picture.pixels, picture)
    said = f"XMP of {size} bytes does not fit in a JPEG, left out"
    assert notes == (() if fits else (said,))
    assert read_picture(tmp_path / "b.jpg").metadata.xmp == (b"x" * size if fits else None)


def test_a_large_profile_spans_segments(tmp_path: Path, smooth: np.ndarray) -> None:
    large = ICC + bytes(200_000)
    Image.fromarray(smooth).save(tmp_path / "a.png", icc_profile=large)
    picture = read_picture(tmp_path / "a.png")
    write_picture(tmp_path / "b.jpg", picture.pixels, picture)
    assert read_picture(tmp_path / "b.jpg").metadata.icc == large


def test_png_gamma_is_kept(tmp_path: Path, smooth: np.ndarray) -> None:
    info = PngInfo()
    info.add(b"gAMA", struct.pack(">L", 100_000))
    Image.fromarray(smooth).save(tmp_path / "a.png", pnginfo=info)
    picture = read_picture(tmp_path / "a.png")
    for bits in (8, 16):
        write_picture(tmp_path / "b.png", picture.pixels, picture, bits=bits)
        with Image.open(tmp_path / "b.png") as image:
            assert image.info["gamma"] == 1.0


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize(
    ("chunks", "lost"),
    [
        ({b"gAMA": struct.pack(">L", 100_000)}, "gAMA is lost"),
        ({b"gAMA": struct.pack(">L", 45_455), b"sRGB": b"\0"}, ""),
        ({b"sRGB": b"\0", b"cICP": bytes([9, 16, 0, 1])}, "cICP is lost"),
    ],
)
def test_colours_that_only_a_png_can_say_are_told_of(
    tmp_path: Path, smooth: np.ndarray, suffix: str, chunks: dict[bytes, bytes], lost: str
) -> None:
    info = PngInfo()
    for name, data in chunks.items():
        info.add(name, data)
    Image.fromarray(smooth).save(tmp_path / "a.png", pnginfo=info)
    picture = read_picture(tmp_path / "a.png")
    notes = write_picture(tmp_path / f"b{suffix}", picture.pixels, picture)
    assert [note.partition(":")[0] for note in notes] == ([lost] if lost else [])
    assert write_picture(tmp_path / "b.png", picture.pixels, picture) == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_size_that_exif_says_is_that_of_the_output(
    tmp_path: Path, smooth: np.ndarray, order: str, suffix: str
) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x8769] = {0xA002: 56, 0xA003: 40, 0x9003: "2021:02:03 04:05:06"}
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=exif.tobytes())
    picture = read_picture(tmp_path / "a.jpg")
    write_picture(tmp_path / f"b{suffix}", np.repeat(picture.pixels, 2, axis=1), picture)
    expected = {0xA002: 56, 0xA003: 80, 0x9003: "2021:02:03 04:05:06"}
    assert exif_of(tmp_path / f"b{suffix}").get_ifd(0x8769) == expected


@pytest.mark.parametrize("of_exif", ["exif", "APP1"])
def test_exif_and_iptc_of_imagemagick(tmp_path: Path, smooth: np.ndarray, of_exif: str) -> None:
    """It keeps them in PNG text, hexadecimal."""
    info = PngInfo()
    exif = exif_with(6).tobytes()
    for name, data in ((of_exif, exif), ("iptc", photoshop_block(IPTC))):
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(data):8d}\n{data.hex()}\n")
    Image.fromarray(smooth).save(tmp_path / "a.png", pnginfo=info)
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.shape == (3, 56, 40)
    assert picture.metadata.text == {}
    assert picture.metadata.iptc == IPTC
    write_picture(tmp_path / "b.png", picture.pixels, picture)
    again = read_picture(tmp_path / "b.png")
    assert again.pixels.shape == picture.pixels.shape
    assert exif_of(tmp_path / "b.png")[0x010F] == "Maker"
    assert again.metadata.iptc == IPTC


@pytest.mark.parametrize("iptc", [IPTC, IPTC[:-1]])
def test_iptc_behind_resources_of_odd_lengths(
    tmp_path: Path, smooth: np.ndarray, iptc: bytes
) -> None:
    """Names and contents are padded to an even length."""
    block = b"8BIM\x03\xed" + b"\x02ab\0" + struct.pack(">L", 3) + b"abc\0" + photoshop_block(iptc)
    assert len(block) % 2 == 0
    info = PngInfo()
    info.add_text("Raw profile type iptc", f"\niptc\n{len(block):8d}\n{block.hex()}\n")
    Image.fromarray(smooth).save(tmp_path / "a.png", pnginfo=info)
    assert read_picture(tmp_path / "a.png").metadata.iptc == iptc


def test_dots_per_centimetre_of_a_deep_tiff(tmp_path: Path, smooth: np.ndarray) -> None:
    levels = smooth.astype(np.float32) / 255
    given: dict[str, Any] = {"resolution": (100, 200), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="rgb", **given)
    assert read_picture(tmp_path / "a.tif").metadata.dpi == pytest.approx((254, 508))
    # Where nothing says the unit, it is the inch; 297 is the number of the page.
    data = (tmp_path / "a.tif").read_bytes()
    tags = [struct.pack("<HHLL", tag, 3, 1, 3) for tag in (296, 297)]
    assert tags[0] in data
    (tmp_path / "a.tif").write_bytes(data.replace(*tags))
    assert read_picture(tmp_path / "a.tif").metadata.dpi == pytest.approx((100, 200))


@pytest.mark.parametrize("data", [None, "zz", "3842494d04", "3842494d0404ff00"])
def test_damaged_iptc_text(tmp_path: Path, smooth: np.ndarray, data: str | None) -> None:
    info = PngInfo()
    info.add_text("Raw profile type iptc", "" if data is None else f"\niptc\n 4\n{data}")
    Image.fromarray(smooth).save(tmp_path / "a.png", pnginfo=info)
    assert read_picture(tmp_path / "a.png").metadata.iptc is None


def test_tiff_iptc_as_numbers(tmp_path: Path, smooth: np.ndarray) -> None:
    padded = IPTC + bytes(-len(IPTC) % 4)
    numbers = struct.unpack(f"<{len(padded) // 4}L", padded)
    tag = (33723, "I", len(numbers), numbers, True)
    tifffile.imwrite(tmp_path / "a.tif", smooth, photometric="rgb", extratags=[tag])
    assert read_picture(tmp_path / "a.tif").metadata.iptc == padded


def test_descriptions_of_the_array_are_dropped(tmp_path: Path, smooth: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", smooth, photometric="rgb", metadata={"a": 1})
    picture = read_picture(tmp_path / "a.tif")
    large = np.repeat(picture.pixels, 2, axis=1)
    write_picture(tmp_path / "b.tif", large, picture)
    assert tifffile.imread(tmp_path / "b.tif").shape == (80, 56, 3)


def test_metadata_of_a_deep_tiff(tmp_path: Path, smooth: np.ndarray) -> None:
    """Floating-point colour is read by another library; its metadata is not lost."""
    picture = source(tmp_path / "a.jpg", smooth)
    write_picture(tmp_path / "b.tif", picture.pixels, picture, bits=32)
    deep = read_picture(tmp_path / "b.tif")
    assert deep.mode == "RGB;32"
    write_picture(tmp_path / "c.tif", deep.pixels, deep)
    again = read_picture(tmp_path / "c.tif")
    assert (again.metadata.icc, again.metadata.iptc) == (ICC, IPTC)
    assert again.metadata.xmp == picture.metadata.xmp
    assert again.metadata.dpi == pytest.approx((300, 300))
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + (again.metadata.exif or b""))
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2021:02:03 04:05:06"
