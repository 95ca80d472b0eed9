"""Sampling patterns: which positions of k-space are measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pattern = NDArray[np.bool_]

LINES = ("equispaced", "random", "gaussian1d")
"""Kinds that keep whole columns."""

_SEARCH = 9


def make_mask(
    kind: str,
    shape: tuple[int, int],
    acceleration: float,
    *,
    center_fraction: float = 0.08,
    seed: int = 0,
) -> Tensor:
    """Return a mask [H, W] that keeps 1/acceleration of the positions, the middle among them.

    Args:
        kind: `equispaced`, `random` or `gaussian1d` (whole columns), `poisson` (a disk of its own
            around each sample, wider towards the edges) or `radial` (spokes on the grid).
        shape: (H, W); DC is at (H // 2, W // 2).
        acceleration: From 1.
        center_fraction: Of the columns, or of each side, that is sampled without a gap.
        seed: Any integer from 0.

    Raises:
        ValueError: If there is no such kind, or the middle alone is more than is to be kept.
    """
    if kind not in KINDS:
        raise ValueError(f"mask {kind!r}: unknown; expected one of {', '.join(KINDS)}")
    if not acceleration >= 1 or not 0 <= center_fraction <= 1:
        raise ValueError(
            f"acceleration {acceleration:g} with a centre of {center_fraction:g}: expected an "
            "acceleration from 1 and a fraction from 0 to 1"
        )
    rng = np.random.default_rng(seed)
    pattern = KINDS[kind](shape, acceleration, center_fraction, rng)
    return torch.from_numpy(np.array(np.broadcast_to(pattern, shape)))


def _middle(side: int, fraction: float) -> slice:
    """The positions around DC, of which there are `fraction` · side."""
    count = round(side * fraction)
    first = side // 2 - count // 2
    return slice(first, first + count)


def _lines(
    shape: tuple[int, int],
    acceleration: float,
    fraction: float,
    chosen: Callable[[NDArray[np.int64], int], NDArray[np.int64]],
) -> Pattern:
    """Columns: the middle, and as many of the others as are wanted."""
    width = shape[1]
    kept = np.zeros(width, dtype=bool)
    kept[_middle(width, fraction)] = True
    wanted = max(1, round(width / acceleration)) - int(kept.sum())
    if wanted < 0:
        raise ValueError(
            f"a centre of {int(kept.sum())} of {width} lines is more than the "
            f"{width / acceleration:.0f} of acceleration {acceleration:g}; expected a smaller "
            "center fraction"
        )
    others = np.flatnonzero(~kept)
    kept[chosen(others, min(wanted, len(others)))] = True
    return kept[None]


def _equispaced(
    shape: tuple[int, int], acceleration: float, fraction: float, rng: np.random.Generator
) -> Pattern:
    def chosen(others: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        offset = rng.random()
        places = ((np.arange(count) + offset) * len(others) / max(count, 1)).astype(int)
        spaced: NDArray[np.int64] = others[places]
        return spaced

    return _lines(shape, acceleration, fraction, chosen)


def _random(
    shape: tuple[int, int], acceleration: float, fraction: float, rng: np.random.Generator
) -> Pattern:
    return _lines(
        shape, acceleration, fraction, lambda others, n: rng.choice(others, n, replace=False)
    )


def _gaussian(
    shape: tuple[int, int], acceleration: float, fraction: float, rng: np.random.Generator
) -> Pattern:
    def chosen(others: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        distance = (others - shape[1] // 2) / (shape[1] / 5)
        weight = np.exp(-0.5 * distance**2) + 1e-6
        return rng.choice(others, count, replace=False, p=weight / weight.sum())

    return _lines(shape, acceleration, fraction, chosen)


def _poisson(
    shape: tuple[int, int], acceleration: float, fraction: float, rng: np.random.Generator
) -> Pattern:
    """Darts in random order, each of which keeps others off its disk; the size is searched for."""
    height, width = shape
    middle = np.zeros(shape, dtype=bool)
    middle[_middle(height, fraction), _middle(width, fraction)] = True
    wanted = round(height * width / acceleration)
    order = rng.permutation(height * width)
    rows, columns = np.divmod(order, width)
    radius = np.hypot((rows - height // 2) / (height / 2), (columns - width // 2) / (width / 2))
    if int(middle.sum()) > wanted:
        raise ValueError(
            f"a centre of {int(middle.sum())} positions is more than the {wanted} of acceleration "
            f"{acceleration:g}; expected a smaller center fraction"
        )

    def thrown(scale: float) -> Pattern:
        kept, blocked = middle.copy(), middle.copy()
        for row, column, far in zip(rows.tolist(), columns.tolist(), radius.tolist(), strict=True):
            if blocked[row, column]:
                continue
            kept[row, column] = True
            reach = scale * (1 + 2 * far)
            side = int(reach)
            top, left = max(row - side, 0), max(column - side, 0)
            window = blocked[top : row + side + 1, left : column + side + 1]
            y = np.arange(top, top + window.shape[0])[:, None] - row
            x = np.arange(left, left + window.shape[1]) - column
            window |= y * y + x * x <= reach * reach
        return kept

    low, high = 0.0, float(max(shape))
    kept = thrown(low)
    for _ in range(_SEARCH):
        scale = min((low + high) / 2, 2 * max(low, 0.5))
        kept = thrown(scale)
        low, high = (scale, high) if int(kept.sum()) > wanted else (low, scale)
    return _exactly(kept, middle, wanted, rng)


def _radial(
    shape: tuple[int, int], acceleration: float, fraction: float, rng: np.random.Generator
) -> Pattern:
    """Spokes by the golden angle, as many as it takes."""
    height, width = shape
    kept = np.zeros(shape, dtype=bool)
    kept[_middle(height, fraction), _middle(width, fraction)] = True
    middle, wanted = kept.copy(), round(height * width / acceleration)
    along = np.linspace(-1, 1, 2 * max(shape))
    angle = rng.uniform(0, np.pi)
    for _ in range(8 * max(shape)):
        if int(kept.sum()) >= wanted:
            break
        rows = np.rint(height // 2 + along * np.sin(angle) * height / 2).astype(int)
        columns = np.rint(width // 2 + along * np.cos(angle) * width / 2).astype(int)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        kept[rows[inside], columns[inside]] = True
        angle += np.pi * (np.sqrt(5) - 1) / 2
    return _exactly(kept, middle, wanted, rng)


def _exactly(kept: Pattern, middle: Pattern, wanted: int, rng: np.random.Generator) -> Pattern:
    """Take away, or add, positions at random until there are as many as wanted."""
    surplus = int(kept.sum()) - wanted
    candidates = np.flatnonzero(kept & ~middle if surplus > 0 else ~kept)
    changed = rng.choice(candidates, min(abs(surplus), len(candidates)), replace=False)
    kept.flat[changed] = surplus <= 0
    return kept


KINDS: dict[str, Callable[[tuple[int, int], float, float, np.random.Generator], Pattern]] = {
    "equispaced": _equispaced,
    "random": _random,
    "gaussian1d": _gaussian,
    "poisson": _poisson,
    "radial": _radial,
}
