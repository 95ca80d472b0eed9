from dataclasses import astuple

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restore.metrics.scan import scan_scores

RNG = np.random.default_rng(0)


def test_scores_are_scikit_images_with_the_largest_true_value_as_range():
    truth = np.array([40, 5])[:, None, None] * RNG.random((2, 30, 21))
    images = truth + RNG.normal(size=truth.shape)
    scores = scan_scores(images, truth)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = list(zip(truth, images, strict=True))
    levels = [peak_signal_noise_ratio(t, i, data_range=t.max()) for t, i in pairs]
    structures = [structural_similarity(t, i, data_range=t.max(), **settings) for t, i in pairs]
    assert scores.psnr == pytest.approx(np.mean(levels))
    assert scores.ssim == pytest.approx(np.mean(structures))
    assert scores.nmse == pytest.approx(np.sum((images - truth) ** 2) / np.sum(truth**2))


def test_scores_do_not_depend_on_the_unit():
    truth = RNG.random((1, 16, 16))
    images = truth + 0.1
    scores, scaled = scan_scores(images, truth), scan_scores(1e-6 * images, 1e-6 * truth)
    assert astuple(scores) == pytest.approx(astuple(scaled))


def test_equal_and_small_images_have_scores_that_json_knows():
    small = np.ones((1, 4, 4))
    assert scan_scores(small, small).psnr is None
    assert scan_scores(small, small).ssim is None
    assert scan_scores(small, small).nmse == 0
    with pytest.raises(ValueError, match="expected equal"):
        scan_scores(small, np.ones((1, 4, 5)))


def test_an_empty_slice_is_measured_against_the_others():
    truth = np.stack([np.full((12, 12), 5.0), np.zeros((12, 12))])
    scores = scan_scores(truth + 0.5, truth)
    assert scores.psnr == pytest.approx(20)
    with pytest.raises(ValueError, match="nothing above 0"):
        scan_scores(truth, 0 * truth)
