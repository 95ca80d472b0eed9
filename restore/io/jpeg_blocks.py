"""A JPEG written again with only its changed blocks encoded anew."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from restore.errors import InputError
from restore.io.atomic import write_bytes
from restore.io.encode import jpeg_metadata
from restore.io.jpeg_file import plainly_named
from restore.io.metadata import Metadata
from restore.io.orientation import undo_orientation
from restore.io.picture import Picture, read_picture, write_picture
from restore.io.quiet import quiet_stderr

_BLOCK = 8
_SOS, _APP0, _APP14, _COMMENT = 0xDA, 0xE0, 0xEE, 0xFE
# JFIF 1.02, section 7: full-range Y, Cb, Cr of full-range R, G, B.
_YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ]
)


class _NoCoefficients(Exception):
    """The coefficients of this JPEG cannot be read or replaced; the message says why."""


def write_jpeg_blocks(
    path: str | os.PathLike[str],
    pixels: ArrayLike,
    source: Picture | str | os.PathLike[str],
    changed: ArrayLike,
) -> tuple[str, ...]:
    """Writes a changed JPEG in which untouched blocks keep their quantised coefficients.

    A block of a component is encoded anew if a pixel under it has changed: 8x8 pixels in luma,
    16x16 in chroma of 4:2:0. Its coefficients depend on no pixel outside, so nothing else needs to
    be. A decoder that smooths chroma may still show the pixel row beside a changed block another
    way. Tables, subsampling, metadata and, unlike with `write_picture`, the orientation tag stay
    as they are: turning the pixels would change every block.

    A progressive file becomes a baseline one with the same coefficients.

    Where the coefficients cannot be reached (CMYK, arithmetic coding) the whole picture is encoded
    again with the same tables.

    Args:
        path: the ``.jpg`` to write.
        pixels: [C, H, W] in [0, 1], upright, as `read_picture` gives them.
        source: the JPEG that was changed, or its path. The file is read again.
        changed: bool [H, W], True where `pixels` differ from the source.

    Returns:
        What could not be kept, one line each.

    Raises:
        InputError: `source` is no readable JPEG; `path` cannot be written.
        ValueError: sizes that do not agree.
    """
    path = Path(path)
    picture = source if isinstance(source, Picture) else read_picture(source)
    if picture.jpeg is None:
        raise InputError(f"{picture.path}: is {picture.format}, expected a JPEG")
    values = np.asarray(pixels, dtype=np.float64)
    touched = np.asarray(changed, dtype=bool)
    size = picture.pixels.shape[1:]
    if values.shape[1:] != size or touched.shape != size:
        raise ValueError(
            f"write_jpeg_blocks: pixels {list(values.shape)}, changed {list(touched.shape)}, "
            f"the source is {list(picture.pixels.shape)}"
        )
    if not np.isfinite(values).all():
        raise ValueError("write_jpeg_blocks: the pixels hold NaN or infinity")
    notes: list[str] = []
    try:
        if len(values) != picture.channels:
            raise _NoCoefficients("the number of channels has changed")
        metadata = picture.metadata.turned(picture.orientation)
        jpeg = _read(picture.path)
        _replace_blocks(
            jpeg,
            undo_orientation(np.clip(values, 0.0, 1.0) * 255.0, picture.orientation),
            undo_orientation(touched, picture.orientation),
        )
        data = _with_metadata(_serialise(jpeg, path), metadata, picture.channels, notes)
    except _NoCoefficients as reason:
        again = write_picture(path, values, picture)
        return (f"{path.name}: the whole picture was encoded again, {reason}", *again)
    write_bytes(path, data)
    return tuple(notes)


def read_coefficients(path: str | os.PathLike[str]) -> Any:
    """The quantised DCT coefficients of a JPEG, as `jpeglib.DCTJPEG`.

    jpeglib takes cut files without a word and aborts on absurd sizes, so Pillow decodes first.

    Raises:
        InputError: not a whole JPEG, or of a kind that jpeglib cannot read.
    """
    picture = read_picture(path)
    if picture.jpeg is None:
        raise InputError(f"{picture.path}: is {picture.format}, expected a JPEG")
    try:
        return _read(picture.path)
    except _NoCoefficients as error:
        raise InputError(f"{picture.path}: {error}, expected Huffman coding") from error


def _read(path: Path) -> Any:
    import jpeglib

    try:
        with plainly_named(path) as source, quiet_stderr():
            jpeg = jpeglib.read_dct(str(source))
            jpeg.load()
    except (OSError, ValueError) as error:
        raise _NoCoefficients("jpeglib cannot read its coefficients") from error
    return jpeg


def _replace_blocks(jpeg: Any, stored: NDArray[np.float64], touched: NDArray[np.bool_]) -> None:
    """Encodes the changed blocks of every component, in place.

    Args:
        jpeg: of jpeglib.
        stored: [C, H, W] in [0, 255], as the file stores it (not turned).
        touched: [H, W].
    """
    space = jpeg.jpeg_color_space.name
    if space == "JCS_YCbCr":
        planes = np.tensordot(_YCBCR, stored, axes=1)
        planes[0] -= 128.0
    elif space in ("JCS_GRAYSCALE", "JCS_RGB"):
        planes = stored - 128.0
    else:
        raise _NoCoefficients(f"its colours are {space.removeprefix('JCS_')}")
    most = jpeg.samp_factor.max(axis=0)
    for index, (name, plane) in enumerate(zip(("Y", "Cb", "Cr"), planes, strict=False)):
        if (most % jpeg.samp_factor[index]).any():
            raise _NoCoefficients("its subsampling is no whole number")
        factors = most // jpeg.samp_factor[index]
        step = (int(factors[0]), int(factors[1]))
        old = getattr(jpeg, name)
        size = (old.shape[0] * _BLOCK * step[0], old.shape[1] * _BLOCK * step[1])
        again = _blocks(_padded(touched, size, "constant"), (_BLOCK * step[0], _BLOCK * step[1]))
        samples = _blocks(_padded(plane, size, "edge"), step).mean(axis=(2, 3))
        new = old.copy()
        which = again.any(axis=(2, 3))
        new[which] = _quantised(_blocks(samples, (_BLOCK, _BLOCK))[which], jpeg, index)
        setattr(jpeg, name, new)


def _quantised(blocks: NDArray[np.float64], jpeg: Any, index: int) -> NDArray[np.int16]:
    from scipy.fft import dctn

    table = jpeg.qt[jpeg.quant_tbl_no[index]].astype(np.float64)
    if not table.all():
        raise _NoCoefficients("a divisor of its tables is 0")
    coefficients = dctn(blocks, axes=(-2, -1), norm="ortho") / table
    rounded: NDArray[np.int16] = np.rint(coefficients).astype(np.int16)
    return rounded


def _padded(plane: NDArray[Any], size: tuple[int, int], how: Any) -> NDArray[Any]:
    rows, columns = (max(0, size[axis] - plane.shape[axis]) for axis in (0, 1))
    # A component of few samples has no blocks for the padding of whole MCUs.
    return np.pad(plane, ((0, rows), (0, columns)), mode=how)[: size[0], : size[1]]


def _blocks(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """[H, W] as [H / size, W / size, size, size]."""
    rows, columns = plane.shape[0] // size[0], plane.shape[1] // size[1]
    return plane.reshape(rows, size[0], columns, size[1]).swapaxes(1, 2)


def _serialise(jpeg: Any, path: Path) -> bytes:
    """The file that jpeglib writes, without metadata, checked to hold what it should."""
    import jpeglib

    jpeg.markers = []
    with tempfile.TemporaryDirectory() as folder:
        name = str(Path(folder) / "picture.jpg")
        try:
            with quiet_stderr():
                jpeg.write_dct(name, flags=["OPTIMIZE_CODING"])
                data = Path(name).read_bytes()
                check = jpeglib.read_dct(name)
                check.load()
        except OSError as error:
            raise InputError(f"{path}: writing its coefficients failed ({error})") from error
    for component in ("Y", "Cb", "Cr"):
        new, wanted = getattr(check, component), getattr(jpeg, component)
        if wanted is not None and not np.array_equal(new, wanted):
            raise InputError(f"{path}: its coefficients were not written whole (disk full?)")
    return data


def _with_metadata(data: bytes, metadata: Metadata, channels: int, notes: list[str]) -> bytes:
    """Puts the metadata of a picture that Pillow writes into a JPEG that has none."""
    from PIL import Image

    small = BytesIO()
    blank = Image.new("L" if channels == 1 else "RGB", (1, 1))
    blank.save(small, "JPEG", **jpeg_metadata(metadata, channels, notes))
    head = {marker: segment for marker, segment in _segments(data) if marker in (_APP0, _APP14)}
    extra = []
    for marker, segment in _segments(small.getvalue()):
        if marker == _APP0 and _APP0 in head:
            head[_APP0] = segment  # it has the resolution
        elif _APP0 < marker < 0xF0 or marker == _COMMENT:
            extra.append(segment)
    rest = data[2 + sum(len(segment) for marker, segment in _segments(data) if marker in head) :]
    return b"".join([data[:2], *head.values(), *extra, rest])


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each segment before the first scan."""
    position = 2
    while data[position + 1] != _SOS:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        yield data[position + 1], data[position : position + 2 + length]
        position += 2 + length
