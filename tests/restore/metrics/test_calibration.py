from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit

from restore.metrics import coverage

SHAPE = (3, 60, 70)


def draws(count: int, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples and a truth of one Gaussian for each pixel; the samples' spread is `spread` times."""
    rng = np.random.default_rng(seed)
    mean, std = rng.random(SHAPE), 0.01 + rng.random(SHAPE)
    samples = mean + spread * std * rng.standard_normal((count, *SHAPE))
    return samples, mean + std * rng.standard_normal(SHAPE)


# 12,600 independent pixels: the standard error of a share of 0.9 is 0.0027, and four of them leave
# a false alarm in 16,000 for each case, were the seeds free.
@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("count", [2, 4, 8, 32])
def test_exact_draws_are_covered_at_the_level(count: int, level: float) -> None:
    error = math.sqrt(level * (1 - level) / math.prod(SHAPE))
    assert coverage(*draws(count), level) == pytest.approx(level, abs=4 * error)


@pytest.mark.parametrize("count", [2, 4, 8, 32])
@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_a_wrong_spread_is_noticed(count: int, spread: float) -> None:
    # The interval is k times the one that fits the error of the samples' mean.
    k = spread * math.sqrt((1 + 1 / count) / (1 + spread**2 / count))
    expected = 2 * stdtr(count - 1, k * stdtrit(count - 1, 0.95)) - 1
    found = coverage(*draws(count, spread))
    assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / math.prod(SHAPE)))
    assert (found - 0.9) * (spread - 1) > 0.01


def test_a_bias_is_noticed() -> None:
    samples, truth = draws(8)
    assert coverage(samples + 1, truth) < 0.75


def test_known_pixels_do_not_count() -> None:
    samples, truth = draws(4)
    expected = coverage(samples[..., :30], truth[..., :30])
    # A third: the mean of equal samples is not exactly the sample.
    samples[..., 30:] = truth[..., 30:] = 1 / 3
    assert coverage(samples, truth) == expected
    assert coverage(np.full((3, 1, 2, 2), 0.1), np.full((1, 2, 2), 0.1)) is None


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"samples are \[2, 1, 4, 4\], the truth \[3, 4, 4\]"):
        coverage(np.zeros((2, 1, 4, 4)), np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="1 samples; expected at least 2"):
        coverage(np.zeros((1, 3, 4, 4)), np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="the level is 90"):
        coverage(np.zeros((2, 3, 4, 4)), np.zeros((3, 4, 4)), 90)
