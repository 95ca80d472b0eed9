"""CMYK through its own profile, which is made here: Pillow brings none."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.io.levels import to_integer
from restore.io.picture import read_picture, write_picture


def cmyk_profile() -> bytes:
    """An ICC 2.4 printer profile whose only table maps the sixteen corners of CMYK to Lab.

    Ink lowers L by a share of its own, and cyan alone turns the colour to a* = -40, b* = -50, so
    the result is far from the plain formula's.
    """
    corners = bytearray()
    for index in range(16):
        c, m, y, k = (index >> shift & 1 for shift in (3, 2, 1, 0))
        light = max(0, 255 - 110 * c - 100 * m - 20 * y - 200 * k)
        corners += bytes([light, 128 - 40 * c + 70 * m - 5 * y, 128 - 50 * c + 5 * m + 90 * y])
    identity = struct.pack(">9l", *(0x10000 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + corners + 3 * ramp
    white = b"XYZ " + bytes(4) + struct.pack(">3l", 0xF6D6, 0x10000, 0xD32D)
    text = b"text" + bytes(4) + b"none\0"
    tags = {b"A2B0": lut, b"wtpt": white, b"cprt": text}
    table, body, offset = struct.pack(">L", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sLL", name, offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    kind = b"prtrCMYKLab "
    header = struct.pack(">L4sL12s12x4s", size, b"lcms", 0x02400000, kind, b"acsp")
    header += bytes(28) + struct.pack(">3l", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_is_converted_through_the_profile(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(path, icc_profile=cmyk_profile())
    picture = read_picture(path)
    assert picture.notes == ("CMYK converted to sRGB through its profile",)
    # L* = 145 / 2.55, a* = -40, b* = -50 by CIE's formula (D50, Bradford) is about (0, 158, 222).
    seen = to_integer(picture.pixels[:, 8, 8], 8).astype(int)
    assert np.abs(seen - [0, 158, 222]).max() <= 8
    assert picture.metadata.icc is None
    written = tmp_path / "b.png"
    write_picture(written, picture.pixels, picture)
    with Image.open(written) as image:
        assert image.mode == "RGB"
        assert "icc_profile" not in image.info
