"""The quantised coefficients of a JPEG file and all that is needed to understand them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError
from restore.io.atomic import write_bytes
from restore.io.picture import Picture
from restore.io.quiet import quiet_stderr

EXPECTED = "a JPEG with Huffman coding in grey, YCbCr or RGB"
_SOS, _DHT = 0xDA, 0xC4
_KINDS = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA), "arithmetic coding"),
}


@dataclass(frozen=True, eq=False)
class JpegFile:
    """What a JPEG file measured.

    Attributes:
        coefficients: quantised, int16 [blocks, 8, 8], vertical frequency first; the blocks of a
            component row by row, the components one after the other.
        tables: divisors of each component, [components, 8, 8].
        factors: sampling factors (vertical, horizontal) of each component.
        colour: `grey`, `ycc`, or `rgb` (stored without conversion).
        shape: (channels, height, width) as stored, not turned.
        orientation: EXIF orientation, 1 to 8.
    """

    coefficients: NDArray[np.int16]
    tables: NDArray[np.int64]
    factors: tuple[tuple[int, int], ...]
    colour: Literal["grey", "ycc", "rgb"]
    shape: tuple[int, int, int]
    orientation: int


def read_jpeg(picture: Picture) -> JpegFile:
    """The coefficients of a JPEG, baseline or progressive.

    Args:
        picture: the file as it was read. jpeglib takes cut files without a word and aborts on
            absurd sizes, so that only what Pillow has decoded whole may reach it.

    Raises:
        InputError: no JPEG, or one of a kind whose coefficients cannot be used, by name.
    """
    path, jpeg = picture.path, picture.jpeg
    if jpeg is None:
        raise InputError(f"{path}: is {picture.format}, expected {EXPECTED}")
    data = path.read_bytes()
    frames = [_KINDS[marker] for marker, _ in _segments(data) if marker in _KINDS]
    if frames:
        raise InputError(f"{path}: JPEG with {frames[0]}, expected {EXPECTED}")
    if jpeg.colour not in ("grey", "ycc", "rgb"):
        kind = "YCCK" if picture.mode == "CMYK" and _adobe_transform(data) == 2 else picture.mode
        raise InputError(f"{path}: JPEG with {kind} colours, expected {EXPECTED}")
    found = _read(path, data)
    planes = [getattr(found, name) for name in ("Y", "Cb", "Cr")[: picture.channels]]
    tables = np.stack([found.qt[found.quant_tbl_no[i]] for i in range(len(planes))]).astype(int)
    if not tables.all():
        raise InputError(f"{path}: JPEG with a divisor of 0 in its tables, expected {EXPECTED}")
    turned = picture.orientation >= 5
    height, width = picture.pixels.shape[:0:-1] if turned else picture.pixels.shape[1:]
    single = len(planes) == 1
    return JpegFile(
        coefficients=np.concatenate([plane.reshape(-1, 8, 8) for plane in planes]),
        tables=tables,
        factors=((1, 1),) if single else tuple((int(v), int(h)) for v, h in found.samp_factor),
        colour=jpeg.colour,  # type: ignore[arg-type]
        shape=(len(planes), height, width),
        orientation=picture.orientation if 1 <= picture.orientation <= 8 else 1,
    )


def write_jpeg(path: Path, levels: NDArray[Any], quality: int) -> None:
    """Writes 8-bit levels [H, W, 1 or 3] as most encoders do: usual tables, 4:2:0, no metadata."""
    from PIL import Image

    out = io.BytesIO()
    plane = levels[..., 0] if levels.shape[2] == 1 else levels
    options = {} if plane.ndim == 2 else {"subsampling": "4:2:0"}
    Image.fromarray(np.ascontiguousarray(plane)).save(out, "JPEG", quality=quality, **options)
    write_bytes(path, out.getvalue())


@contextmanager
def plainly_named(path: Path, data: bytes | None = None) -> Iterator[Path]:
    """A path that jpeglib takes, to the same bytes or to `data`: on Windows only ASCII."""
    if data is None and str(path).isascii():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "picture.jpg"
        copy.write_bytes(path.read_bytes() if data is None else data)
        yield copy


def _read(path: Path, data: bytes) -> Any:
    import jpeglib

    markers = {marker for marker, _ in _segments(data)}
    codeless = _SOS in markers and _DHT not in markers
    with plainly_named(path, _with_usual_codes(data) if codeless else None) as source:
        try:
            with quiet_stderr():
                jpeg = jpeglib.read_dct(str(source))
                jpeg.load()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: JPEG whose coefficients cannot be read, expected {EXPECTED}"
            ) from error
    return jpeg


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and start of each segment before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        yield marker, at
        if marker == _SOS:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _with_usual_codes(data: bytes) -> bytes:
    """The file with the Huffman codes of T.81, annex K, which frames of a video leave out."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    usual = out.getvalue()
    codes = b"".join(
        usual[at : at + 2 + int.from_bytes(usual[at + 2 : at + 4], "big")]
        for marker, at in _segments(usual)
        if marker == _DHT
    )
    scan = next(at for marker, at in _segments(data) if marker == _SOS)
    return data[:scan] + codes + data[scan:]


def _adobe_transform(data: bytes) -> int | None:
    """The colour transform of the Adobe segment; 2 is YCCK."""
    for marker, at in _segments(data):
        if marker == 0xEE and data[at + 4 : at + 9] == b"Adobe":
            return data[at + 15]
    return None
