"""PNG: the chunks that Pillow drops, and 16-bit pictures with more than one channel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore.io.metadata import Metadata, png_info

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_PAETH = 4
# Of zlib: four times as fast as the usual 6 on photographs, for 0 to 11 % more bytes.
_LEVEL = 2


def colour_chunks(stream: BinaryIO) -> tuple[tuple[bytes, bytes], ...]:
    """The gamma, chromaticity, sRGB and cICP chunks, which stand before the pixels."""
    stream.seek(len(_SIGNATURE))
    found = []
    while len(head := stream.read(8)) == 8:
        length, name = struct.unpack(">L4s", head)
        if name in (b"IDAT", b"IEND"):
            break
        if name in _COLOUR_CHUNKS:
            found.append((name, stream.read(length)))
            stream.seek(4, 1)
        else:
            stream.seek(length + 4, 1)
    return tuple(found)


def encode_png(levels: NDArray[np.uint8] | NDArray[np.uint16], metadata: Metadata) -> bytes:
    """Encodes grey, grey and alpha, RGB or RGBA.

    Args:
        levels: [H, W, 1 to 4], uint8 or uint16.
        metadata: all of it is kept; an ICC profile only if it fits the channels.
    """
    from PIL import Image

    channels = levels.shape[2]
    options = _options(metadata, 1 if channels < 3 else 3) | {"compress_level": _LEVEL}
    if levels.dtype == np.uint8:
        plane = levels[..., 0] if channels == 1 else levels
        out = BytesIO()
        Image.fromarray(np.ascontiguousarray(plane)).save(out, "PNG", **options)
        return out.getvalue()
    # Pillow has no mode for these: let it write the metadata of a one-pixel picture.
    small = BytesIO()
    Image.new("L", (1, 1)).save(small, "PNG", **options)
    return _encode_deep(levels, list(_ancillary(small.getvalue())))


def _options(metadata: Metadata, channels: int) -> dict[str, Any]:
    given = {
        "exif": metadata.exif,
        "icc_profile": metadata.icc_for(channels),
        "dpi": metadata.dpi,
        "pnginfo": png_info(metadata),
    }
    return {name: value for name, value in given.items() if value is not None}


def _ancillary(png: bytes) -> Iterator[bytes]:
    """The complete chunks of a PNG but for its header, pixels and end."""
    position = len(_SIGNATURE)
    while position < len(png):
        length, name = struct.unpack_from(">L4s", png, position)
        end = position + 12 + length
        if name not in (b"IHDR", b"IDAT", b"IEND"):
            yield png[position:end]
        position = end


def _encode_deep(levels: NDArray[Any], extra: list[bytes]) -> bytes:
    height, width, channels = levels.shape
    header = struct.pack(">LLBBBBB", width, height, 16, _COLOUR_TYPE[channels], 0, 0, 0)
    rows = levels.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.empty((height, rows.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0] = _PAETH
    filtered[:, 1:] = _paeth(rows, 2 * channels)
    pixels = zlib.compress(filtered.tobytes(), _LEVEL)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            *extra,
            _chunk(b"IDAT", pixels),
            _chunk(b"IEND", b""),
        ]
    )


def _paeth(rows: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """The Paeth filter of PNG (third edition, section 9.4) for all rows at once."""
    padded = np.zeros((rows.shape[0] + 1, rows.shape[1] + step), dtype=np.int16)
    padded[1:, step:] = rows
    left, up, corner = padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]
    estimate = left + up - corner
    far_left, far_up = np.abs(estimate - left), np.abs(estimate - up)
    far_corner = np.abs(estimate - corner)
    best = np.where(far_up <= far_corner, up, corner)
    best = np.where((far_left <= far_up) & (far_left <= far_corner), left, best)
    return (rows - best.astype(np.uint8)).astype(np.uint8)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
