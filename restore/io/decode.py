"""From a picture file to grey levels, whatever its mode and bit depth."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore.io.jpeg_tables import JpegTables, read_tables
from restore.io.levels import FLOAT_BITS
from restore.io.metadata import SEVERAL_PAGES, Metadata, read_metadata, read_tiff_metadata
from restore.io.orientation import apply_orientation
from restore.io.png import colour_chunks
from restore.io.quiet import quiet_stderr
from restore.io.refusal import Undecodable
from restore.io.tiff import EXPECTED, read_deep_tiff

if TYPE_CHECKING:
    from PIL import Image

_TIFF_SIGNATURES = (b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b")
_SIGNATURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "WebP"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 284, 338, 339
_PREMULTIPLIED, _SIGNED = 1, 2
# The bits of grey, by Pillow's raw mode; it scales the levels of less than 8 to 255.
_GREY_BITS = {"1": 1, "L;2": 2, "L;4": 4, "L": 8}
_NATIVE_LOW = "B" if sys.byteorder == "little" else "L"
# The raw mode that yields the low bytes of what this one yields the high bytes of.
_LOW_BYTES = {"B": "L", "L": "B", "N": _NATIVE_LOW}

# Colour primaries of ITU-T H.273.
_SRGB, _WIDER = 1, {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}

# Their remarks on a damaged file would reach the terminal besides our one line.
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Decoded:
    """A picture as stored, turned upright.

    Attributes:
        levels: [H, W, 1 or 3], unsigned integers or float32.
        alpha: [H, W] of the same type, or None.
        bits: of a value in `levels`; 32 is floating point.
        mode: the file's, in Pillow's names (``P``, ``CMYK``, ``RGB;16``).
        format: ``PNG``, ``JPEG``, ``TIFF``, ...
        orientation: EXIF orientation that was applied.
    """

    levels: NDArray[Any]
    alpha: NDArray[Any] | None
    bits: int
    mode: str
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    jpeg: JpegTables | None = None
    notes: tuple[str, ...] = ()
    orientation: int = 1


def pixel_limit() -> int | None:
    """The number of pixels above which Pillow refuses a file as a decompression bomb."""
    from PIL import Image

    return None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


def decode(stream: BinaryIO) -> Decoded:
    """Decodes the first picture of a file.

    Args:
        stream: open for reading in binary, seekable.

    Raises:
        Undecodable: not a picture, cut or damaged, too large, or of an unsupported kind.
    """
    from PIL import Image, UnidentifiedImageError

    head = stream.read(64)
    stream.seek(0)
    if not head:
        raise Undecodable("empty file (0 bytes)", "a picture")
    signature = head[:4]
    is_tiff = signature in _TIFF_SIGNATURES
    is_heif = _is_heif(head)
    if is_heif:
        let_pillow_read_heif()
    try:
        image = Image.open(stream)
    except Image.DecompressionBombError as error:
        raise Undecodable(str(error).split(",")[0], "a smaller picture") from error
    except Exception as error:  # a parser may raise anything on a damaged file
        if is_tiff:
            return _decode_with_tifffile(stream)
        names = (name for start, name in _SIGNATURES.items() if signature.startswith(start))
        name = "HEIC" if is_heif else next(names, None)
        if name is not None:
            found = f"{name} that is cut or damaged in its header"
            raise Undecodable(found, "a complete picture") from error
        if not isinstance(error, UnidentifiedImageError):
            raise Undecodable(f"damaged picture ({error})", "a complete picture") from error
        kinds = "PNG, JPEG, TIFF, WebP, BMP, GIF or another format that Pillow reads"
        raise Undecodable("not a picture", kinds) from error
    if is_tiff and _needs_tifffile(image):
        return _decode_with_tifffile(stream)
    try:
        return _decode_with_pillow(image, stream)
    except (Undecodable, MemoryError):
        raise
    except Exception as error:  # a conversion may raise anything on a damaged file
        text = str(error) or type(error).__name__
        raise Undecodable(f"damaged {image.format} ({text})", "a complete picture") from error


def _is_heif(head: bytes) -> bool:
    """Whether a file names one of HEIC's brands (`heic`, `heix`, …), which AVIF does not."""
    size = int.from_bytes(head[:4], "big")
    brands = (head[at : at + 2] for at in (8, *range(16, min(size, len(head)), 4)))
    return head[4:8] == b"ftyp" and b"he" in brands


def let_pillow_read_heif() -> None:
    """Have Pillow open HEIC from here on.

    Raises:
        Undecodable: without the package pillow-heif.
    """
    try:
        from pillow_heif import register_heif_opener

        register_heif_opener()  # where its own library is missing, it is this that fails
    except ImportError as error:
        found = "HEIC, which needs the package pillow-heif"
        raise Undecodable(found, "pip install pillow-heif, or a JPEG or PNG") from error


def _decode_with_pillow(image: Image.Image, stream: BinaryIO) -> Decoded:
    form = "JPEG" if image.format == "MPO" else image.format or "picture"
    raw = _raw_mode(image)
    notes = _first_of_several(image)
    loaded = _load(image, form)
    key = image.info.get("transparency")
    few = _GREY_BITS.get(raw, 0)
    if form == "PNG" and few and isinstance(key, int):
        # Not the one that is transparent.
        top = 2**few - 1
        image.info["transparency"] = (key & top) * 255 // top
    chunks = colour_chunks(stream) if form == "PNG" else ()
    try:
        metadata, orientation = read_metadata(loaded, notes, chunks)
    except Exception as error:  # a parser may raise anything on damaged metadata
        metadata, orientation = Metadata(), 1
        notes.append(f"the metadata is damaged and was left out ({error})")
    if ";16" in raw and image.mode in ("RGB", "RGBA"):
        levels, alpha = _sixteen_bit(image, raw, stream, form)
        mode, bits = f"{'LA' if levels.shape[2] == 1 else image.mode};16", 16
    else:
        mode = image.mode
        levels, alpha, bits = _levels(image, form, notes)
        if 0 < few < bits:
            levels, bits = levels // (255 // (2**few - 1)), few
        if ";16" in raw and mode == "CMYK":
            notes.append("16-bit CMYK read at 8 bits")
        if form == "HEIF":
            notes += _lost_of_heic(image, bits)
        if metadata.icc is not None and metadata.icc[16:20] in (b"CMYK", b"Lab "):
            metadata = replace(metadata, icc=None)
    return Decoded(
        levels=_upright(levels, orientation),
        alpha=None if alpha is None else apply_orientation(alpha, orientation),
        bits=bits,
        mode=mode,
        format=form,
        metadata=metadata,
        jpeg=read_tables(image) if form == "JPEG" else None,
        notes=tuple(notes),
        orientation=orientation,
    )


def _decode_with_tifffile(stream: BinaryIO) -> Decoded:
    levels, has_alpha, kind = read_deep_tiff(stream, pixel_limit())
    notes: list[str] = []
    stream.seek(0)
    try:
        metadata, orientation = read_tiff_metadata(stream.read(), notes)
    except Exception as error:  # a parser may raise anything on damaged metadata
        metadata, orientation = Metadata(), 1
        notes.append(f"the metadata is damaged and was left out ({error})")
    if levels.dtype.kind == "f":
        bits = FLOAT_BITS
    elif levels.dtype.itemsize <= 2:
        bits = 8 * levels.dtype.itemsize
    else:
        raise Undecodable(f"{kind} of {levels.dtype}", EXPECTED)
    levels = _upright(levels, orientation)
    alpha = np.ascontiguousarray(levels[..., -1]) if has_alpha else None
    if has_alpha:
        levels = np.ascontiguousarray(levels[..., :-1])
    mode = f"{ {1: 'L', 3: 'RGB'}[levels.shape[2]] }{'A' if has_alpha else ''};{bits}"
    return Decoded(levels, alpha, bits, mode, "TIFF", metadata, None, tuple(notes))


def _needs_tifffile(image: Image.Image) -> bool:
    """Whether Pillow would open this TIFF but read something else than it holds."""
    bits = _tag(image, _BITS_PER_SAMPLE, 1)
    apart = _tag(image, _PLANAR, 1)[0] == 2
    if _SIGNED in _tag(image, _SAMPLE_FORMAT, 1) or (apart and len(bits) == 2):
        return True
    # Its libtiff has turned the bytes of big-endian numbers already.
    if image.mode == "F" and _raw_mode(image).endswith("BF"):
        return True
    return max(bits) > 8 and (
        (apart and len(bits) > 1)
        or _tag(image, _PHOTOMETRIC, 1)[0] == 0
        or _tag(image, _EXTRA_SAMPLES, 0)[0] == _PREMULTIPLIED
        or image.mode == "I"
    )


def _tag(image: Image.Image, number: int, default: int) -> tuple[Any, ...]:
    """The values of a TIFF tag, which Pillow gives as one value or several."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    values = value if isinstance(value, tuple) else (value,)
    return values or (default,)


def _load(image: Image.Image, form: str) -> Image.Image:
    try:
        # Of Pillow's decoders only libtiff prints its complaints.
        with quiet_stderr() if form == "TIFF" else nullcontext():
            image.load()
    except Exception as error:  # a decoder may raise anything on a damaged file
        text = str(error) or type(error).__name__
        state = "truncated" if "truncated" in text or "broken data stream" in text else "damaged"
        raise Undecodable(f"{state} {form} ({text})", "a complete picture") from error
    return image


def _raw_mode(image: Image.Image) -> str:
    """How the samples are stored, in Pillow's raw mode names; empty where it has none."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0].args if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _sixteen_bit(
    image: Image.Image, raw: str, stream: BinaryIO, form: str
) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Colour of 16 bits, of which Pillow decodes one byte: the file is decoded once for each."""
    if raw == "LA;16B":
        # Four bytes a pixel: read as RGBA they are the high and low bytes of grey and alpha.
        four = np.asarray(_decode_again(stream, "RGBA", form))
        both = _joined(four[..., 0::2], four[..., 1::2])
        return both[..., :1], both[..., 1]
    low = np.asarray(_decode_again(stream, raw[:-1] + _LOW_BYTES[raw[-1]], form))
    levels = _joined(np.asarray(image), low)
    if levels.shape[2] == 4:
        return levels[..., :3], levels[..., 3]
    key = image.info.get("transparency")
    if isinstance(key, tuple):
        shown = (levels != np.array(key, dtype=np.uint16)).any(axis=2)
        return levels, shown * np.uint16(65535)
    return levels, None


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.left_shift(high, 8, dtype=np.uint16) | low


def _decode_again(stream: BinaryIO, raw: str, form: str) -> Image.Image:
    from PIL import Image

    stream.seek(0)
    image = Image.open(stream)
    tiles: Any = getattr(image, "tile", [])
    changed = []
    for tile in tiles:
        rest = tile.args[1:] if isinstance(tile.args, tuple) else None
        changed.append(tile._replace(args=raw if rest is None else (raw, *rest)))
    image.tile = changed
    return _load(image, form)


def _levels(
    image: Image.Image, form: str, notes: list[str]
) -> tuple[NDArray[Any], NDArray[Any] | None, int]:
    """Levels [H, W, C], alpha [H, W] and bit depth of a loaded picture of any Pillow mode."""
    mode = image.mode
    if mode in ("I;16", "I;16B", "I;16L", "I;16N"):
        return _deep_grey(image)
    if mode == "F":
        return np.asarray(image)[..., None], None, FLOAT_BITS
    if mode == "I" and form == "PPM":
        return np.asarray(image).astype(np.uint16)[..., None], None, 16
    if mode == "1":
        bits, key = np.asarray(image).astype(np.uint8), image.info.get("transparency")
        alpha = (255 * bits != key) * np.uint8(255) if isinstance(key, int) else None
        return bits[..., None], alpha, 1
    if mode == "CMYK":
        return np.asarray(_cmyk_to_rgb(image, notes)), None, 8
    if mode == "LAB":
        return np.asarray(_lab_to_srgb(image)), None, 8
    if mode not in ("L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV"):
        raise Undecodable(f"{form} of Pillow's mode {mode}", EXPECTED)
    with_alpha = image.has_transparency_data
    if mode in ("L", "LA", "La"):
        plain = image.convert("LA") if with_alpha else image.convert("L")
    else:
        plain = image.convert("RGBA") if with_alpha else image.convert("RGB")
    levels = np.asarray(plain)
    alpha = np.ascontiguousarray(levels[..., -1]) if with_alpha else None
    if levels.ndim == 2:
        levels = levels[..., None]
    elif with_alpha:
        levels = levels[..., :-1]
    if mode in ("P", "PA") and _is_grey(levels):
        levels = levels[..., :1]
    return np.ascontiguousarray(levels), alpha, 8


def _deep_grey(image: Image.Image) -> tuple[NDArray[Any], NDArray[Any] | None, int]:
    levels = np.asarray(image).astype(np.uint16)
    key = image.info.get("transparency")
    alpha = (levels != key) * np.uint16(65535) if isinstance(key, int) else None
    return levels[..., None], alpha, int(_tag(image, _BITS_PER_SAMPLE, 16)[0])


def _is_grey(levels: NDArray[np.uint8]) -> bool:
    first = levels[..., :1]
    return bool((levels == first).all())


def _cmyk_to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError) as error:
            notes.append(f"CMYK converted without its profile, which is unusable ({error})")
            return image.convert("RGB")
        if converted is not None:
            notes.append("CMYK converted to sRGB through its profile")
            return converted
    notes.append("CMYK without a profile converted by the plain formula")
    return image.convert("RGB")


def _lab_to_srgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise Undecodable("LAB picture that cannot be converted", "grey or RGB")
    return converted


def _first_of_several(image: Image.Image) -> list[str]:
    if not getattr(image, "is_animated", False) or image.format in ("MPO", "HEIF"):
        return []
    if image.format == "TIFF":
        return [SEVERAL_PAGES]
    return ["animated: the first frame is used"]


def _lost_of_heic(image: Image.Image, bits: int) -> list[str]:
    """What of a HEIC does not reach the picture: bits, and colours that no profile describes."""
    notes = []
    if image.info["bit_depth"] > bits:
        notes.append(f"{image.info['bit_depth']}-bit HEIC read at 8 bits")
    primaries = image.info.get("nclx_profile", {}).get("color_primaries", _SRGB)
    if primaries in _WIDER and "icc_profile" not in image.info:
        notes.append(f"{_WIDER[primaries]} colours of a HEIC without a profile taken for sRGB")
    return notes


def _upright(levels: NDArray[Any], orientation: int) -> NDArray[Any]:
    return np.moveaxis(apply_orientation(np.moveaxis(levels, -1, 0), orientation), 0, -1)
