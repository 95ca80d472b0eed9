"""Charts as SVG: lines, points, arrows and maps of numbers on linear or logarithmic axes."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#2563eb", "#d97706", "#15803d", "#dc2626", "#7c3aed", "#6b7280",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
_WIDTH, _HEIGHT = 380, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 34, 44
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#374151}.title{font-weight:600}"
    ".axis{fill:none;stroke:#9ca3af}.grid{stroke:#e5e7eb}path{fill:none}"
)


@dataclass
class Axis:
    """From values to a share of the axis.

    Attributes:
        low: value at its begin.
        high: value at its end; below `low` for an axis that runs backwards.
        label: what it shows.
        log: equal ratios have equal lengths.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """0 at the begin and 1 at the end."""
        given = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.log:
            given, low, high = np.log(np.maximum(given, 1e-300)), math.log(low), math.log(high)
        return (given - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round numbers on it."""
        low, high = sorted((self.low, self.high))
        if self.log:
            powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            powers = powers[:: 1 + len(powers) // 8]
            factors = (1, 2, 5) if high / low < 50 else (1,)
            return [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        rough = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough)
        count = range(math.ceil(low / step), math.floor(high / step) + 1)
        return [round(i * step, 10) for i in count]


@dataclass
class Chart:
    """One chart; what is added later lies above."""

    x: Axis
    y: Axis
    title: str = ""
    _parts: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str, str]] = field(default_factory=list)

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        colour: str = BLUE,
        *,
        label: str = "",
        width: float = 1.8,
        dashes: str = "",
        opacity: float = 1.0,
        marks: bool = False,
    ) -> None:
        """A line through points, with a dot at each where there are `marks`."""
        places = self._places(x, y)
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        style = f'stroke="{colour}" stroke-width="{width}" stroke-opacity="{opacity}"'
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<path d="M{path}" {style}{dashed}/>')
        if marks:
            self.points(x, y, colour, radius=2.6)
        if label:
            self._legend.append((label, colour, dashes))

    def points(
        self,
        x: ArrayLike,
        y: ArrayLike,
        colour: str = BLUE,
        *,
        label: str = "",
        radius: float = 1.5,
        opacity: float = 1.0,
    ) -> None:
        """Dots; those outside of the axes are left out."""
        dots = "".join(
            f"M{a:.1f} {b:.1f}h0"
            for a, b in self._places(x, y)
            if _LEFT <= a <= _WIDTH - _RIGHT and _TOP <= b <= _HEIGHT - _BOTTOM
        )
        self._parts.append(
            f'<path d="{dots}" stroke="{colour}" stroke-opacity="{opacity}" '
            f'stroke-width="{2 * radius}" stroke-linecap="round"/>'
        )
        if label:
            self._legend.append((label, colour, ""))

    def arrows(
        self, x: ArrayLike, y: ArrayLike, u: ArrayLike, v: ArrayLike, colour: str = BLUE,
        *, label: str = "", width: float = 1.3,
    ) -> None:  # fmt: skip
        """Arrows from (x, y) to (x + u, y + v)."""
        starts = self._places(x, y)
        ends = self._places(np.add(x, u), np.add(y, v))
        path = ""
        for (a, b), (c, d) in zip(starts, ends, strict=True):
            angle, head = math.atan2(d - b, c - a), min(4.0, 0.4 * math.hypot(c - a, d - b))
            wings = [
                (c - head * math.cos(angle + turn), d - head * math.sin(angle + turn))
                for turn in (0.5, -0.5)
            ]
            path += f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}M{wings[0][0]:.1f} {wings[0][1]:.1f}"
            path += f"L{c:.1f} {d:.1f}L{wings[1][0]:.1f} {wings[1][1]:.1f}"
        self._parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{width}"/>')
        if label:
            self._legend.append((label, colour, ""))

    def heat(self, values: ArrayLike) -> None:
        """Numbers from 0 (white) to their largest (blue) [rows, columns], row 0 at the bottom."""
        share = np.asarray(values, np.float64)
        share = (share / share.max())[::-1, :, None]
        colours = 255 - share * (255 - np.array([96, 132, 219]))
        buffer = io.BytesIO()
        Image.fromarray(colours.round().astype(np.uint8)).quantize(48).save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode()
        self._parts.append(
            f'<image x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}" preserveAspectRatio="none" '
            f'href="data:image/png;base64,{data}"/>'
        )

    def svg(self, left: int, top: int, key: int) -> str:
        """The chart as a group that begins there; `key` tells it from others of a figure."""
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        area = f'x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}"'
        grid, labels = "", ""
        for tick in self.x.ticks():
            at = _LEFT + float(self.x.share(tick)) * (right - _LEFT)
            grid += f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>'
            labels += f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in self.y.ticks():
            at = bottom - float(self.y.share(tick)) * (bottom - _TOP)
            grid += f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>'
            labels += f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        centre, middle = (_LEFT + right) / 2, (_TOP + bottom) / 2
        return (
            f'<g transform="translate({left} {top})">'
            f'<clipPath id="c{key}"><rect {area}/></clipPath>'
            f'{grid}<g clip-path="url(#c{key})">{"".join(self._parts)}</g>'
            f'<rect class="axis" {area}/>{labels}'
            f'<text class="title" x="{_LEFT}" y="20">{html.escape(self.title)}</text>'
            f'<text x="{centre}" y="{_HEIGHT - 10}" text-anchor="middle">'
            f"{html.escape(self.x.label)}</text>"
            f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
            f"{html.escape(self.y.label)}</text>{self.legend()[0]}</g>"
        )

    def legend(self) -> tuple[str, int]:
        """What has a name, below the chart; and its height in pixels."""
        at, y, text = float(_LEFT), _HEIGHT + 8, ""
        for label, colour, dashes in self._legend:
            length = 40 + 6.8 * len(label)
            if at + length > _WIDTH and at > _LEFT:
                at, y = float(_LEFT), y + 18
            dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
            text += f'<path d="M{at:.0f} {y}h18" stroke="{colour}" stroke-width="2.5"{dashed}/>'
            text += f'<text x="{at + 23:.0f}" y="{y + 4}">{html.escape(label)}</text>'
            at += length
        return text, y + 16 - _HEIGHT if text else 0

    def _places(self, x: ArrayLike, y: ArrayLike) -> list[tuple[float, float]]:
        across = _LEFT + self.x.share(x) * (_WIDTH - _LEFT - _RIGHT)
        up = _HEIGHT - _BOTTOM - self.y.share(y) * (_HEIGHT - _TOP - _BOTTOM)
        up = np.clip(up, -_HEIGHT, 2 * _HEIGHT)
        return list(zip(np.ravel(across).tolist(), np.ravel(up).tolist(), strict=True))


def write(path: Path, charts: Sequence[Chart], columns: int = 3) -> None:
    """Charts side by side in one file, so many in a row."""
    body, top = "", 0
    for first in range(0, len(charts), columns):
        row = charts[first : first + columns]
        body += "".join(chart.svg(_WIDTH * i, top, first + i) for i, chart in enumerate(row))
        top += _HEIGHT + max(chart.legend()[1] for chart in row)
    width = _WIDTH * min(columns, len(charts))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" '
        f'width="{width}" height="{top}"><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{top}" style="fill:#fff"/>{body}</svg>\n',
        encoding="utf-8",
    )
