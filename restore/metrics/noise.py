"""The noise level of a picture, estimated from the picture alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

# Daubechies' wavelet with two vanishing moments (Daubechies 1988): blind to constants and slopes.
_ROOT = math.sqrt(3.0)
_DETAIL = np.array([1.0 - _ROOT, _ROOT - 3.0, 3.0 + _ROOT, -1.0 - _ROOT]) / (4.0 * math.sqrt(2.0))
# Median and first quartile of the absolute value of a standard normal.
_MEDIAN = 0.6744897501960817
_QUARTILE = 0.31863936396437514
LEAST_SIDE = len(_DETAIL)
"""Of a picture in pixels, for there to be an estimate."""

# Of the patches whose spectrum colour pictures are judged by: their side, the largest of which
# there are enough, and how many.
_PATCH = 8
_PATCHES_WITH_HOLES = (8, 4, 2)
_PATCHES = 50_000
# So many coefficients tell σ to about a tenth; with fewer than the second, to no more than a third.
_ENOUGH = 128
_FEWEST = 12
# Below this, or this share of the wavelets' estimate, the noise was not the same in all channels.
_LEAST = 1.5 / 255
_LEAST_SHARE = 0.25


def estimate_noise(pixels: ArrayLike, known: ArrayLike | None = None) -> float:
    """Standard deviation of white Gaussian noise, the mean over channels.

    The median of the absolute values of the finest diagonal wavelet coefficients, divided by 0.6745
    (Donoho and Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage"). Coefficients that
    are exactly zero, as a painted area gives them, are left out.

    Fine texture counts as noise there. It is alike in the three colours and noise is not: so of a
    colour picture the eigenvalues of the covariance of its patches are taken, of which all that
    hold nothing but noise are σ² (Chen, Zhu, Heng, ICCV 2015; the wavelets first scale the channels
    to equal noise). Where that finds hardly any, as after the coarser colours of a JPEG, the
    wavelets' estimate stands.

    Where pixels are missing, what touches one is left out; where they are so scattered that too
    little is left, squares of 2×2 pixels stand for wavelets and patches.

    Bias: noise that was clipped at black and white, smoothed, enlarged or compressed by JPEG is
    underestimated. On twenty photographs of the Berkeley set, in units of 1/255, 0 gives 3.1 (0.5
    to 7), 2 gives 2.1 (2.0 to 2.7), 5 gives 4.96 (4.8 to 5.0), 15 gives 14.6, 25 gives 23.9 and 50,
    clipped, 45. By the wavelets alone, as of one channel, 2 gives 4.4 (2 to 7), 5 gives 6.9, 15
    gives 15.7.

    Args:
        pixels: [C, H, W] in [0, 1].
        known: [H, W], true where they are known; None is everywhere.

    Returns:
        σ in the units of `pixels`; 0 for a picture with a side below 4 pixels, or a constant one.

    Raises:
        ValueError: another shape, values that are not finite, or too few known pixels side by side.
    """
    values = _with_holes(pixels, known)
    if min(values.shape[1:]) < LEAST_SIDE:
        return 0.0
    sides = _PATCHES_WITH_HOLES if np.isnan(values).any() else (_PATCH,)
    single = np.array([_of_channel(channel) for channel in values])
    found = float(single.mean())
    if len(values) != 3 or not single.all():
        return found
    scaled = values * (found / single)[:, None, None]
    joint = next((joint for side in sides if (joint := _of_colours(scaled, side))), 0.0)
    return joint if joint >= max(_LEAST, _LEAST_SHARE * found) else found


def noise_of_quietest(pixels: ArrayLike, known: ArrayLike | None = None) -> float:
    """Standard deviation that white noise has at most, if it is everywhere in the picture.

    From the first quartile of the wavelet coefficients in the place of their median: letters and
    edges leave it small where a picture is quiet between them, and noise is everywhere.

    Args:
        pixels: [C, H, W] in [0, 1].
        known: [H, W], true where they are known; None is everywhere.

    Returns:
        σ in the units of `pixels`; 0 for a picture with a side below 4 pixels.

    Raises:
        ValueError: another shape, values that are not finite, or too few known pixels side by side.
    """
    values = _with_holes(pixels, known)
    if min(values.shape[1:]) < LEAST_SIDE:
        return 0.0
    sizes = np.concatenate([_coefficients(channel) for channel in values])
    return float(np.quantile(sizes, 0.25)) / _QUARTILE


def _with_holes(pixels: ArrayLike, known: ArrayLike | None) -> NDArray[np.float64]:
    """The pixels, NaN where they are not known."""
    values = np.asarray(pixels, dtype=np.float64)
    if values.ndim != 3:
        raise ValueError(f"the pixels are {list(values.shape)}, expected [C, H, W]")
    if not np.isfinite(values if known is None else values[:, np.asarray(known)]).all():
        raise ValueError("the pixels have values that are not finite")
    return values if known is None else np.where(known, values, np.nan)


def _of_colours(values: NDArray[np.float64], side: int) -> float:
    """σ from the patches of all channels together; 0 where there are too few."""
    if min(values.shape[1:]) < side:
        return 0.0
    every = sliding_window_view(values, (side, side), (1, 2))
    step = math.ceil(math.sqrt(every.shape[1] * every.shape[2] / _PATCHES))
    patches = np.moveaxis(every[:, ::step, ::step], 0, 2).reshape(-1, len(values) * side**2)
    patches = patches[np.ptp(patches, axis=1) > 0]  # neither painted areas, nor NaN
    if len(patches) < 4 * patches.shape[1]:
        return 0.0
    eigenvalues = np.linalg.eigvalsh(np.cov(patches.T)).clip(min=0)
    # Those of pure noise spread evenly around σ²; those of the picture are larger.
    count = next(
        n
        for n in range(len(eigenvalues), 0, -1)
        if np.median(eigenvalues[:n]) >= eigenvalues[:n].mean()
    )
    return math.sqrt(eigenvalues[:count].mean())


def _of_channel(plane: NDArray[np.float64]) -> float:
    sizes = _coefficients(plane)
    # Rounding of the sums leaves 1e-17 where the picture is flat.
    busy = sizes[sizes > 1e-9]
    return 0.0 if busy.size == 0 else float(np.median(busy)) / _MEDIAN


def _coefficients(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute values of the finest diagonal coefficients that touch no NaN."""
    coefficients = np.abs(_detail(_detail(plane).T)).ravel()
    if not np.isnan(plane).any():
        return coefficients
    if np.isfinite(coefficients).sum() < _ENOUGH:
        coefficients = np.abs(np.diff(np.diff(plane), axis=0)).ravel() / 2
    coefficients = coefficients[np.isfinite(coefficients)]
    if coefficients.size < _FEWEST:
        raise ValueError("too few known pixels lie side by side")
    return coefficients


def _detail(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every second detail coefficient along the rows' direction, without the borders."""
    count = (plane.shape[1] - LEAST_SIDE) // 2 + 1
    parts = [w * plane[:, k : k + 2 * count - 1 : 2] for k, w in enumerate(_DETAIL)]
    total: NDArray[np.float64] = np.sum(parts, axis=0)
    return total
