"""Windows around the holes of a picture: inpainting computes nothing elsewhere."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore.noise import CELL

# Pixels around a hole: what lies farther off changes the bundled network's answer by 1e-6 at most.
MARGIN = 64


class Window(NamedTuple):
    """A rectangle of a picture, as slices of its rows and columns; it begins at multiples of 32."""

    rows: slice
    columns: slice

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the first pixel."""
        return self.rows.start, self.columns.start

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def windows_around(hole: NDArray[np.bool_]) -> list[Window]:
    """Disjoint windows that hold every hole with 64 pixels around it.

    Fewer where the picture ends. Holes whose surroundings meet share a window.

    Args:
        hole: [H, W], true where pixels are missing.
    """
    from scipy.ndimage import binary_dilation, find_objects, label

    height, width = hole.shape
    grid = np.zeros((math.ceil(height / CELL), math.ceil(width / CELL)), np.bool_)
    rows, columns = np.nonzero(hole)
    grid[rows // CELL, columns // CELL] = True
    reach = 2 * math.ceil(MARGIN / CELL) + 1
    grown = binary_dilation(grid, np.ones((reach, reach)))
    boxes = [
        (place[0].start, place[0].stop, place[1].start, place[1].stop)
        for place in find_objects(label(grown, np.ones((3, 3)))[0])
    ]
    return [
        Window(
            slice(top * CELL, min(bottom * CELL, height)),
            slice(left * CELL, min(right * CELL, width)),
        )
        for top, bottom, left, right in sorted(_disjoint(boxes))
    ]


def _disjoint(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The boxes with those that overlap joined, until none do."""
    apart: list[tuple[int, int, int, int]] = []
    waiting = list(boxes)
    while waiting:
        box = waiting.pop()
        meeting = next((other for other in apart if _overlap(box, other)), None)
        if meeting is None:
            apart.append(box)
            continue
        apart.remove(meeting)
        waiting.append(
            (
                min(box[0], meeting[0]),
                max(box[1], meeting[1]),
                min(box[2], meeting[2]),
                max(box[3], meeting[3]),
            )
        )
    return apart


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
