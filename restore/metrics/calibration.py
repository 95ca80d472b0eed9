"""Calibration: whether the spread of a posterior's samples is the size of their error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.9


def coverage(samples: ArrayLike, truth: ArrayLike, level: float = LEVEL) -> float | None:
    """Share of the true values within the prediction interval that the samples give.

    With the mean m and the standard deviation s of N samples (N - 1 in its denominator), a further
    draw of a Gaussian lies with probability `level` in

        m ± t s √(1 + 1/N),  t the (1 + level)/2 quantile of Student's law with N - 1 degrees.

    A sampler of the posterior therefore gives `level` for any N where posteriors are Gaussian; less
    means samples that are too sure, or biased. Only values whose samples differ count: not the
    known pixels of an inpainted picture, nor those that are black or white in all samples.

    Args:
        samples: [N, C, H, W], N ≥ 2.
        truth: [C, H, W].
        level: between 0 and 1.

    Returns:
        from 0 to 1, or None where no samples differ.

    Raises:
        ValueError: shapes that do not fit, fewer than two samples, or another level.

    Source: Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.2 (the posterior
    predictive law of a Gaussian).
    """
    from scipy.special import stdtrit

    drawn, true = np.asarray(samples, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if true.ndim != 3 or drawn.shape[1:] != true.shape:
        raise ValueError(
            f"coverage: samples are {list(drawn.shape)}, the truth {list(true.shape)}; "
            "expected [N, C, H, W] and [C, H, W]"
        )
    count = len(drawn)
    if count < 2:
        raise ValueError(f"coverage: {count} samples; expected at least 2")
    if not 0 < level < 1:
        raise ValueError(f"coverage: the level is {level}; expected between 0 and 1")
    # Not by s > 0: the mean of equal numbers may be rounded.
    differ = (drawn != drawn[0]).any(axis=0)
    if not differ.any():
        return None
    drawn, true = drawn[:, differ], true[differ]
    width = float(stdtrit(count - 1, (1 + level) / 2)) * math.sqrt(1 + 1 / count)
    inside = np.abs(true - drawn.mean(axis=0)) <= width * drawn.std(axis=0, ddof=1)
    return float(inside.mean())
