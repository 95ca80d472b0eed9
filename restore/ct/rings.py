"""Rings of an image are stripes of its sinogram: cells that always answer a little differently."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

# Cells of the moving average, odd; wider than a stripe.
_WIDTH = 9


def without_stripes(sinogram: Tensor) -> Tensor:
    """Return line integrals [..., views, detectors] without stripes along the views.

    What a cell differs from the moving average of its neighbours, in the median over the views, is
    taken off all its views: features move through the views, a stripe does not. What is centred on
    the axis and round looks like rings, and loses some of its edge.

    Args:
        sinogram: line integrals.

    Source: Boin, Haibel, "Compensation of ring artefacts in synchrotron tomographic images", Optics
    Express 2006, with the median instead of the sum over the views.
    """
    half = _WIDTH // 2
    lines = sinogram.reshape(-1, 1, sinogram.shape[-1])
    average = avg_pool1d(pad(lines, (half, half), mode="replicate"), _WIDTH, 1)
    stripe = (lines - average).reshape(sinogram.shape).median(-2, keepdim=True).values
    return sinogram - stripe
