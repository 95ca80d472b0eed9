"""Reading and writing pictures of every kind, without losing depth, transparency or metadata."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from restore.errors import InputError
from restore.io.atomic import write_bytes
from restore.io.decode import Decoded, decode
from restore.io.encode import DEEPEST, FORMATS, WITH_ALPHA, WITH_QUALITY, Unwritable, encode
from restore.io.jpeg_tables import JpegTables
from restore.io.levels import FLOAT_BITS, from_integer, rounding_std, to_integer
from restore.io.metadata import Metadata
from restore.io.npy import read_npy
from restore.io.refusal import Undecodable, check_plain

# A resampled floating-point picture overshoots white and black by so much.
_OVERSHOOT = 0.05
# Floating-point alpha up to here is in units of 1, else of the greatest level of 8 or 16 bits.
_MOST_OPAQUE, _OPAQUE = 2.0, (255.0, 65535.0)
# The largest power of two of float32: white is a power of two, not below any value.
_LARGEST = 2.0**127
_NPY = b"\x93NUMPY"
_FLOATS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in [0, 1] and what is needed to write it again as it was.

    Attributes:
        pixels: float32 [C, H, W] in [0, 1], C = 1 (grey) or 3 (RGB), upright.
        alpha: float32 [1, H, W], or None.
        bits: of the file's samples: 1 to 16; 32 is floating point.
        mode: the file's mode in Pillow's names (``P``, ``CMYK``, ``RGB;16``).
        format: ``PNG``, ``JPEG``, ``TIFF``, ...
        path: where it was read.
        metadata: EXIF, ICC, XMP, IPTC, text, resolution.
        jpeg: quantisation tables and subsampling of a JPEG.
        scale: the stored value that `pixels` calls 1, where floating-point values exceed 1.
        alpha_scale: the same of `alpha`.
        notes: what was decided on reading that the user should know, one line each.
        orientation: EXIF orientation of the file, which `pixels` have already been turned by.
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    bits: int
    mode: str
    format: str
    path: Path
    metadata: Metadata = field(default_factory=Metadata)
    jpeg: JpegTables | None = None
    scale: float = 1.0
    alpha_scale: float = 1.0
    notes: tuple[str, ...] = ()
    orientation: int = 1

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(self.pixels.shape[0])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[2])

    @property
    def rounding_std(self) -> float:
        """Standard deviation of the file's rounding, in the units of `pixels`."""
        return rounding_std(self.bits)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Reads any picture that Pillow or tifffile can read, or a float ``.npy``.

    Palettes and 1-bit pictures become grey or RGB, CMYK is converted through its profile, the EXIF
    orientation is applied, and of an animation the first frame is taken. Floating-point values
    above 1 are divided by the next power of two (`Picture.scale`), which loses no bit.

    Raises:
        InputError: a missing or unreadable file, a folder, not a picture, cut or damaged, a header
            that claims more pixels than Pillow allows, or an unsupported kind.
    """
    path = Path(path)
    try:
        return _read(path)
    except MemoryError as error:
        raise InputError(
            f"{path}: the memory is too small for it, expected a smaller picture"
        ) from error


def _read(path: Path) -> Picture:
    with open_input(path) as stream, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            decoded = _read_npy(stream) if path.suffix.lower() == ".npy" else decode(stream)
        except Undecodable as error:
            raise InputError(f"{path}: {error}") from error
        notes = [*decoded.notes, *_as_notes(caught)]
    # Turned while they are integers: a large picture of floats is there once.
    levels = np.ascontiguousarray(np.moveaxis(decoded.levels, -1, 0))
    alpha_scale = 1.0
    if decoded.bits == FLOAT_BITS:
        pixels, scale = _normalised(path, levels, notes)
        alpha = decoded.alpha
        if alpha is not None:
            alpha, alpha_scale = _normalised_alpha(path, alpha, notes)
    else:
        pixels, scale = from_integer(levels, decoded.bits), 1.0
        top = 16 if decoded.alpha is not None and decoded.alpha.dtype == np.uint16 else 8
        alpha = None if decoded.alpha is None else from_integer(decoded.alpha, top)
    return Picture(
        pixels=pixels,
        alpha=None if alpha is None else alpha[None],
        bits=decoded.bits,
        mode=decoded.mode,
        format=decoded.format,
        path=path,
        metadata=decoded.metadata,
        jpeg=decoded.jpeg,
        scale=scale,
        alpha_scale=alpha_scale,
        notes=tuple(notes),
        orientation=decoded.orientation,
    )


def write_picture(
    path: str | os.PathLike[str],
    pixels: ArrayLike,
    like: Picture | None = None,
    *,
    bits: int | None = None,
    alpha: ArrayLike | Literal["keep"] | None = "keep",
    quality: int | None = None,
) -> tuple[str, ...]:
    """Writes a picture whole or not at all; the suffix says the format.

    Values are clipped to [0, 1] and rounded to the nearest level. A ``.jpg`` after a JPEG uses its
    quantisation tables and subsampling again unless `quality` is given; otherwise quality 95
    without subsampling. WebP is lossless unless `quality` is given. A ``.npy`` holds float32
    [H, W] or [H, W, C] (alpha last).

    Args:
        path: ``.png .jpg .jpeg .tif .tiff .webp .bmp .npy``.
        pixels: [C, H, W] in [0, 1], C = 1 or 3.
        like: the picture that was read: its depth, transparency and metadata are kept.
        bits: 8, 16 or 32 (floating point) instead of the depth of `like` (8 without it). A depth
            that the format does not have becomes its deepest one.
        alpha: [H, W] or [1, H, W] in [0, 1], None for none, or ``keep`` for that of `like`, resized
            where the picture has another size.
        quality: of JPEG and WebP, 1 to 100.

    Returns:
        What the file could not hold, one line each.

    Raises:
        InputError: an unknown suffix, a picture too large for the format, a place that cannot be
            written to, a full disk.
        ValueError: NaN in `pixels`, whole numbers, which could have any white, or a shape that is
            no picture.
    """
    path = Path(path)
    form = output_format(path)
    array = np.asarray(pixels)
    if array.dtype.kind in "iu":
        raise ValueError(f"write_picture: pixels are {array.dtype}, expected numbers in [0, 1]")
    values = array.astype(np.float32, copy=False)
    if values.ndim != 3 or values.shape[0] not in (1, 3) or 0 in values.shape:
        raise ValueError(f"write_picture: pixels are {list(values.shape)}, expected [1 or 3, H, W]")
    notes: list[str] = []
    opacity = _opacity(alpha, like, values.shape[1:], form, notes)
    if opacity is not None:
        values = np.concatenate([values, opacity[None]])
    wanted = bits if bits is not None else like.bits if like is not None else 8
    depth = min(_container(wanted), DEEPEST[form])
    if form == "NPY":
        depth = FLOAT_BITS
    elif depth < _container(wanted):
        notes.append(f"written with {depth} bits, the most that {form} holds")
    levels = np.moveaxis(_stored(values, depth, like), 0, -1)
    metadata = Metadata() if like is None else like.metadata.sized(*values.shape[:0:-1])
    try:
        data = encode(
            np.ascontiguousarray(levels),
            form,
            metadata,
            notes,
            jpeg=like.jpeg if like is not None else None,
            quality=quality,
        )
    except Unwritable as error:
        raise InputError(f"{path}: {error}") from error
    write_bytes(path, data)
    return tuple(notes)


def output_format(path: Path) -> str:
    """The format that the suffix of `path` stands for.

    Raises:
        InputError: no picture format that can be written.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        found = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        raise InputError(f"{path}: {found}, expected one of {' '.join(FORMATS)}")
    return form


def is_lossy(path: Path, quality: int | None) -> bool:
    """Whether a picture that is written to `path` loses more than digits."""
    form = output_format(path)
    return form == "JPEG" or (form in WITH_QUALITY and quality is not None)


@contextmanager
def open_input(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for reading, with one-line errors.

    Raises:
        InputError: missing, a folder, a pipe or a device, no permission, or a failing disk.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a picture file")
        check_plain(path, "a picture file")
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, expected a picture file") from error
    except PermissionError as error:
        raise InputError(f"{path}: permission denied, expected a readable file") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected a readable file") from error
    with stream:
        yield stream


def _read_npy(stream: BinaryIO) -> Decoded:
    expected = "bool, float or unsigned numbers [H, W], [H, W, 1 to 4]"
    if not stream.read(len(_NPY)) == _NPY:
        raise Undecodable("not a NumPy array", expected)
    stream.seek(0)
    try:
        array = read_npy(stream)
    except ValueError as error:
        raise Undecodable(f"damaged NumPy array ({error})", expected) from error
    array = array[..., None] if array.ndim == 2 else array
    usable = array.ndim == 3 and 1 <= array.shape[2] <= 4 and 0 not in array.shape
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if not usable or array.dtype not in (np.bool_, np.uint8, np.uint16, *_FLOATS):
        raise Undecodable(f"array {list(array.shape)} of {array.dtype}", expected)
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    integers = array.dtype.kind == "u"
    bits = 8 * array.dtype.itemsize if integers else FLOAT_BITS
    with np.errstate(over="ignore"):  # what float32 does not hold is refused as infinite
        array = array if integers else array.astype(np.float32)
    has_alpha = array.shape[2] in (2, 4)
    colours = array[..., :-1] if has_alpha else array
    mode = f"{ {1: 'L', 3: 'RGB'}[colours.shape[2]] }{'A' if has_alpha else ''};{bits}"
    return Decoded(colours, array[..., -1] if has_alpha else None, bits, mode, "NPY")


def _normalised(
    path: Path, stored: NDArray[Any], notes: list[str]
) -> tuple[NDArray[np.float32], float]:
    """Floating-point values in [0, 1] and what they were divided by, a power of two."""
    values = _finite(path, stored, "among the values")
    low, high = float(values.min()), float(values.max())
    if high > _LARGEST:
        raise InputError(f"{path}: values up to {high:g}, expected at most {_LARGEST:g}")
    scale = 1.0
    if high > 1.0 + _OVERSHOOT:
        scale = float(2.0 ** np.ceil(np.log2(high)))
        notes.append(f"floating-point values up to {high:g}: {scale:g} is taken as white")
    if low < -_OVERSHOOT * scale:
        raise InputError(f"{path}: values from {low:g} to {high:g}, expected none below 0")
    if low < 0.0 or high > scale:
        notes.append(f"values from {low:g} to {high:g} clipped to 0 to {scale:g}")
    return np.clip(values / np.float32(scale), 0.0, 1.0), scale


def _normalised_alpha(
    path: Path, stored: NDArray[Any], notes: list[str]
) -> tuple[NDArray[np.float32], float]:
    """Floating-point opacity in [0, 1] and the stored value that is opaque."""
    values = _finite(path, stored, "in its transparency")
    high, scale = float(values.max()), 1.0
    if high > _MOST_OPAQUE:
        scale = next((opaque for opaque in _OPAQUE if high <= opaque), high)
        notes.append(f"transparency in values up to {high:g}: {scale:g} is taken as opaque")
    return np.clip(values / np.float32(scale), 0.0, 1.0), scale


def _finite(path: Path, stored: NDArray[Any], where: str) -> NDArray[np.float32]:
    values = stored.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: NaN or infinity {where}, expected numbers")
    return values


def _as_notes(caught: list[warnings.WarningMessage]) -> list[str]:
    from PIL import Image

    # Up to twice the limit is a large photograph, and no warning to a user.
    kept = [w for w in caught if not issubclass(w.category, Image.DecompressionBombWarning)]
    return list(dict.fromkeys(" ".join(str(w.message).split()) for w in kept))


def _opacity(
    alpha: ArrayLike | Literal["keep"] | None,
    like: Picture | None,
    size: tuple[int, ...],
    form: str,
    notes: list[str],
) -> NDArray[np.float32] | None:
    given: Any = alpha
    if isinstance(alpha, str):
        given = None if like is None else like.alpha
    if given is None:
        return None
    if form not in WITH_ALPHA:
        notes.append(f"transparency is lost: {form} has no place for it")
        return None
    plane: NDArray[np.float32] = np.asarray(given, dtype=np.float32)
    plane = plane[0] if plane.ndim == 3 else plane
    if plane.shape == size:
        return plane
    if not isinstance(alpha, str):
        raise ValueError(f"write_picture: alpha is {list(plane.shape)}, the picture {list(size)}")
    from PIL import Image

    height, width = size
    resized = Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
    clipped: NDArray[np.float32] = np.clip(np.asarray(resized), 0.0, 1.0)
    return clipped


def _container(bits: int) -> int:
    return 8 if bits <= 8 else 16 if bits <= 16 else FLOAT_BITS


def _stored(values: NDArray[np.float32], depth: int, like: Picture | None) -> NDArray[Any]:
    if depth != FLOAT_BITS:
        return to_integer(values, depth)
    if not np.isfinite(values).all():
        raise ValueError("write_picture: the pixels hold NaN or infinity")
    stored = np.clip(values, 0.0, 1.0)
    if like is not None and like.bits == FLOAT_BITS:
        colours = 1 if len(stored) < 3 else 3
        stored[:colours] *= np.float32(like.scale)
        stored[colours:] *= np.float32(like.alpha_scale)
    return stored
