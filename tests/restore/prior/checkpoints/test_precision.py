"""Half precision, double precision and torch.compile of the loaded networks."""

from __future__ import annotations

import pytest
import torch
from checkpoints_cases import CASES, Case

from restore.prior.models import load_prior

X = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
# Units of the last place: 2⁻¹¹ and 2⁻⁸; the networks are some forty layers deep.
ACCURACY = {torch.float16: 5e-3, torch.bfloat16: 4e-2}


def denoised(case: Case, dtype: torch.dtype, sigma: float) -> torch.Tensor:
    prior = load_prior(case.path, dtype=dtype, settings=case.settings)
    x = X.double() if dtype == torch.float64 else X
    return prior(x, sigma)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_half_precision_agrees_within_its_accuracy(case):
    """Beside what the network adds, so that a network that does nothing does not pass."""
    full = denoised(case, torch.float32, 0.5)
    added = (full - X).square().mean().sqrt()
    for dtype, accuracy in ACCURACY.items():
        half = denoised(case, dtype, 0.5)
        error = (full - half).square().mean().sqrt()
        assert half.dtype == torch.float32
        assert 0 < error <= accuracy * added, dtype


@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case.name)
def test_double_precision_agrees_to_single(case):
    full, double = denoised(case, torch.float32, 0.5), denoised(case, torch.float64, 0.5)
    assert double.dtype == torch.float64
    assert (full - double).abs().max() <= 1e-4 * max(1, full.abs().max())


def test_compiled_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: asked.append(type(self).__name__))
    load_prior(CASES[3].path, compiled=True)
    load_prior("photo", compiled=True)
    assert asked == ["DDPM", "GatedUNet"]
