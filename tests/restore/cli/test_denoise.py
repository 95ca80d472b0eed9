"""`denoise`: the picture is already at the noise level from which methods start."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from restore.prior.models import load_prior
from restore.tasks.denoise import STATE_IS_MEASURED
from restore.tasks.device import DTYPES

SIGMA = 0.1


@pytest.fixture
def noisy(tmp_path, photo):
    """The clean picture [3, 30, 40] and its noisy one, as its file has it."""
    clean = np.asarray(Image.open(photo)) / 255
    noise = SIGMA * np.random.default_rng(0).standard_normal(clean.shape)
    levels = np.rint(255 * (0.2 + 0.6 * clean + noise).clip(0, 1)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "noisy.png")
    y = torch.as_tensor(levels / 255, dtype=torch.float32).movedim(-1, 0)
    return torch.as_tensor(0.2 + 0.6 * clean, dtype=torch.float32).movedim(-1, 0), y


def test_by_default_it_is_one_evaluation_at_the_level_of_the_noise(restore, tmp_path, noisy):
    _, y = noisy
    (record,) = restore("denoise", "noisy.png", "--sigma", SIGMA, "-o", "out.npy", "--json").records
    assert record["evaluations"] == 1
    dtype = json.loads((tmp_path / "out.json").read_text())["dtype"]
    expected = load_prior(dtype=DTYPES[dtype])(y[None], SIGMA)[0].clamp(0, 1)
    out = torch.as_tensor(np.load(tmp_path / "out.npy"))
    assert (out.reshape(30, 40, 3).movedim(-1, 0) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("method", STATE_IS_MEASURED)
def test_no_method_adds_noise_to_what_it_starts_from(restore, tmp_path, noisy, method):
    """An evaluation at the level with the noise twice in it leaves 1.7 times the error."""
    clean, y = noisy
    best = (load_prior()(y[None], SIGMA)[0] - clean).square().mean().sqrt()
    restore("denoise", "noisy.png", "--sigma", SIGMA, "-m", method, "--steps", 1, "-o", "out.npy")
    out = torch.as_tensor(np.load(tmp_path / "out.npy")).reshape(30, 40, 3).movedim(-1, 0)
    assert (out - clean).square().mean().sqrt() < 1.2 * best


def test_grey_is_written_where_a_format_knows_none(restore):
    Image.fromarray(np.full((24, 32), 100, np.uint8)).save("grey.png")
    done = restore("denoise", "grey.png", "--sigma", 0.1, "-o", "out.webp", "--json")
    assert done.code == 0, done.err
    channels = np.asarray(Image.open("out.webp").convert("RGB")).transpose(2, 0, 1)
    assert (channels == channels[0]).all()


def test_what_a_lossy_webp_loses_is_not_held_against_the_method(restore, photo):
    done = restore("super-resolve", photo, "--scale", 2, "--quality", 20, "-o", "out.webp")
    assert done.code == 0, done.err
    assert "NOT CONSISTENT" not in done.out
    restore("super-resolve", photo, "--scale", 2, "-o", "whole.webp")
    sizes = [(photo.parent / name).stat().st_size for name in ("out.webp", "whole.webp")]
    assert sizes[0] < sizes[1] / 4


def test_simulated_noise_that_nobody_chose_is_told(restore, photo):
    done = restore("denoise", photo, "--simulate")
    assert "noise added: sigma 0.0980 (25.0 of 255)" in done.out
    assert "noise added" not in restore("denoise", photo, "--simulate", "--sigma", 0.1).out


def test_more_noise_than_the_model_knows_is_told(restore, tmp_path, photo, monkeypatch):
    (tmp_path / "quiet.py").write_text(
        "from restore import Denoiser\n\n\nclass Quiet(Denoiser):\n    sigma_max = 0.04\n\n"
        "    def __call__(self, x, sigma):\n        return 0.9 * x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    done = restore("denoise", photo, "-n", "quiet:Quiet", "--sigma", 0.1)
    assert done.out.count("noisier than the model knows") == 1
