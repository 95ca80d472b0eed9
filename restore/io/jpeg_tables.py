"""The quantisation tables and the chroma subsampling of a JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_SUBSAMPLING = {(1, 1): 0, (2, 1): 1, (2, 2): 2}
_RGB_IDS = (82, 71, 66)


@dataclass(frozen=True)
class JpegTables:
    """How a JPEG was quantised.

    Attributes:
        tables: one table of 64 divisors for each component, in Pillow's order.
        sampling: horizontal and vertical sampling factor of each component.
        colour: ``grey``, ``ycc``, ``rgb`` (stored without conversion) or ``cmyk``.
        progressive: whether it was written in several scans.
    """

    tables: tuple[tuple[int, ...], ...]
    sampling: tuple[tuple[int, int], ...]
    colour: str
    progressive: bool

    @property
    def subsampling(self) -> int:
        """Pillow's number of the chroma subsampling: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.

        Others (4:4:0, 4:1:1), which Pillow cannot write, give 0, which loses nothing.
        """
        if len(self.sampling) != 3 or self.sampling[1:] != ((1, 1), (1, 1)):
            return 0
        return _SUBSAMPLING.get(self.sampling[0], 0)


def read_tables(image: Image.Image) -> JpegTables:
    """The tables of a JPEG opened by Pillow."""
    jpeg: Any = image
    layers = jpeg.layer
    return JpegTables(
        tables=tuple(tuple(jpeg.quantization[layer[3]]) for layer in layers),
        sampling=tuple((layer[1], layer[2]) for layer in layers),
        colour=_colour(jpeg),
        progressive=bool(image.info.get("progressive", False)),
    )


def _colour(jpeg: Any) -> str:
    """As libjpeg decides (jdapimin.c): JFIF, then the Adobe marker, then the components' names."""
    if jpeg.layers != 3:
        return "grey" if jpeg.layers == 1 else "cmyk"
    if "jfif" in jpeg.info:
        return "ycc"
    if "adobe" in jpeg.info:
        return "rgb" if jpeg.info.get("adobe_transform") == 0 else "ycc"
    return "rgb" if tuple(layer[0] for layer in jpeg.layer) == _RGB_IDS else "ycc"
