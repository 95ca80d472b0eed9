"""Networks and conversions against the original code (make_checkpoints.py)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checkpoints_cases import CASES, FOLDER, LEVELS, Case

from restore.prior.checkpoints.loader import find_checkpoint
from restore.prior.network_denoiser import CheckpointDenoiser


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    with np.load(FOLDER.with_suffix(".npz")) as stored:
        return dict(stored)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def loaded(request: pytest.FixtureRequest) -> tuple[Case, CheckpointDenoiser]:
    case = request.param
    checkpoint = find_checkpoint(case.path, case.settings)
    assert checkpoint is not None
    return case, checkpoint.load("cpu", torch.float32)


def test_the_output_is_the_originals(loaded, vectors):
    case, prior = loaded
    x, time = (torch.from_numpy(vectors[key]) for key in ("x", f"{case.name}/time"))
    label = None if prior.label is None else torch.full((2,), prior.label)
    output = prior.network(x, time.float(), label)
    expected = torch.from_numpy(vectors[f"{case.name}/raw"])
    assert (output - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())


def test_the_denoiser_is_the_originals(loaded, vectors):
    """At five noise levels, to 1e-4 of σ or of the range of the pictures."""
    case, prior = loaded
    unit, origin = prior.conversion.unit, prior.conversion.origin
    sigma = torch.from_numpy(vectors[f"{case.name}/sigma"])
    assert len(sigma) == LEVELS
    clean, noise = torch.from_numpy(vectors["clean"]), torch.from_numpy(vectors["noise"])
    noisy = torch.cat([clean + float(level) * noise for level in sigma])
    expected = torch.from_numpy(vectors[f"{case.name}/denoised"])
    denoised = prior((noisy - origin) / unit, sigma.float() / unit) * unit + origin
    worst = (denoised - expected).abs().amax(dim=(1, 2, 3)) / sigma.clamp(min=1)
    assert worst.max() <= 1e-4, worst
