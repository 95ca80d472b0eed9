from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restore.metrics import estimate_noise, noise_of_quietest

SAMPLES = Path(__file__).parents[3] / "data" / "samples"


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("channels", [1, 3])
def test_white_noise_on_a_slope(sigma: float, channels: int) -> None:
    """The wavelet does not see the slope.

    The median of n absolute values of a normal has a standard error of 1.167 σ / sqrt(n); here n
    is at least 65² = 4,225, so 1.8 % of σ: the test allows five of them.
    """
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[0:132, 0:132]
    clean = 0.3 + 0.002 * rows + 0.001 * columns
    noisy = clean + rng.normal(0, sigma, (channels, 132, 132))
    assert estimate_noise(noisy) == pytest.approx(sigma, rel=0.09)


def test_is_the_mean_over_channels() -> None:
    rng = np.random.default_rng(7)
    noise = rng.normal(0, 1, (3, 64, 64)) * np.array([0.01, 0.02, 0.06])[:, None, None]
    single = [estimate_noise(noise[i : i + 1]) for i in range(3)]
    assert estimate_noise(noise[:2]) == pytest.approx(np.mean(single[:2]))
    assert estimate_noise(noise) == pytest.approx(np.mean(single), rel=0.1)
    noise[2] = 0  # of a picture in red and green, say
    assert estimate_noise(noise) == pytest.approx(np.mean([*single[:2], 0]))


def test_a_small_picture_in_colour_is_not_judged_by_a_few_patches() -> None:
    """As above; 3 channels of 15² values are to 4.5 % of σ, and the test allows five of them."""
    noisy = np.random.default_rng(7).normal(0.5, 0.05, (3, 32, 32))
    assert estimate_noise(noisy) == pytest.approx(0.05, rel=0.23)


@pytest.mark.parametrize("sigma", [0.01, 0.02, 0.05])
def test_texture_of_all_colours_is_no_noise(sigma: float) -> None:
    rng = np.random.default_rng(5)
    texture = 0.5 + rng.normal(0, 0.03, (1, 120, 140)) * np.array([1, 0.9, 0.8])[:, None, None]
    noisy = texture + rng.normal(0, sigma, texture.shape)
    assert estimate_noise(noisy) == pytest.approx(sigma, rel=0.1)
    assert estimate_noise(noisy[:1]) > 1.1 * sigma


def _through_jpeg(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of [H, W, 3] in [0, 255], with colours of half the size: [3, H, W] in [0, 1]."""
    file = BytesIO()
    picture = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    picture.save(file, "JPEG", quality=95, subsampling="4:2:0")
    return np.moveaxis(np.asarray(Image.open(file)) / 255, -1, 0)


def test_noise_that_a_jpeg_left_in_the_luma_alone_is_found() -> None:
    left = _through_jpeg(np.random.default_rng(6).normal(128, 12, (128, 128, 3)))
    assert left.std(axis=(1, 2)).mean() > 6 / 255
    assert estimate_noise(left) > 6 / 255


def test_noise_in_the_luma_of_a_photograph_is_found_where_colours_have_some_left() -> None:
    """What is left of it in the colours, 2 of 255, is the least of all eigenvalues."""
    with Image.open(SAMPLES / "small_truth.png") as file:
        photograph = np.asarray(file.convert("RGB"), dtype=np.float64)
    left = _through_jpeg(photograph + np.random.default_rng(6).normal(0, 25, photograph.shape))
    assert estimate_noise(left) > 12 / 255


@pytest.mark.parametrize("share", [0.98, 0.7, 0.4])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_missing_is_left_out(share: float, channels: int) -> None:
    """At 0.4 one square of 2×2 in 39 is whole, some 1,700 of 256²; the test allows 5 errors of σ.

    The standard error of a median is there 1.167 σ / sqrt(1,700), 2.8 %; squares overlap.
    """
    rng = np.random.default_rng(8)
    rows, columns = np.mgrid[0:256, 0:256]
    noisy = 0.3 + 0.002 * rows + 0.001 * columns + rng.normal(0, 0.05, (channels, 256, 256))
    known = rng.random((256, 256)) < share
    assert estimate_noise(np.where(known, noisy, 1), known) == pytest.approx(0.05, rel=0.14)
    assert estimate_noise(noisy, np.ones_like(known)) == estimate_noise(noisy)


def test_refuses_what_is_too_scattered() -> None:
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match="too few known pixels"):
        estimate_noise(rng.random((3, 64, 64)), rng.random((64, 64)) < 0.02)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.2])
def test_the_quietest_of_white_noise_is_it(sigma: float) -> None:
    """The first quartile of n absolute values of a normal has an error of 1.8 σ / sqrt(n).

    It is 1.6 % here, of which the test allows five.
    """
    rng = np.random.default_rng(9)
    noisy = 0.5 + rng.normal(0, sigma, (3, 132, 132))
    assert noise_of_quietest(noisy) == pytest.approx(sigma, rel=0.08)
    known = rng.random((132, 132)) < 0.9
    assert noise_of_quietest(np.where(known, noisy, 1), known) == pytest.approx(sigma, rel=0.1)


def test_the_quietest_of_dots_is_what_is_between_them() -> None:
    """Of the coefficients 69 % touch one of the dots."""
    rng = np.random.default_rng(9)
    dots = np.where(rng.random((1, 128, 128)) < 0.07, 1.0, 0.5) + rng.normal(0, 0.01, (1, 128, 128))
    assert noise_of_quietest(dots) < 0.04 < 0.05 < estimate_noise(dots)


def test_a_small_picture_with_a_hole_is_estimated() -> None:
    rng = np.random.default_rng(9)
    known = np.arange(100).reshape(10, 10) > 0
    assert 0.02 < estimate_noise(rng.normal(0.5, 0.05, (3, 10, 10)), known) < 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_what_is_not_finite(value: float) -> None:
    pixels = np.random.default_rng(9).random((1, 16, 16))
    pixels[0, 3, 3] = value
    with pytest.raises(ValueError, match="not finite"):
        estimate_noise(pixels)
    assert estimate_noise(pixels, np.isfinite(pixels[0])) > 0


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (100, 3), (4, 4), (5, 7)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    value = estimate_noise(np.random.default_rng(0).random((3, *size)))
    assert np.isfinite(value)
    assert (value == 0.0) == (min(size) < 4)


def test_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"pixels are \[4, 4\]"):
        estimate_noise(np.zeros((4, 4)))
