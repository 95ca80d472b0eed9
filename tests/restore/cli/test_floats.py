"""Floating-point pictures, each of which has a white of its own."""

import numpy as np
import pytest
import tifffile


@pytest.fixture
def floats(tmp_path):
    """A picture up to 0.94, and the same with noise, which reaches beyond 1.05."""
    rng = np.random.default_rng(0)
    true = np.linspace(0.2, 0.94, 48 * 48 * 3, dtype=np.float32).reshape(48, 48, 3)
    noisy = (true + rng.normal(0, 0.1, true.shape)).clip(0).astype(np.float32)
    assert noisy.max() > 1.05
    tifffile.imwrite(tmp_path / "true.tif", true, photometric="rgb")
    tifffile.imwrite(tmp_path / "noisy.tif", noisy, photometric="rgb")
    return true, noisy


def test_a_reference_is_compared_in_the_units_of_the_input(restore, tmp_path, floats):
    true, noisy = floats
    (record,) = restore(
        "denoise", "noisy.tif", "--sigma", 0.05, "--reference", "true.tif", "--json"
    ).records
    # White of the noisy picture is 2: an error of 0.1 is one of 0.05.
    before = 10 * np.log10(4 / np.square(noisy - true).mean())
    after = 10 * np.log10(4 / np.square(tifffile.imread("noisy_denoise.tif") - true).mean())
    assert record["metrics"]["psnr"] == pytest.approx(after, abs=0.01)
    assert record["metrics"]["psnr"] > before + 3


def test_a_start_is_taken_in_the_units_of_the_input(restore, tmp_path, floats):
    started = ("denoise", "noisy.tif", "--sigma", 0.05, "-m", "ddrm", "--average", 1, "--steps", 1)
    more = ("--set", "sigma_max=0.01", "--set", "eta=0", "--init")
    assert restore(*started, *more, "true.tif", "-o", "a.tif").code == 0
    assert restore(*started, *more, "noisy.tif", "-o", "b.tif").code == 0
    a, b = (tifffile.imread(tmp_path / name) for name in ("a.tif", "b.tif"))
    assert np.abs(a - b).mean() < 0.1
