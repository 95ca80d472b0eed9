"""Colours of some pixels, spread over the rest of a grey picture."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

# The linear system is solved at this many pixels at most, a second's work; colour is smooth.
PIXELS = 2**16
# Of the variance of luma around a pixel: below it differences of luma do not part colours.
LEAST_VARIANCE = 1e-4
# The narrower, the less a colour crosses an edge of luma; with 2 a tenth of it does a step.
WIDTH = 0.6
# So that every pixel is tied to its neighbours.
LEAST_WEIGHT = 1e-4
_NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def spread_colours(luma: Tensor, known: Tensor, chroma: Tensor) -> Tensor:
    """Colour every pixel as its neighbours of like luma, from the known colours on.

    Minimises Σ_r (u_r - Σ_s w_rs u_s)² over the eight neighbours s of each pixel r that is not
    known, in its zero, with w_rs ∝ exp(-(Y_r - Y_s)²/(0.6 var_r)).

    Args:
        luma: Y [H, W].
        known: [H, W], true where the chroma is known; somewhere.
        chroma: u [C, H, W], anything linear that is smooth where the luma is.

    Returns:
        [C, H, W]; larger pictures are solved at a whole fraction of their size.

    Source: Levin, Lischinski, Weiss, "Colorization using optimization", SIGGRAPH 2004.
    """
    size = luma.shape
    factor = int(np.ceil((luma.numel() / PIXELS) ** 0.5))
    weight = _reduced(known.to(chroma)[None], factor)
    small = _reduced(chroma * known, factor) / weight.clamp_min(1e-6)
    solved = _solved(
        _reduced(luma[None], factor)[0].cpu().double().numpy(),
        (weight[0] > 0).cpu().numpy(),
        small.cpu().double().numpy(),
    )
    spread = torch.from_numpy(solved).to(chroma)[None]
    if factor > 1:
        full = (factor * spread.shape[-2], factor * spread.shape[-1])
        spread = F.interpolate(spread, full, mode="bilinear")[..., : size[0], : size[1]]
    return torch.where(known, chroma, spread[0])


def _reduced(x: Tensor, factor: int) -> Tensor:
    """Means of factor×factor pixels of [C, H, W]."""
    return F.avg_pool2d(x[None], factor, ceil_mode=True, count_include_pad=False)[0]


def _solved(luma: Array, known: NDArray[np.bool_], chroma: Array) -> Array:
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    height, width = luma.shape
    padded = np.pad(luma, 1, mode="edge")
    inside = np.pad(np.ones_like(luma), 1)
    window = [(slice(1 + i, 1 + i + height), slice(1 + j, 1 + j + width)) for i, j in _NEIGHBOURS]
    around = np.stack([padded[at] for at in window])
    variance = np.concatenate([around, luma[None]]).var(0).clip(LEAST_VARIANCE)
    weights = np.exp(-((around - luma) ** 2) / (WIDTH * variance)).clip(LEAST_WEIGHT)
    weights *= np.stack([inside[at] for at in window]) * ~known
    weights /= weights.sum(0).clip(1e-12)
    number = np.arange(luma.size).reshape(height, width)
    rows, columns, values = [number.ravel()], [number.ravel()], [np.ones(luma.size)]
    for (i, j), weight in zip(_NEIGHBOURS, weights, strict=True):
        used = weight > 0
        rows.append(number[used])
        columns.append((number + i * width + j)[used])
        values.append(-weight[used])
    system = csc_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))))
    right = (chroma * known).reshape(len(chroma), -1)
    return np.asarray(splu(system).solve(right.T).T.reshape(chroma.shape))
