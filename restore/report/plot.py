"""Quality against evaluations of the network, as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

WIDTH, HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 190, 36, 48
# Least distance of two labels, in pixels.
_LINE = 15
_TICKS = 6


class _Scale(NamedTuple):
    """From values to pixels, the x axis by its logarithm."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at_x(self, value: float) -> float:
        low, high = map(math.log, self.x)
        return _LEFT + (math.log(value) - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def at_y(self, value: float) -> float:
        low, high = self.y
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


class _Curve(NamedTuple):
    """A method: (evaluations, PSNR) of one sample and of the mean of all; no network, no points."""

    name: str
    points: list[tuple[float, float]]
    level: float
    error: float


def quality_plot(summary: Sequence[Mapping[str, Any]]) -> str:
    """PSNR over evaluations: a small point for one sample, a large one for the mean of all.

    The mean of N samples stands at N times the evaluations of one, since that is its price; its
    bar is one standard error up and down. What uses no network is a dashed line.

    Args:
        summary: a row for each method with `method`, `psnr`, `psnr_sample`, `psnr_se`,
            `evaluations` of one sample and `samples`.

    Returns:
        an `svg` element; empty where no PSNR is known.
    """
    curves = list(_curves(summary))
    if not curves:
        return ""
    scale = _fitted(curves)
    ends = [scale.at_y(curve.level) for curve in curves]
    labels = zip(curves, ends, _apart(ends), strict=True)
    parts = [*_axes(scale), *(_drawn(curve, scale, at) for curve, _, at in labels)]
    title = "PSNR against evaluations of the network"
    head = f'<text class="title" x="{_LEFT}" y="18">{title}</text>'
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f"{head}{''.join(parts)}</svg>"
    )


def _curves(summary: Sequence[Mapping[str, Any]]) -> Iterator[_Curve]:
    for row in summary:
        if row["psnr"] is None:
            continue
        points: list[tuple[float, float]] = []
        if row["evaluations"]:
            samples = row["samples"]
            if samples > 1 and row["psnr_sample"] is not None:
                points.append((row["evaluations"], row["psnr_sample"]))
            points.append((row["evaluations"] * samples, row["psnr"]))
        yield _Curve(row["method"], points, row["psnr"], row["psnr_se"] or 0.0)


def _fitted(curves: Sequence[_Curve]) -> _Scale:
    across = [x for curve in curves for x, _ in curve.points] or [1.0]
    up = [y for curve in curves for _, y in curve.points]
    up += [curve.level + sign * curve.error for curve in curves for sign in (-1, 1)]
    margin = max(0.05 * (max(up) - min(up)), 0.1)
    return _Scale((min(across) / 1.3, max(across) * 1.3), (min(up) - margin, max(up) + margin))


def _axes(scale: _Scale) -> Iterator[str]:
    left, right, bottom = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM
    yield f'<path class="axis" d="M{left} {_TOP}V{bottom}H{right}"/>'
    for value in _even_ticks(*scale.y):
        y = scale.at_y(value)
        yield f'<path class="grid" d="M{left} {y:.1f}H{right}"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for count in _round_ticks(*scale.x):
        x = scale.at_x(count)
        yield f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{count:g}</text>'
    middle = (left + right) / 2
    yield (
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">evaluations for an input</text>'
    )
    centre = (_TOP + bottom) / 2
    yield (
        f'<text transform="translate(14 {centre}) rotate(-90)" text-anchor="middle">PSNR, dB</text>'
    )


def _drawn(curve: _Curve, scale: _Scale, label: float) -> str:
    y, right = scale.at_y(curve.level), WIDTH - _RIGHT
    name = html.escape(curve.name)
    text = f'<text x="{right + 22}" y="{label + 4:.1f}">{name}</text>'
    if not curve.points:
        line = f'<path class="classical" d="M{_LEFT} {y:.1f}H{right}L{right + 18} {label:.1f}"/>'
        return f"<g><title>{name}: {curve.level:.2f} dB, no network</title>{line}{text}</g>"
    places = [(scale.at_x(x), scale.at_y(value)) for x, value in curve.points]
    path = "L".join(f"{x:.1f} {top:.1f}" for x, top in places)
    x = places[-1][0]
    low, high = (scale.at_y(curve.level + sign * curve.error) for sign in (-1, 1))
    small = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5"/>' for a, b in places[:-1])
    evaluations = curve.points[-1][0]
    return (
        f"<g><title>{name}: {curve.level:.2f} dB, {evaluations:g} evaluations</title>"
        f'<path class="leader" d="M{x:.1f} {y:.1f}L{right + 18} {label:.1f}"/>'
        f'<path class="curve" d="M{path}M{x:.1f} {low:.1f}V{high:.1f}"/>'
        f'{small}<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>{text}</g>'
    )


def _apart(places: Sequence[float]) -> list[float]:
    """The places moved as little as need be, so that labels do not overlap."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved, last = list(places), -math.inf
    for i in order:
        last = moved[i] = max(places[i], last + _LINE)
    last = HEIGHT - _BOTTOM + _LINE
    for i in reversed(order):
        last = moved[i] = min(moved[i], last - _LINE)
    return moved


def _even_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def _round_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten; every whole number where there is none."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside or [round(math.sqrt(low * high))]
