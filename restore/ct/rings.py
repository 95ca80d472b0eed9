"""Rings of an image are stripes of its sinogram: cells that always answer a little differently."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def without_stripes(sinogram: Tensor, width: int = 21) -> Tensor:
    """Return line integrals [..., views, detectors] without stripes along the views.

    The values of each cell are sorted, each rank is smoothed over neighbouring cells by a median,
    and the values go back to their places: what a cell has in all views, and its neighbours do
    not, is gone, while features that move through the views stay.

    Args:
        sinogram: line integrals.
        width: cells of the median, odd; wider than a stripe.

    Raises:
        ValueError: if the width is not odd.

    Source: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray
    micro-tomography", Optics Express 2018, algorithm 3.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"rings: the width of the median is odd, not {width}")
    if sinogram.shape[-1] < 2:
        return sinogram
    ranked, order = sinogram.sort(dim=-2)
    half = width // 2
    flat = ranked.reshape(-1, 1, ranked.shape[-1])
    around = pad(flat, (half, half), mode="replicate").unfold(-1, width, 1)
    smooth = around.median(-1).values.reshape(ranked.shape)
    return sinogram.scatter(-2, order, smooth)
