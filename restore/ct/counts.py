"""From counts of a detector to line integrals, and the noise of both."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

# A cell whose flat field has less than this share of the median is dead.
_DEAD = 0.05
# A zinger exceeds its neighbours, in the row and in the view, by this share and so many deviations.
_EXCESS, _DEVIATIONS = 0.25, 8.0
_FEWEST_VIEWS = 5
# Of the detector at either end, and of how much brighter it is there where it saw an open beam.
_END, _BRIGHTER = 0.02, 1.2
# The least transmission: what is darker gives no larger line integral.
_LEAST = 1e-5
# Fourth difference of unit norm, blind to cubics.
_DIFFERENCE = torch.tensor([1.0, -4.0, 6.0, -4.0, 1.0], dtype=torch.float64) / 70**0.5
# Median of the absolute value of a standard normal.
_MEDIAN = 0.6744897501960817


def dead_cells(counts: Tensor, flat: Tensor, dark: Tensor) -> Tensor:
    """Return which cells [..., detectors] see no rays, in the flat field or in all views.

    Args:
        counts: [..., views, detectors].
        flat: [..., detectors].
        dark: the same.
    """
    open_beam = flat - dark
    middle = open_beam.median(-1, keepdim=True).values
    brightest = (counts - dark.unsqueeze(-2)).amax(-2)
    dark_cell = brightest < _DEAD * _median(brightest, 5) if counts.shape[-1] >= 5 else False
    return (open_beam <= _DEAD * middle.clamp_min(0)) | dark_cell


def without_zingers(counts: Tensor) -> tuple[Tensor, int]:
    """Replace single bright counts [..., views, detectors] by the median of their row.

    A zinger is a hit of the sensor itself: brighter than the same view beside it and than the same
    cell in the views before and after.

    Returns:
        The counts, and how many were replaced.
    """
    views, detectors = counts.shape[-2:]
    if views < _FEWEST_VIEWS or detectors < _FEWEST_VIEWS:
        return counts, 0
    row = _median(counts, 5)
    column = _median(counts.transpose(-1, -2), 3).transpose(-1, -2)
    expected = torch.maximum(row, column)
    spread = (counts - row).abs().flatten(-2).median(-1).values[..., None, None] / _MEDIAN
    found = counts > expected * (1 + _EXCESS) + _DEVIATIONS * spread
    return torch.where(found, row, counts), int(found.sum())


def look_like_counts(values: Tensor) -> bool:
    """Return whether values [..., detectors] are larger at the ends of the detector than within.

    Counts are, where the beam passes beside the object; line integrals are smallest there.
    """
    cells = values.shape[-1]
    end = max(1, round(_END * cells))
    ends = torch.cat([values[..., :end], values[..., -end:]], dim=-1).mean()
    within = values[..., cells // 4 : cells - cells // 4].mean()
    return bool((within > 0) & (ends > _BRIGHTER * within))


def line_integrals(counts: Tensor, flat: Tensor, dark: Tensor) -> tuple[Tensor, int]:
    """Return -log((counts - dark) / (flat - dark)) [..., views, detectors], and how many are cut.

    What is at or below the dark field is cut to a transmission of 1e-5.
    """
    open_beam = (flat - dark).unsqueeze(-2)
    share = (counts - dark.unsqueeze(-2)) / torch.where(open_beam > 0, open_beam, 1)
    cut = (share < _LEAST) & (open_beam > 0)
    return -share.clamp_min(_LEAST).log(), int(cut.sum())


def without_cells(sinogram: Tensor, dead: Tensor) -> Tensor:
    """Fill cells [..., detectors] of a sinogram by the line between their living neighbours."""
    filled = sinogram.flatten(0, -3).clone()
    for lines, gone in zip(filled, dead.reshape(-1, dead.shape[-1]), strict=True):
        alive = (~gone).nonzero().flatten()
        for cell in gone.nonzero().flatten().tolist():
            after = int(torch.searchsorted(alive, cell))
            left = int(alive[max(after - 1, 0)])
            right = int(alive[min(after, len(alive) - 1)])
            share = 0.0 if left == right else (cell - left) / (right - left)
            lines[:, cell] = (1 - share) * lines[:, left] + share * lines[:, right]
    return filled.reshape(sinogram.shape)


def sinogram_noise(sinogram: Tensor) -> float:
    """Return σ of white noise in line integrals [..., views, detectors].

    From the median size of fourth differences along the detector, along which a projection is
    smooth but at edges (Donoho, Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994).
    Cells that see nothing but exact zeros are left out.
    """
    detectors = sinogram.shape[-1]
    if detectors < len(_DIFFERENCE):
        return 0.0
    weights, width = _DIFFERENCE.to(sinogram), detectors - len(_DIFFERENCE) + 1
    size = weights[0] * sinogram[..., :width]
    for k, weight in enumerate(weights[1:], 1):
        size += weight * sinogram[..., k : k + width]
    size = size.abs_().flatten()
    size = size[size > 1e-9]
    return float(size.median()) / _MEDIAN if size.numel() else 0.0


def poisson_std(sinogram: Tensor, photons: float) -> Tensor:
    """Return σ of each line integral y from a count of mean I₀ e^(-y): √(e^y / I₀).

    Source: Sauer, Bouman, "A local update strategy for iterative reconstruction from projections",
    1993: the second-order expansion of the Poisson likelihood.
    """
    # No count is below one photon.
    return (sinogram.double().exp() / photons).clamp(max=1).sqrt().to(sinogram)


def poisson_sinogram(sinogram: Tensor, photons: float, generator: torch.Generator) -> Tensor:
    """Return line integrals as measured with so many photons a ray; an empty count is taken as one.

    Args:
        sinogram: the true ones.
        photons: mean count of a ray that meets nothing, I₀.
        generator: of the noise.
    """
    counts = torch.poisson((photons * (-sinogram.double()).exp()), generator=generator)
    return -(counts.clamp_min(1) / photons).log().to(sinogram.dtype)


def binned(values: Tensor, factor: int) -> Tensor:
    """Return means of `factor` neighbouring cells of the last axis; a rest is dropped."""
    whole = values.shape[-1] // factor * factor
    return values[..., :whole].reshape(*values.shape[:-1], -1, factor).mean(-1)


def _median(values: Tensor, width: int) -> Tensor:
    """The median of `width` neighbours along the last axis."""
    half = width // 2
    flat = values.reshape(-1, 1, values.shape[-1])
    around = pad(flat, (half, half), mode="replicate").unfold(-1, width, 1)
    return around.median(-1).values.reshape(values.shape)
