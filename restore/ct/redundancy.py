"""What share a ray has among those along its line, and a view among those of its angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

# Widest taper at the two ends of an arc of views.
_TAPER = math.radians(10)
# A turn is closed if its widest gap is no wider than this many times the second widest.
_CLOSED = 1.5
# Views that are closer than this share of the mean step are of one angle.
_SAME = 0.01
# Of the cells whose mirror image is on the detector, the share at either end that is tapered.
_EDGE = 0.5
# Of c d, so that a ray without a mirror image has the weight 1.
_LEAST = 1e-12

_FULL = 2 * math.pi


@dataclass(frozen=True)
class Arc:
    """The angles of the views on the circle.

    Attributes:
        spans: [views] in radians, half the gaps to the neighbours; views of one angle share them.
        start: of the arc, half a gap before its first view.
        length: of the arc, 2π if it is closed.
        closed: whether it is a whole turn.
    """

    spans: Tensor
    start: float
    length: float
    closed: bool

    @classmethod
    def of(cls, angles: Tensor) -> Arc:
        """The arc of angles [views] in radians, float64, in any order."""
        turn = angles.remainder(_FULL).sort().values
        before = torch.cat([turn[:1] + _FULL - turn[-1:], turn.diff()])
        first = float(turn[before.argmax()])
        place, order = (angles - first).remainder(_FULL).sort()
        apart = place.diff() > _SAME * _FULL / len(angles)
        group = torch.cat([apart.new_zeros(1), apart]).cumsum(0)
        count = group.bincount()
        middle = torch.zeros(len(count), dtype=place.dtype).index_add(0, group, place) / count
        gaps = middle.diff()
        rest = _FULL - (middle[-1:] - middle[:1])
        closed = len(gaps) > 0 and float(rest) <= _CLOSED * float(gaps.max())
        # One view stands for half a turn.
        ends = (rest, rest) if closed else (gaps[:1], gaps[-1:]) if len(gaps) else (rest / 2,) * 2
        share = (torch.cat([ends[0], gaps]) + torch.cat([gaps, ends[1]])) / 2
        spans = torch.empty_like(place)
        spans[order] = (share / count)[group]
        start = first + float(middle[0]) - float(ends[0]) / 2
        return cls(spans, start, float(share.sum()), closed)

    def window(self, angles: Tensor) -> Tensor:
        """1 on the arc, falling to 0 at its ends and beyond; 1 throughout a closed turn."""
        if self.closed:
            return torch.ones_like(angles)
        taper = min(_TAPER, self.length / 4)
        place = (angles - self.start).remainder(_FULL)
        end = torch.minimum(place, self.length - place).clamp(0, taper)
        return (math.pi / 2 * end / taper).sin().square()


def centred(arc: Arc, sinogram: Tensor, middle: float) -> tuple[Tensor, float]:
    """Add cells of 0 where the mirror image of a detector lies whose middle is off the axis.

    What the filter spreads there belongs to the image of a whole turn. Of less, or of an axis
    within a cell of the middle, nothing is added.

    Args:
        arc: of the angles.
        sinogram: `[..., detectors]`.
        middle: index of the cell on the axis.

    Returns:
        The longer views, and the index of the cell on the axis in them.
    """
    more = math.ceil(sinogram.shape[-1] - 1 - 2 * middle)
    if not arc.closed or abs(more) <= 1:
        return sinogram, middle
    return pad(sinogram, (max(more, 0), max(-more, 0))), middle + max(more, 0)


def covered(cells: Tensor, detectors: int, middle: float) -> Tensor:
    """1 on the detector, falling to 0 at the end that is nearer to the axis, and beyond.

    1 everywhere if the ends are as near as one cell: every ray then has its mirror image.

    Args:
        cells: any shape, places from the axis in cells.
        detectors: number of cells.
        middle: index of the cell on the axis.
    """
    below, above = middle + 0.5, detectors - 0.5 - middle
    near, inward = (below, cells) if below < above else (above, -cells)
    if abs(below - above) <= 1:
        return torch.ones_like(cells)
    place = (near + inward).clamp_min(0)
    taper = max(_EDGE * near, 0.5)
    return (math.pi / 2 * (place / taper).clamp_max(1)).sin().square()


def ray_weights(arc: Arc, angles: Tensor, gamma: Tensor, detectors: int, middle: float) -> Tensor:
    """Return Δt w `[views, detectors]`: the share of each ray among those along its line.

    w = c(t) d(s)/(c(t) d(s) + c(t') d(−s)), with t' = t − 2γ + π the view whose cell −s sees the
    line from the other side, c a window that falls to 0 at the ends of the arc of views, and d one
    that falls to 0 at the end of a detector whose middle is off the axis: w is ½ throughout a full
    turn with the axis in the middle, and 1 where a line is seen once.

    Args:
        arc: of the angles.
        angles: `[views]` in radians, in any order.
        gamma: `[detectors]`, angles of the rays to the central one; 0 of parallel rays.
        detectors: number of cells.
        middle: index of the cell on the axis.

    Source: Noo, Defrise, Clackdoyle, Kudo, "Image reconstruction from fan-beam projections on
    less than a short scan", Physics in Medicine and Biology 2002; Parker 1982 for the purpose;
    Wang, "X-ray micro-CT with a displaced detector array", Medical Physics 2002, for d.
    """
    cells = torch.arange(detectors, dtype=torch.float64) - middle
    # Views of one angle may lie a little before the arc.
    own = (arc.window(angles)[:, None] * covered(cells, detectors, middle)).clamp_min(_LEAST)
    mirror = arc.window(angles[:, None] - 2 * gamma + math.pi) * covered(-cells, detectors, middle)
    return arc.spans[:, None] * own / (own + mirror)
