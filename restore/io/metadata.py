"""What a picture file says besides its pixels: EXIF, ICC, XMP, IPTC, text, resolution."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION, EXIF_IFD, GPS_IFD = 274, 34665, 34853
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG, _ICC_TAG = 700, 33723, 34377, 34675
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_PHOTOSHOP_LAYERS_TAG, _IMAGEJ_COUNTS_TAG, _IMAGEJ_TAG = 37724, 50838, 50839
_PIXELS_ACROSS, _PIXELS_DOWN = 40962, 40963
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 513, 514
_IPTC_RESOURCE = 0x0404
_IPTC_MARKER = b"\x1c"
_PROFILE_KEY = "Raw profile type "
_XMP_KEY = "XML:com.adobe.xmp"
_COMMENT_KEY = "comment"

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>))[1-8]")

# Tags that describe how a TIFF stores its pixels: another file stores them otherwise.
# Also those that are kept apart: resolution, XMP, IPTC, Photoshop resources, ICC.
TIFF_LAYOUT = frozenset(
    [
        *range(254, 260),
        *range(262, 267),
        *(273, 274),
        *range(277, 285),
        *range(288, 294),
        *(296, 297, 301, 317),
        *range(320, 327),
        *(330, 332, 334),
        *range(338, 342),
        347,
        *range(512, 522),
        *range(529, 533),
        *(_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG, _ICC_TAG),
        *(_PHOTOSHOP_LAYERS_TAG, _IMAGEJ_COUNTS_TAG, _IMAGEJ_TAG),
    ]
)
_IMAGE_DESCRIPTION = 270
SEVERAL_PAGES = "several pages: the first is used"
# tifffile and ImageJ keep the array's shape in the description; it is wrong for another array.
_SHAPE_DESCRIPTIONS = ('{"shape"', "ImageJ=")


@dataclass(frozen=True)
class Metadata:
    """The metadata of a picture, in a form that every format's writer can use.

    Attributes:
        exif: the EXIF block (a TIFF structure, without the ``Exif`` prefix), its orientation set
            to 1 because the pixels are already turned, its thumbnail removed because it shows the
            picture before the restoration.
        icc: ICC profile.
        xmp: XMP packet, orientation set to 1.
        iptc: IPTC-IIM records. WebP and BMP have no place for them.
        text: PNG text, by keyword; a JPEG's or GIF's comment under ``comment``.
        dpi: horizontal and vertical dots per inch.
        png_colour: gamma, chromaticities, sRGB and cICP chunks of a PNG, as they were.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()

    def icc_for(self, channels: int) -> bytes | None:
        """The ICC profile if it describes pictures of so many colour channels (1 or 3)."""
        if self.icc is None:
            return None
        return self.icc if self.icc[16:20] == {1: b"GRAY", 3: b"RGB "}[channels] else None

    def sized(self, width: int, height: int) -> Metadata:
        """The same for a picture of another size, where the EXIF block says one."""
        if self.exif is None:
            return self
        return replace(self, exif=_set_size(self.exif, width, height))

    def turned(self, orientation: int) -> Metadata:
        """The same for pixels that are written as the file stored them, not upright."""
        if orientation == 1:
            return self
        exif = None if self.exif is None else _set_orientation(self.exif, orientation)
        digit = str(orientation).encode()
        xmp = None if self.xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>" + digit, self.xmp)
        return replace(self, exif=exif, xmp=xmp)


def read_metadata(
    image: Image.Image, notes: list[str], png_colour: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[Metadata, int]:
    """The metadata of a picture that Pillow has loaded, and the orientation still to be applied.

    Args:
        image: loaded, because a PNG may have text after its pixels. A TIFF is turned by loading.
        notes: gets a line for whatever could not be kept.
        png_colour: colour chunks of a PNG, which Pillow does not hand out.
    """
    exif = _exif_of(image)
    orientation = _orientation(exif)
    info = image.info
    tiff_tags = getattr(image, "tag_v2", None)
    if tiff_tags is not None:
        block = tiff_exif(exif, notes)
        iptc = _tiff_iptc(tiff_tags)
        # Without these tags Pillow says one dot per inch.
        dpi = info.get("dpi") if _X_RESOLUTION in tiff_tags else None
    else:
        dpi = info.get("dpi")
        block = _clean_exif(_exif_block(image, exif), notes)
        iptc = info.get("photoshop", {}).get(_IPTC_RESOURCE) if image.format != "PNG" else None
    text = dict(getattr(image, "text", {}))
    if raw := text.pop(_PROFILE_KEY + "iptc", None):
        iptc = _iptc_records(_raw_profile(raw))
    # What is kept apart must not come back a second time (with the old orientation) as text.
    for key in (_XMP_KEY, _PROFILE_KEY + "exif", _PROFILE_KEY + "APP1"):
        text.pop(key, None)
    comment = info.get("comment")
    if isinstance(comment, bytes) and comment:
        text[_COMMENT_KEY] = comment.decode("latin-1")
    found = Metadata(
        exif=block,
        icc=_as_bytes(info.get("icc_profile")),
        xmp=_clean_xmp(_as_bytes(info.get("xmp"))),
        iptc=_as_bytes(iptc),
        text=text,
        dpi=_resolution(dpi),
        png_colour=png_colour,
    )
    return found, orientation


def read_tiff_metadata(data: bytes, notes: list[str]) -> tuple[Metadata, int]:
    """The same, from the bytes of a TIFF whose pixels Pillow cannot read."""
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    exif = Image.Exif()
    big = 43 in data[2:4]
    if big:
        notes.append("the EXIF tags of a BigTIFF are left out")
    else:
        exif.load(data)
    tags = ImageFileDirectory_v2(data[:16] if big else data[:8])
    stream = BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    if tags.next:
        notes.append(SEVERAL_PAGES)
    unit = {2: 1.0, 3: 2.54}.get(tags.get(_RESOLUTION_UNIT, 2))
    x, y = tags.get(_X_RESOLUTION), tags.get(_Y_RESOLUTION)
    dpi = None if unit is None or x is None or y is None else (float(x) * unit, float(y) * unit)
    found = Metadata(
        exif=tiff_exif(exif, notes),
        icc=_as_bytes(tags.get(_ICC_TAG)),
        xmp=_clean_xmp(_as_bytes(tags.get(_XMP_TAG))),
        iptc=_tiff_iptc(tags),
        dpi=_resolution(dpi),
    )
    return found, _orientation(tags)


def photoshop_block(iptc: bytes) -> bytes:
    """IPTC records wrapped as a Photoshop resource, as JPEG and PNG hold them."""
    head = b"8BIM" + struct.pack(">HHL", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + b"\0" * (len(iptc) % 2)


def png_info(metadata: Metadata) -> Any:
    """Text, XMP, IPTC and colour chunks as the ``pnginfo`` argument of Pillow's PNG writer."""
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for name, data in metadata.png_colour:
        chunks.add(name, data)
    for key, value in metadata.text.items():
        chunks.add_text(key, value)
    if metadata.xmp is not None:
        chunks.add_itxt(_XMP_KEY, metadata.xmp.decode("utf-8", "replace"))
    if metadata.iptc is not None:
        # ImageMagick's layout, which ExifTool reads too.
        block = photoshop_block(metadata.iptc).hex()
        lines = "\n".join(block[i : i + 72] for i in range(0, len(block), 72))
        chunks.add_text(_PROFILE_KEY + "iptc", f"\niptc\n{len(block) // 2:8d}\n{lines}\n", zip=True)
    return chunks


def comment(metadata: Metadata) -> bytes | None:
    """The comment as a JPEG holds it."""
    text = metadata.text.get(_COMMENT_KEY)
    return None if text is None else text.encode("latin-1", "replace")


def tiff_exif(exif: Image.Exif, notes: list[str]) -> bytes | None:
    """The descriptive tags of a TIFF as an EXIF block, without those of its pixel layout."""
    from PIL import Image

    kept = Image.Exif()
    for tag, value in exif.items():
        if tag in TIFF_LAYOUT:
            continue
        if tag == _IMAGE_DESCRIPTION and str(value).startswith(_SHAPE_DESCRIPTIONS):
            continue
        kept[tag] = exif.get_ifd(tag) if tag in (EXIF_IFD, GPS_IFD) else value
    if not kept:
        return None
    try:
        return kept.tobytes()[len(EXIF_PREFIX) :]
    except (struct.error, TypeError, ValueError, AttributeError, KeyError) as error:
        notes.append(f"the TIFF tags could not be kept ({error})")
        return None


def _orientation(tags: Mapping[int, Any]) -> int:
    code = tags.get(ORIENTATION, 1)
    return code if isinstance(code, int) and 1 <= code <= 8 else 1


def _exif_of(image: Image.Image) -> Image.Exif:
    from PIL import Image

    try:
        exif = image.getexif()
        # ImageMagick has it so in a PNG from a JPEG, which Pillow does not decode.
        raw = _raw_profile(getattr(image, "text", {}).get(_PROFILE_KEY + "APP1", ""))
        if not exif and raw.startswith(EXIF_PREFIX):
            exif.load(raw)
        return exif
    except (SyntaxError, struct.error):  # no TIFF header: `_clean_exif` says so
        return Image.Exif()


def _exif_block(image: Image.Image, exif: Image.Exif) -> bytes | None:
    raw = _as_bytes(image.info.get("exif"))
    if raw is None:
        # A PNG of ImageMagick has it as text, which `_exif_of` has decoded.
        text = getattr(image, "text", {})
        if not {_PROFILE_KEY + "exif", _PROFILE_KEY + "APP1"} & set(text) or not exif:
            return None
        raw = exif.tobytes()
    return raw.removeprefix(EXIF_PREFIX) or None


def _clean_exif(block: bytes | None, notes: list[str]) -> bytes | None:
    """Sets the orientation to 1 and removes the thumbnail, touching no other byte.

    Rewriting the whole block would change types and move maker notes, which hold offsets.
    """
    if block is None:
        return None
    try:
        data = bytearray(_set_orientation(block, 1))
        order = _byte_order(data)
        _, link = _entries(data, _first(data, order), order)
        if link + 4 <= len(data):
            (second,) = struct.unpack_from(order + "L", data, link)
            struct.pack_into(order + "L", data, link, 0)
            if second:
                _erase_thumbnail(data, second, order)
    except (KeyError, struct.error):
        notes.append("the EXIF block is damaged and was left out")
        return None
    return bytes(data)


def _set_orientation(block: bytes, code: int) -> bytes:
    data = bytearray(block)
    order = _byte_order(data)
    entries, _ = _entries(data, _first(data, order), order)
    for position, tag in entries:
        if tag == ORIENTATION:
            struct.pack_into(order + "HHLHH", data, position, tag, 3, 1, code, 0)
    return bytes(data)


def _set_size(block: bytes, width: int, height: int) -> bytes:
    data, sizes = bytearray(block), {_PIXELS_ACROSS: width, _PIXELS_DOWN: height}
    order = _byte_order(data)
    with suppress(struct.error):  # what is damaged says nothing
        for link, directory in _entries(data, _first(data, order), order)[0]:
            if directory == EXIF_IFD:
                (start,) = struct.unpack_from(order + "L", data, link + 8)
                for position, tag in _entries(data, start, order)[0]:
                    if tag in sizes:
                        struct.pack_into(order + "HHLL", data, position, tag, 4, 1, sizes[tag])
    return bytes(data)


def _byte_order(data: bytearray) -> str:
    return {b"II": "<", b"MM": ">"}[bytes(data[:2])]


def _first(data: bytearray, order: str) -> int:
    (start,) = struct.unpack_from(order + "L", data, 4)
    return int(start)


def _entries(data: bytearray, start: int, order: str) -> tuple[list[tuple[int, int]], int]:
    """Position and tag of each entry of an image file directory, and the position of its link."""
    (count,) = struct.unpack_from(order + "H", data, start)
    positions = [start + 2 + 12 * i for i in range(count)]
    tags = [(p, struct.unpack_from(order + "H", data, p)[0]) for p in positions]
    return tags, start + 2 + 12 * count


def _erase_thumbnail(data: bytearray, start: int, order: str) -> None:
    try:
        entries, _ = _entries(data, start, order)
        value = {tag: struct.unpack_from(order + "L", data, p + 8)[0] for p, tag in entries}
    except struct.error:
        return  # the link to it is gone already
    begin, length = value.get(_THUMBNAIL_OFFSET, 0), value.get(_THUMBNAIL_LENGTH, 0)
    end = min(begin + length, len(data))
    if begin <= start:
        return
    if end == len(data):
        del data[begin:]
    else:
        data[begin:end] = bytes(end - begin)


def _clean_xmp(xmp: bytes | None) -> bytes | None:
    return None if xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>1", xmp.rstrip(b"\0"))


def _tiff_iptc(directory: Any) -> bytes | None:
    """IPTC records of a TIFF directory of Pillow, which may be stored as 32-bit numbers.

    Pillow would cut those to the first. Their bytes are the records, so it is asked for bytes.
    """
    raw = getattr(directory, "_tagdata", {}).get(_IPTC_TAG)
    value = _as_bytes(directory.get(_IPTC_TAG) if raw is None else raw)
    return value if value is not None and value.startswith(_IPTC_MARKER) else None


def _raw_profile(text: str) -> bytes:
    """The bytes of an ImageMagick text profile: a name, a length and hexadecimal lines."""
    fields = text.split()
    try:
        return bytes.fromhex("".join(fields[2:]))
    except ValueError:
        return b""


def _iptc_records(block: bytes) -> bytes | None:
    """The IPTC records of a Photoshop resource block, or of the bare records."""
    if block.startswith(_IPTC_MARKER):
        return block
    position = 0
    while block[position : position + 4] == b"8BIM" and position + 12 <= len(block):
        (resource,) = struct.unpack_from(">H", block, position + 4)
        name = block[position + 6] + 1
        position += 6 + name + name % 2
        if position + 4 > len(block):
            return None
        (size,) = struct.unpack_from(">L", block, position)
        position += 4
        if resource == _IPTC_RESOURCE:
            return block[position : position + size]
        position += size + size % 2
    return None


def _as_bytes(value: object) -> bytes | None:
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        value = value.encode("utf-8")
    return value if isinstance(value, bytes) and value else None


def _resolution(value: object) -> tuple[float, float] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    x, y = float(value[0]), float(value[1])
    usable = all(math.isfinite(v) and 0.0 < v < 1e6 for v in (x, y))
    return (x, y) if usable else None
