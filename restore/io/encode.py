"""From grey levels to the bytes of a file, by its suffix."""

from __future__ import annotations

from contextlib import nullcontext
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.io.jpeg_tables import JpegTables
from restore.io.levels import FLOAT_BITS
from restore.io.metadata import EXIF_PREFIX, Metadata, comment, photoshop_block
from restore.io.png import encode_png
from restore.io.quiet import quiet_stderr
from restore.io.tiff import encode_tiff

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".npy": "NPY",
}
"""The format that each suffix stands for."""

WITH_QUALITY = frozenset({"JPEG", "WEBP"})
"""The formats of which a quality can be asked."""

DEEPEST = {"PNG": 16, "JPEG": 8, "TIFF": FLOAT_BITS, "WEBP": 8, "BMP": 8, "NPY": FLOAT_BITS}
"""The most bits of each format; 32 is floating point."""

WITH_ALPHA = frozenset({"PNG", "TIFF", "WEBP", "NPY"})
"""The formats that hold transparency."""

PLACELESS = {
    "PNG": (),
    "JPEG": (),
    "TIFF": (),
    "WEBP": ("IPTC",),
    "BMP": ("EXIF", "ICC", "XMP", "IPTC"),
}
"""The metadata that each of these formats has no place for."""

DEFAULT_QUALITY = 95
_SEGMENT = 65533
_XMP_SEGMENT = _SEGMENT - 29
_WEBP_SIDE = 16383
_JPEG_SIDE = 65500


class Unwritable(Exception):
    """A picture that the format cannot hold; the message says why."""


def encode(
    levels: NDArray[Any],
    form: str,
    metadata: Metadata,
    notes: list[str],
    *,
    jpeg: JpegTables | None = None,
    quality: int | None = None,
) -> bytes:
    """Encodes a picture.

    Args:
        levels: [H, W, 1 to 4] (grey, grey and alpha, RGB, RGBA), of a depth that `form` holds.
        form: a value of `FORMATS`.
        metadata: kept as far as the format has a place for it.
        notes: gets a line for whatever could not be kept.
        jpeg: tables to use again.
        quality: of JPEG (instead of `jpeg`) and of WebP (lossless without it).

    Raises:
        Unwritable: a side too long for the format.
    """
    if form == "NPY":
        out = BytesIO()
        np.save(out, levels[..., 0] if levels.shape[2] == 1 else levels, allow_pickle=False)
        return out.getvalue()
    if form in ("PNG", "TIFF", "WEBP"):
        note_profile(metadata, 3 if form == "WEBP" or levels.shape[2] > 2 else 1, notes)
    if lost := _lost(metadata, form):
        are, them = ("is", "it") if len(lost) == 1 else ("are", "them")
        notes.append(f"{', '.join(lost)} {are} lost: {form} has no place for {them}")
    if form == "PNG":
        return encode_png(levels, metadata)
    if form == "TIFF":
        return encode_tiff(levels, metadata, notes)
    if form == "WEBP":
        return _encode_webp(levels, metadata, quality)
    if form == "BMP":
        return _save(levels, "BMP", {} if metadata.dpi is None else {"dpi": metadata.dpi})
    return _encode_jpeg(levels, metadata, notes, jpeg, quality)


def _lost(metadata: Metadata, form: str) -> list[str]:
    lost = [name for name in PLACELESS[form] if getattr(metadata, name.lower()) is not None]
    if form == "PNG":
        return lost
    chunks = [name.decode() for name, _ in metadata.png_colour]
    # Either stands above gamma and chromaticities, and what has no profile is taken as sRGB.
    known = metadata.icc is not None or "sRGB" in chunks
    lost += [name for name in chunks if name == "cICP" or not known]
    kept = {"comment"} if form == "JPEG" else set()
    return [*lost, "text"] if metadata.text.keys() - kept else lost


def note_profile(metadata: Metadata, channels: int, notes: list[str]) -> None:
    """Add a line to the notes where the ICC profile describes other colours than there are."""
    if metadata.icc is not None and metadata.icc_for(channels) is None:
        space = metadata.icc[16:20].decode("latin-1").strip()
        space = space if space.isprintable() and space else "unknown colours"
        kind = "grey" if channels == 1 else "RGB"
        notes.append(f"the ICC profile is left out: it is of {space}, the picture is {kind}")


def jpeg_metadata(metadata: Metadata, channels: int, notes: list[str]) -> dict[str, Any]:
    """The metadata as arguments of Pillow's JPEG writer; what is too long for a segment is left."""
    options: dict[str, Any] = {}
    exif = None if metadata.exif is None else EXIF_PREFIX + metadata.exif
    iptc = None
    if metadata.iptc is not None:
        iptc = b"Photoshop 3.0\0" + photoshop_block(metadata.iptc)
    for name, value, most in (
        ("exif", exif, _SEGMENT),
        ("xmp", metadata.xmp, _XMP_SEGMENT),
        ("comment", comment(metadata), _SEGMENT),
        ("extra", iptc, _SEGMENT),
    ):
        if value is not None and len(value) > most:
            label = "iptc" if name == "extra" else name
            notes.append(f"{label.upper()} of {len(value)} bytes does not fit in a JPEG, left out")
        elif value is not None:
            options[name] = value
    if "extra" in options:
        block = options["extra"]
        options["extra"] = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    note_profile(metadata, channels, notes)
    if (icc := metadata.icc_for(channels)) is not None:
        options["icc_profile"] = icc
    if metadata.dpi is not None:
        options["dpi"] = metadata.dpi
    return options


def _encode_jpeg(
    levels: NDArray[np.uint8],
    metadata: Metadata,
    notes: list[str],
    jpeg: JpegTables | None,
    quality: int | None,
) -> bytes:
    if max(levels.shape[:2]) > _JPEG_SIDE:
        raise Unwritable(f"a side of {max(levels.shape[:2])} pixels, JPEG has at most {_JPEG_SIDE}")
    channels = levels.shape[2]
    options = jpeg_metadata(metadata, channels, notes)
    colour = jpeg is not None and jpeg.colour in ("ycc", "rgb")
    options["subsampling"] = jpeg.subsampling if jpeg is not None and colour else 0
    if jpeg is None or jpeg.colour == "cmyk" or quality is not None:
        options["quality"] = DEFAULT_QUALITY if quality is None else quality
    else:
        # Pillow gives component i table i, and the last one to the components after it.
        tables = [list(table) for table in jpeg.tables[:channels]]
        options["qtables"] = tables[:2] if tables[1:2] == tables[2:] else tables
        options["keep_rgb"] = jpeg.colour == "rgb" and channels == 3
    options["progressive"] = jpeg is not None and jpeg.progressive
    return _save(levels, "JPEG", options)


def _encode_webp(levels: NDArray[np.uint8], metadata: Metadata, quality: int | None) -> bytes:
    if max(levels.shape[:2]) > _WEBP_SIDE:
        raise Unwritable(f"a side of {max(levels.shape[:2])} pixels, WebP has at most {_WEBP_SIDE}")
    channels = levels.shape[2]
    if channels < 3:
        grey = np.repeat(levels[..., :1], 3, axis=2)
        levels = np.concatenate([grey, levels[..., 1:]], axis=2)
    options: dict[str, Any] = {"lossless": quality is None, "exact": True}
    if quality is not None:
        options["quality"] = quality
    kept = {
        "exif": metadata.exif,
        "xmp": metadata.xmp,
        "icc_profile": metadata.icc_for(3),
    }
    options |= {name: value for name, value in kept.items() if value is not None}
    return _save(levels, "WEBP", options)


def _save(levels: NDArray[np.uint8], form: str, options: dict[str, Any]) -> bytes:
    from PIL import Image

    plane = levels[..., 0] if levels.shape[2] == 1 else levels
    out = BytesIO()
    # libjpeg remarks on quantisation tables of 16 bits.
    with quiet_stderr() if form == "JPEG" else nullcontext():
        Image.fromarray(np.ascontiguousarray(plane)).save(out, form, **options)
    return out.getvalue()
