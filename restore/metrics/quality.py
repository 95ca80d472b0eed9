"""PSNR and SSIM of pictures in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5


def psnr(picture: ArrayLike, reference: ArrayLike) -> float:
    """Peak signal-to-noise ratio, 10 log10(1 / mean squared difference) over all channels.

    Args:
        picture: [C, H, W] in [0, 1]; the picture as written (`restore.io.levels.as_written`).
        reference: the same shape.

    Returns:
        dB; infinity for equal pictures (JSON has no infinity: write null or a string).

    Raises:
        ValueError: shapes that differ.
    """
    a, b = as_pair(picture, reference)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def ssim(picture: ArrayLike, reference: ArrayLike) -> float | None:
    """Structural similarity (Wang et al. 2004), the mean over pixels and channels.

    Gaussian window of 11 taps with σ = 1.5, population covariance, data range 1, as in the paper
    and unlike scikit-image's and torchmetrics' defaults.

    Args:
        picture: [C, H, W] in [0, 1].
        reference: the same shape.

    Returns:
        up to 1, or None for a picture with a side below 11 pixels, where no window fits.

    Raises:
        ValueError: shapes that differ.
    """
    from skimage.metrics import structural_similarity

    a, b = as_pair(picture, reference)
    if min(a.shape[1:]) < SSIM_WINDOW:
        return None
    return float(
        structural_similarity(  # type: ignore[no-untyped-call,unused-ignore]
            a,
            b,
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=_SSIM_SIGMA,
            use_sample_covariance=False,
        )
    )


def as_pair(
    picture: ArrayLike, reference: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two pictures [C, H, W] in double precision.

    Raises:
        ValueError: shapes that differ.
    """
    a, b = np.asarray(picture, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.ndim != 3 or a.shape != b.shape:
        raise ValueError(f"picture is {list(a.shape)}, reference {list(b.shape)}, expected equal")
    return a, b
