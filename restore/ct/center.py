"""The detector index of the axis of rotation, found from a parallel-beam scan itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from operators import ParallelBeamCT
from restore.ct.counts import binned
from restore.ct.fbp import parallel_fbp
from restore.ct.redundancy import Arc

# Cells and views of the scan on which candidates are compared.
_CELLS, _VIEWS = 100, 48
# Largest angle between a view and the mirror image of another that are compared, in radians.
_NEAR = math.radians(3)
_UPSAMPLED = 50
# How many such pairs are registered.
_PAIRS = 5
# Views are cut off where an end of them is brighter than this share of their largest values.
_CUT = 0.05
# Parts of the detector between which the axis is looked for first, and cells at the last.
_COARSE, _FINE = 20, 0.05


@dataclass(frozen=True)
class Center:
    """Where the axis is.

    Attributes:
        index: detector index, the centre of the first cell being 0.
        residual: of a quick reconstruction with it, relative to the scan.
        before: the same with the middle of the detector.
        cut: whether views that are cut off leave it less sure.
    """

    index: float
    residual: float
    before: float
    cut: bool = False

    @property
    def improved(self) -> bool:
        """Whether it explains the scan better than the middle of the detector."""
        return self.residual < self.before


def find_center(sinogram: Tensor, angles: Tensor) -> Center:
    """Find the axis of line integrals [slices, views, detectors].

    Candidates are the registration of views with the mirror image of those half a turn later
    (`skimage.registration.phase_cross_correlation`), and the fit of u = c + a cos t + b sin t to
    the centroids of the views (the first moment of a parallel-beam scan; Helgason, Ludwig). The one
    whose reconstruction explains the scan best is taken. Views that are cut off, as with an axis
    near one end of the detector, have other centroids: of a whole turn of them the axis that
    explains the scan best is looked for all over the detector.
    """
    detectors = sinogram.shape[-1]
    middle = (detectors - 1) / 2
    residual = _Residual(sinogram, angles)
    before = residual(middle)
    cut, closed = _is_cut(sinogram), Arc.of(angles.double()).closed
    centroid = None if cut and closed else _centroid(sinogram, angles)
    candidates = [] if centroid is None else [centroid[0]]
    candidates += _by_mirror(sinogram, angles, (0, 0) if centroid is None else centroid[1:])
    if cut and closed:
        candidates.append(_by_search(residual, detectors))
    inside = [c for c in candidates if 0.1 * detectors < c < 0.9 * detectors]
    best = min([*inside, middle], key=residual)
    return Center(best, residual(best), before, cut and not closed)


def center_residuals(sinogram: Tensor, angles: Tensor, candidates: Sequence[float]) -> list[float]:
    """Return the relative residual of a quick reconstruction for each candidate."""
    residual = _Residual(sinogram, angles)
    return [residual(candidate) for candidate in candidates]


class _Residual:
    """‖A FBP(y) - y‖ / ‖y‖ of a slice at few cells and views, as a function of the axis."""

    def __init__(self, sinogram: Tensor, angles: Tensor) -> None:
        views, detectors = sinogram.shape[-2:]
        self.factor = max(1, detectors // _CELLS)
        kept = torch.arange(0, views, max(1, views // _VIEWS))
        self.line = binned(sinogram[len(sinogram) // 2].index_select(0, kept), self.factor)
        self.angles = angles.index_select(0, kept)
        self.known: dict[float, float] = {}

    def __call__(self, center: float) -> float:
        if center not in self.known:
            self.known[center] = self._of((center + 0.5) / self.factor - 0.5)
        return self.known[center]

    def _of(self, center: float) -> float:
        cells = self.line.shape[-1]
        image = parallel_fbp(self.line, self.angles, (cells, cells), center=center, window="hann")
        operator = ParallelBeamCT((1, cells, cells), self.angles, cells, center=center)
        again = operator(image[None])[0]
        # The reconstruction of few views is too dark or too bright by one factor.
        gain = (again * self.line).sum() / again.square().sum().clamp_min(1e-30)
        return float((gain * again - self.line).norm() / self.line.norm().clamp_min(1e-30))


def _is_cut(sinogram: Tensor) -> bool:
    """Whether the object is seen at an end of the detector."""
    ends = sinogram[..., [0, -1]].mean((0, 1)).max()
    return bool(ends > _CUT * sinogram.amax(-1).mean())


def _by_search(residual: _Residual, detectors: int) -> float:
    """The axis of least residual, of places all over the detector and then nearer and nearer."""
    step = detectors / _COARSE
    best = min((k * step for k in range(2, _COARSE - 1)), key=residual)
    while step > _FINE * residual.factor:
        step /= 2
        best = min((best - step, best, best + step), key=residual)
    return best


def _by_mirror(sinogram: Tensor, angles: Tensor, place: tuple[float, float]) -> list[float]:
    """Register views with mirrored views half a turn later; the median over the pairs, if any.

    Args:
        sinogram: line integrals.
        angles: of the views.
        place: (x, y) of the centroid in cells, for what lies between a pair and half a turn.
    """
    from skimage.registration import phase_cross_correlation

    detectors = sinogram.shape[-1]
    turn = angles.double().numpy()
    off = np.abs((turn[None, :] - turn[:, None]) % (2 * math.pi) - math.pi)
    order = np.argsort(off, axis=None)[: 2 * _PAIRS]
    pairs = np.stack(np.unravel_index(order, off.shape), -1)
    found = []
    for i, j in pairs[off.ravel()[order] < _NEAR].tolist():
        view, mirrored = sinogram[:, i].numpy(), sinogram[:, j].flip(-1).numpy()
        if i > j or not (np.ptp(view) > 0 and np.ptp(mirrored) > 0):
            continue
        shift = phase_cross_correlation(  # type: ignore[no-untyped-call,unused-ignore]
            view, mirrored, upsample_factor=_UPSAMPLED, normalization=None
        )[0]
        between = sum(place[0] * math.cos(turn[k]) + place[1] * math.sin(turn[k]) for k in (i, j))
        found.append((detectors - 1 + float(shift[-1]) - between) / 2)
    return [float(np.median(found))] if found else []


def _centroid(sinogram: Tensor, angles: Tensor) -> tuple[float, float, float] | None:
    """The axis, and (x, y) of the centroid of the object in cells from it."""
    total = sinogram.double().sum((0, 2))
    if len(angles) < 3 or not bool((total > 0).all()):
        return None
    cells = torch.arange(sinogram.shape[-1], dtype=torch.float64)
    places = (sinogram.double().sum(0) * cells).sum(-1) / total
    turn = angles.double()
    columns = torch.stack([torch.ones_like(turn), turn.cos(), turn.sin()], -1)
    axis, x, y = torch.linalg.lstsq(columns, places[:, None]).solution.flatten().tolist()
    return axis, x, y
