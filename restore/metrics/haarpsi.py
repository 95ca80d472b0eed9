"""HaarPSI: a similarity of pictures that goes along with what people see."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from restore.metrics.quality import as_pair

# The paper's constants, for values from 0 to 255.
_C, _ALPHA = 30.0, 4.2
# NTSC's luma and the two chroma of red, green and blue.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_SMALLEST = 16

Planes = NDArray[np.float64]


def haarpsi(picture: ArrayLike, reference: ArrayLike) -> float | None:
    """Haar wavelet-based perceptual similarity index.

    Both pictures are averaged over 2x2 pixels. With g_jk the responses of luma to Haar filters of
    2^j x 2^j pixels (k: horizontal, vertical) and S(a, b) = (2ab + C)/(a² + b² + C),

        HaarPSI = [l⁻¹(Σ W_k l(HS_k) / Σ W_k)]²,  l(t) = 1/(1 + exp(-αt)),
        HS_k = ½ Σ_{j=1,2} S(|g_jk(picture)|, |g_jk(reference)|),
        W_k = max(|g_3k(picture)|, |g_3k(reference)|),

    the sums over pixels and k. A colour picture has a third map: S of the absolute chroma I and Q,
    averaged over 2x2 pixels and each other, weighted by the mean of W_1 and W_2. C = 30 for values
    up to 255, α = 4.2. Outside a picture is zero, as in the authors' programs.

    Args:
        picture: [C, H, W] in [0, 1], grey or red, green and blue.
        reference: the same shape.

    Returns:
        in [0, 1], 1 for equal pictures; None for a picture with a side below 16 pixels, where the
        largest filter does not fit.

    Raises:
        ValueError: shapes that differ, or another number of channels.

    Source: Reisenhofer, Bosse, Kutyniok, Wiegand, "A Haar wavelet-based perceptual similarity index
    for image quality assessment", Signal Processing: Image Communication 61, 2018.
    """
    a, b = as_pair(picture, reference)
    if a.shape[0] not in (1, 3):
        raise ValueError(f"haarpsi: the picture is {list(a.shape)}; expected 1 or 3 channels")
    if min(a.shape[1:]) < _SMALLEST:
        return None
    a, b = _viewed(a), _viewed(b)
    similarities, weights = [], []
    for turned in (False, True):
        x, y = (plane[0].T if turned else plane[0] for plane in (a, b))
        fine = [_similar(_edges(x, side), _edges(y, side)) for side in (2, 4)]
        coarse = np.maximum(_edges(x, 8), _edges(y, 8))
        similarities.append(_turned(np.mean(fine, axis=0), turned))
        weights.append(_turned(coarse, turned))
    if len(a) == 3:
        chroma = [
            _similar(np.abs(_means(x)), np.abs(_means(y)))
            for x, y in zip(a[1:], b[1:], strict=True)
        ]
        similarities.append(np.mean(chroma, axis=0))
        weights.append(np.mean(weights, axis=0))
    total = float(np.sum(weights))
    if total == 0.0:  # both are black
        return 1.0
    # l(t) = (1 + tanh(αt/2))/2: the mean of tanh needs no care near 1.
    mean = float(np.sum(np.tanh(0.5 * _ALPHA * np.array(similarities)) * weights)) / total
    return float(min(1.0, (np.arctanh(mean) * 2 / _ALPHA) ** 2))


def _viewed(pixels: Planes) -> Planes:
    """Luma, and chroma if there are colours, of 0 to 255, averaged over 2x2 and subsampled."""
    values = 255.0 * pixels
    planes = np.tensordot(_YIQ, values, 1) if len(values) == 3 else values
    return np.stack([_means(plane)[::2, ::2] for plane in planes])


def _means(plane: Planes) -> Planes:
    """Mean of each pixel and its neighbours to the right, below and both."""
    taps = np.array([0.5, 0.5])
    return _correlated(_correlated(plane, taps, 0), taps, 1)


def _edges(plane: Planes, side: int) -> Planes:
    """Absolute response to the Haar filter of side x side pixels across a horizontal edge."""
    box = np.ones(side)
    step = np.repeat([-1.0, 1.0], side // 2) / side
    return np.abs(_correlated(_correlated(plane, step, 0), box, 1))


def _correlated(plane: Planes, taps: Planes, axis: int) -> Planes:
    """Correlation with an even number of taps, the centre before the middle, zero outside."""
    from scipy.ndimage import correlate1d

    filtered: Planes = correlate1d(plane, taps, axis, mode="constant", origin=-1)
    return filtered


def _similar(a: Planes, b: Planes) -> Planes:
    return (2 * a * b + _C) / (a * a + b * b + _C)


def _turned(plane: Planes, back: bool) -> Planes:
    return plane.T if back else plane
