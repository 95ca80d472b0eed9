"""TIFF: writing any depth with all metadata, and reading the kinds that Pillow does not know."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore.io.metadata import EXIF_IFD, EXIF_PREFIX, GPS_IFD, ORIENTATION, TIFF_LAYOUT, Metadata
from restore.io.refusal import Undecodable

_DEFLATE = 8
_HORIZONTAL = 2
_UNSIGNED, _FLOAT = 1, 3
_PREMULTIPLIED, _STRAIGHT_ALPHA = 1, 2
_STRIP_BYTES = 1 << 18
_INCH = 2
# What Pillow raises on damaged EXIF, from its header to the values of its tags.
_UNUSABLE = (struct.error, SyntaxError, TypeError, ValueError, AttributeError, KeyError)

EXPECTED = "grey or RGB of up to 16 bits, or floating point"
"""What `read_deep_tiff` reads."""


def encode_tiff(levels: NDArray[Any], metadata: Metadata, notes: list[str]) -> bytes:
    """Encodes grey, grey and alpha, RGB or RGBA as a deflated TIFF.

    Pillow writes no 16-bit or floating-point colour, so the pixels are laid out here and Pillow's
    directory writer adds the tags.

    Args:
        levels: [H, W, 1 to 4], uint8, uint16 or float32.
        metadata: all of it is kept but PNG text; an ICC profile only if it fits the channels.
        notes: gets a line for whatever could not be kept.
    """
    strips, rows = _strips(levels)
    layout = _layout(levels, metadata, strips, rows)
    out = BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _directory(layout, metadata.exif).save(out)
        except _UNUSABLE as error:
            notes.append(f"EXIF could not be kept in the TIFF ({error})")
            out = BytesIO()
            _directory(layout, None).save(out)
    notes += [f"EXIF in the TIFF: {warning.message}" for warning in caught]
    return out.getvalue() + b"".join(strips)


def read_deep_tiff(stream: BinaryIO, limit: int | None) -> tuple[NDArray[Any], bool, str]:
    """The first page of a TIFF by tifffile: floating-point colour, planes apart, odd depths.

    Args:
        stream: the file.
        limit: the largest number of pixels to decode.

    Returns:
        array [H, W, C] (unsigned integers or float32, white is large), whether its last channel is
        alpha, and a name of the kind.

    Raises:
        Undecodable: not grey or RGB, too large, cut, or a compression that needs more libraries.
    """
    import tifffile

    stream.seek(0)
    try:
        with tifffile.TiffFile(stream) as file:
            page = file.pages.first
            photometric = getattr(page.photometric, "name", str(page.photometric))
            kind = f"{page.bitspersample}-bit {photometric} TIFF"
            if limit is not None and page.imagewidth * page.imagelength > limit:
                size = f"{page.imagewidth}x{page.imagelength}"
                raise Undecodable(f"{size} pixels", f"at most {limit}")
            end = max(o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True))
            if end > stream.seek(0, 2):
                raise Undecodable(f"truncated {kind}", "a complete picture")
            array = np.asarray(page.asarray())
            extra = tuple(int(e) for e in page.extrasamples)
    except (Undecodable, MemoryError):
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise Undecodable(f"TIFF that cannot be decoded ({error})", EXPECTED) from error
    if page.axes not in ("YX", "YXS", "SYX") or array.ndim != len(page.axes):
        raise Undecodable(f"{kind} with axes {page.axes}", EXPECTED)
    pixels = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
    pixels = pixels[..., None] if page.axes == "YX" else pixels
    colours = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3}.get(photometric, 0)
    samples = pixels.shape[2]
    alpha = extra in ((_STRAIGHT_ALPHA,), (_PREMULTIPLIED,)) and samples == colours + 1
    if colours == 0 or samples != colours + alpha or array.dtype.kind not in "uf":
        raise Undecodable(f"{kind} with {samples} channels of {array.dtype}", EXPECTED)
    if array.dtype.kind == "f":
        pixels = pixels.astype(np.float32)
    if photometric == "MINISWHITE":
        pixels = pixels.copy()
        pixels[..., 0] = _white(pixels) - pixels[..., 0]
    if extra == (_PREMULTIPLIED,):
        pixels = _straight(pixels)
    return pixels, alpha, kind


def _white(pixels: NDArray[Any]) -> float:
    return 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)


def _straight(pixels: NDArray[Any]) -> NDArray[Any]:
    """Divides the colours by alpha; what is wholly transparent becomes black."""
    colours = pixels[..., :-1].astype(np.float64)
    alpha = pixels[..., -1:] / _white(pixels)
    colours = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0.0)
    colours = np.clip(colours, 0.0, _white(pixels))
    if pixels.dtype.kind == "u":
        colours = np.rint(colours)
    return np.concatenate([colours.astype(pixels.dtype), pixels[..., -1:]], axis=2)


def _strips(levels: NDArray[Any]) -> tuple[list[bytes], int]:
    height = levels.shape[0]
    rows = max(1, min(height, _STRIP_BYTES // max(1, levels[0].nbytes)))
    stored = levels.astype(levels.dtype.newbyteorder("<"))
    if levels.dtype.kind == "u":
        stored[:, 1:] = levels[:, 1:] - levels[:, :-1]
    return [
        zlib.compress(stored[top : top + rows].tobytes(), 6) for top in range(0, height, rows)
    ], rows


def _layout(
    levels: NDArray[Any], metadata: Metadata, strips: list[bytes], rows: int
) -> dict[int, Any]:
    """The tags, without EXIF, by number (TIFF 6.0, sections 4, 6, 14, 18, 19)."""
    height, width, channels = levels.shape
    integers = levels.dtype.kind == "u"
    starts = np.cumsum([0, *(len(strip) for strip in strips[:-1])]).tolist()
    tags: dict[int, Any] = {
        256: width,
        257: height,
        258: (8 * levels.dtype.itemsize,) * channels,
        259: _DEFLATE,
        262: 1 if channels < 3 else 2,
        273: tuple(starts),
        277: channels,
        278: rows,
        279: tuple(len(strip) for strip in strips),
        284: 1,
        317: _HORIZONTAL if integers else 1,
        339: (_UNSIGNED if integers else _FLOAT,) * channels,
    }
    if channels in (2, 4):
        tags[338] = (_STRAIGHT_ALPHA,)
    if metadata.dpi is not None:
        tags |= {282: metadata.dpi[0], 283: metadata.dpi[1], 296: _INCH}
    kept = {
        700: metadata.xmp,
        33723: metadata.iptc,
        34675: metadata.icc_for(1 if channels < 3 else 3),
    }
    return tags | {tag: value for tag, value in kept.items() if value is not None}


def _directory(layout: dict[int, Any], exif: bytes | None) -> Any:
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2
    from PIL.TiffTags import UNDEFINED

    directory = ImageFileDirectory_v2(b"II\x2a\x00\x08\x00\x00\x00")
    if exif is not None:
        block = Image.Exif()
        block.load(EXIF_PREFIX + exif)
        for tag, value in block.items():
            if tag == ORIENTATION or tag not in TIFF_LAYOUT:
                directory[tag] = block.get_ifd(tag) if tag in (EXIF_IFD, GPS_IFD) else value
    directory.tagtype[33723] = UNDEFINED
    for tag, value in layout.items():
        directory[tag] = value
    return directory
