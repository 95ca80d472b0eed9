"""Where the slices of a volume lie in the patient, from file to file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]

# Millimetres that no patient is away, and the sine of an angle between axes that are none.
_FAR, _ASLANT = 1e6, 0.1


@dataclass(frozen=True)
class Placement:
    """Positions and directions in DICOM's axes: to the left, to the back, to the head.

    Attributes:
        first: [slices, 3], centre of the first pixel of each slice, mm.
        across: (3,), unit vector from a pixel to that of the next column.
        down: (3,), likewise to that of the next row.
        thickness: [slices] in mm, which need not be their distances; None where nothing says it.
    """

    first: Vectors
    across: Vectors
    down: Vectors
    thickness: Vectors | None = None

    @property
    def normal(self) -> Vectors:
        """(3,), unit vector in whose direction slices are counted."""
        return np.cross(self.across, self.down)

    def taken(self, slices: Sequence[int]) -> Placement:
        """Of some of the slices, by number."""
        chosen = list(slices)
        thickness = None if self.thickness is None else self.thickness[chosen]
        return replace(self, first=self.first[chosen], thickness=thickness)

    def resized(
        self, was: tuple[float, float], size: tuple[int, int], new_size: tuple[int, int]
    ) -> Placement:
        """Of the same field of view on another grid, whose pixels have other centres.

        Args:
            was: mm of a pixel, (rows, columns).
            size: (rows, columns).
            new_size: likewise, of the other grid.
        """
        rows, columns = (
            side * (old / new - 1) / 2 for side, old, new in zip(was, size, new_size, strict=True)
        )
        return replace(self, first=self.first + rows * self.down + columns * self.across)


def placed(first: Vectors, across: Vectors, down: Vectors) -> Placement | None:
    """What a file says, with axes of any length; None where that is no place of a volume."""
    everything = np.concatenate([first.ravel(), across, down])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if not np.isfinite(everything).all() or np.abs(first).max() > _FAR or min(lengths) == 0:
        return None
    found = Placement(first, across / lengths[0], down / lengths[1])
    upright = np.linalg.norm(found.normal) > _ASLANT
    apart = len(first) == 1 or abs((first[-1] - first[0]) @ found.normal) > 1 / _FAR
    return found if upright and apart else None


def placed_around(
    middles: Vectors,
    axes: Vectors,
    spacing: tuple[float, float, float] | None,
    size: tuple[int, ...],
) -> Placement | None:
    """Of images whose middle pixels are at [slices, 3]; None where a file says no place.

    Args:
        middles: mm.
        axes: directions of rows, columns and, for a volume, slices, which have to be orthonormal.
        spacing: mm of a pixel along these.
        size: (rows, columns).
    """
    known = np.isfinite(axes).all() and np.allclose(axes @ axes.T, np.eye(len(axes)), atol=1e-3)
    if spacing is None or not known:
        return None
    down, across = axes[:2]
    corner = size[0] // 2 * spacing[0] * down + size[1] // 2 * spacing[1] * across
    return placed(middles - corner, across, down)


def standard_placement(slices: int, thickness: float) -> Placement:
    """Of axial slices from 0 on, seen from the feet, where nothing else is known."""
    across, down = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    steps = np.arange(slices)[:, None] * thickness
    return Placement(steps * np.array([0, 0, 1.0]), across, down)
