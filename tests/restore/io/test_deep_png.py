"""16-bit PNG: files made from the specification, independent of the code and of Pillow."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.io.levels import to_integer
from restore.io.picture import read_picture, write_picture

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
# Adam7 (PNG, third edition, section 8.2): first row, first column, row step, column step.
_PASSES = [
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def make_png(
    levels: np.ndarray, *, filters: bool = False, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A 16-bit PNG of [H, W, 1 to 4]; with `filters`, row i uses filter i mod 5."""
    height, width, channels = levels.shape
    header = struct.pack(">LLBBBBB", width, height, 16, _COLOUR_TYPE[channels], 0, 0, interlaced)
    passes = _PASSES if interlaced else [(0, 0, 1, 1)]
    raw = b"".join(
        _rows(levels[top::down, left::right], filters)
        for top, left, down, right in passes
        if levels[top::down, left::right].size
    )
    parts = [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _rows(levels: np.ndarray, filters: bool) -> bytes:
    step = 2 * levels.shape[2]
    above = bytes(levels.shape[1] * step)
    out = bytearray()
    for index, row in enumerate(levels):
        now = row.astype(">u2").tobytes()
        kind = index % 5 if filters else 0
        out.append(kind)
        out += bytes(
            (now[i] - _predicted(kind, now, above, i, step)) % 256 for i in range(len(now))
        )
        above = now
    return bytes(out)


def _predicted(kind: int, now: bytes, above: bytes, i: int, step: int) -> int:
    left = now[i - step] if i >= step else 0
    corner = above[i - step] if i >= step else 0
    up = above[i]
    if kind == 4:
        p = left + up - corner
        return min((left, up, corner), key=lambda v: abs(p - v))
    return [0, left, up, (left + up) // 2][kind]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep.png"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("filters", [False, True])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (11, 17)])
def test_reads_every_bit(
    path: Path,
    rng: np.random.Generator,
    channels: int,
    filters: bool,
    interlaced: bool,
    size: tuple[int, int],
) -> None:
    levels = rng.integers(0, 65536, (*size, channels), dtype=np.uint16)
    path.write_bytes(make_png(levels, filters=filters, interlaced=interlaced))
    picture = read_picture(path)
    colours = 1 if channels < 3 else 3
    assert picture.bits == 16
    assert np.array_equal(to_integer(picture.pixels, 16), np.moveaxis(levels[..., :colours], -1, 0))
    if channels in (2, 4):
        assert picture.alpha is not None
        assert np.array_equal(to_integer(picture.alpha[0], 16), levels[..., -1])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_is_written_bit_by_bit(path: Path, rng: np.random.Generator, channels: int) -> None:
    levels = rng.integers(0, 65536, (13, 10, channels), dtype=np.uint16)
    path.write_bytes(make_png(levels))
    picture = read_picture(path)
    again = path.with_name("again.png")
    assert write_picture(again, picture.pixels, picture) == ()
    copy = read_picture(again)
    assert (copy.bits, copy.mode) == (16, picture.mode)
    assert np.array_equal(copy.pixels, picture.pixels)
    assert (copy.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        assert np.array_equal(copy.alpha, picture.alpha)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_written_file_is_a_png_to_others(
    path: Path, rng: np.random.Generator, channels: int
) -> None:
    """Pillow keeps the high bytes of colour: it must see those of what was written."""
    levels = rng.integers(0, 65536, (9, 8, channels), dtype=np.uint16)
    path.write_bytes(make_png(levels))
    picture = read_picture(path)
    written = path.with_name("again.png")
    write_picture(written, picture.pixels, picture)
    with Image.open(written) as image, Image.open(path) as original:
        assert np.array_equal(np.asarray(image), np.asarray(original))


def test_colour_key(path: Path, rng: np.random.Generator) -> None:
    levels = rng.integers(0, 65536, (6, 5, 3), dtype=np.uint16)
    levels[2, 3] = levels[4, 1] = (513, 2, 65535)
    # The same high bytes, so another colour only at 16 bits.
    levels[0, 0] = (512, 1, 65534)
    path.write_bytes(make_png(levels, extra=chunk(b"tRNS", struct.pack(">3H", 513, 2, 65535))))
    picture = read_picture(path)
    assert picture.alpha is not None
    assert sorted(zip(*np.nonzero(picture.alpha[0] < 1.0), strict=True)) == [(2, 3), (4, 1)]
    assert picture.alpha.min() == 0.0


def test_grey_key(path: Path) -> None:
    levels = np.array([[[258], [257]]], dtype=np.uint16)
    path.write_bytes(make_png(levels, extra=chunk(b"tRNS", struct.pack(">H", 257))))
    picture = read_picture(path)
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [[1.0, 0.0]]


def test_truncated(path: Path, rng: np.random.Generator) -> None:
    data = make_png(rng.integers(0, 65536, (20, 20, 3), dtype=np.uint16))
    for length in range(34, len(data) - 60, 97):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"PNG.*, expected a complete picture"):
            read_picture(path)
