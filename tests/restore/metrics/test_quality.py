from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import convolve1d
from skimage.metrics import peak_signal_noise_ratio

from restore.metrics import psnr, ssim


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    reference = rng.random((3, 31, 40))
    return np.clip(reference + rng.normal(0, 0.1, reference.shape), 0, 1), reference


def plain_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of one channel from the paper's formula (Wang et al. 2004, equation 13)."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def mean(x: np.ndarray) -> np.ndarray:
        once = convolve1d(x.astype(np.float64), taps, axis=0)
        return convolve1d(once, taps, axis=1)[5:-5, 5:-5]

    ma, mb = mean(a), mean(b)
    va, vb, cab = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * ma * mb + c1) * (2 * cab + c2)
    return float((top / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


def test_psnr(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert psnr(*pair) == pytest.approx(
        peak_signal_noise_ratio(pair[1].astype(float), pair[0].astype(float), data_range=1)
    )
    assert psnr(np.zeros((1, 1, 1)), np.full((1, 1, 1), 0.1)) == pytest.approx(20.0)
    assert psnr(pair[0], pair[0]) == math.inf


def test_ssim_is_the_papers(pair: tuple[np.ndarray, np.ndarray]) -> None:
    expected = np.mean([plain_ssim(a, b) for a, b in zip(*pair, strict=True)])
    assert ssim(*pair) == pytest.approx(expected, abs=1e-9)
    assert ssim(pair[0], pair[0]) == pytest.approx(1.0)


def test_ssim_of_grey(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair[0][:1], pair[1][:1]
    assert ssim(a, b) == pytest.approx(plain_ssim(a[0], b[0]), abs=1e-9)


@pytest.mark.parametrize(
    ("size", "defined"), [((10, 40), False), ((40, 10), False), ((11, 11), True)]
)
def test_ssim_of_small_pictures(size: tuple[int, int], defined: bool) -> None:
    a = np.zeros((3, *size))
    assert (ssim(a, a) is not None) == defined


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_refuses_other_shapes(measure: object) -> None:
    with pytest.raises(ValueError, match=r"picture is \[3, 4, 4\], reference \[1, 4, 4\]"):
        measure(np.zeros((3, 4, 4)), np.zeros((1, 4, 4)))  # type: ignore[operator]
