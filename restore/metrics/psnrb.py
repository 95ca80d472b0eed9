"""PSNR-B: a peak signal-to-noise ratio that counts visible block borders."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from restore.metrics.quality import as_pair

BLOCK = 8


def psnrb(picture: ArrayLike, reference: ArrayLike) -> float:
    """PSNR-B of a picture in dB, 10 log10(1 / (MSE + BEF)), the mean over the channels.

    The blocking effect factor BEF = η (D_B − D_C) of the picture alone compares D_B, the mean
    squared difference of neighbours across the borders of 8x8 blocks, with D_C, that of the other
    neighbours; η = log₂ 8 / log₂ min(H, W) where D_B > D_C, otherwise 0. The numbers of pairs are
    the paper's (H·W/8 − 1 across the borders of columns), not counted.

    Args:
        picture: [C, H, W] in [0, 1], at least 9 pixels high and wide.
        reference: the same shape.

    Returns:
        dB; infinity for equal pictures without visible blocks.

    Raises:
        ValueError: shapes that differ, or a picture without block borders.

    Source: Yim, Bovik, "Quality assessment of deblocked images", IEEE TIP 2011, equations 9 to 15.
    """
    a, b = as_pair(picture, reference)
    if min(a.shape[1:]) <= BLOCK:
        raise ValueError(f"psnrb: the picture is {list(a.shape)}; it has no block borders")
    errors = [float(np.mean((x - y) ** 2)) + _blocking(x) for x, y in zip(a, b, strict=True)]
    return float(np.mean([math.inf if e == 0.0 else -10.0 * math.log10(e) for e in errors]))


def _blocking(plane: NDArray[np.float64]) -> float:
    """BEF of one channel [H, W]."""
    border, inner, border_pairs, pairs = 0.0, 0.0, 0.0, 0.0
    for x in (plane, plane.T):
        squares = np.sum(np.diff(x, axis=1) ** 2, axis=0)
        at = np.arange(len(squares)) % BLOCK == BLOCK - 1
        border += float(squares[at].sum())
        inner += float(squares[~at].sum())
        border_pairs += x.size / BLOCK - 1
        pairs += x.shape[0] * (x.shape[1] - 1)
    excess = border / border_pairs - inner / (pairs - border_pairs)
    return max(0.0, excess) * math.log2(BLOCK) / math.log2(min(plane.shape))
