"""DPS against the authors' code (vectors of make_dps.py): same denoiser, schedule and noise."""

from __future__ import annotations

import ddrm_cases
import dps_cases as cases
import pytest
import torch
from network import Network

import operators
from restore.methods import DPS
from restore.problem import Problem

TOLERANCE = 1e-4


def _largest_error(case, vectors, device, **changed) -> float:
    resize = torch.from_numpy(vectors["resize"])
    operator = (
        operators.Mask(ddrm_cases.mask(), ddrm_cases.SHAPE, device=device)
        if case.operator == "inpaint"
        else operators.Separable(ddrm_cases.SHAPE, resize, resize, device=device)
    )
    y = torch.from_numpy(vectors[f"{case.key}/y"]).to(device)
    noise = iter(torch.from_numpy(vectors["noise"]).to(device)[:, None])
    prior = Network(cases.epsilon)
    method = DPS(**{"steps": cases.STEPS, "zeta": case.zeta, "clip": case.clip, **changed})
    x = method(Problem(operator, y, case.noise_std), prior, noise=lambda like: next(noise))
    states = torch.cat([*prior.seen, x])[list(cases.KEPT)].cpu()
    return float((states - torch.from_numpy(vectors[f"{case.key}/x"])).abs().max())


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device):
    assert _largest_error(case, vectors, device) <= TOLERANCE


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_of_the_test(case, vectors, device):
    """One hundredth on the step, or the other clipping, is noticed."""
    assert _largest_error(case, vectors, device, zeta=1.01 * case.zeta) > 5 * TOLERANCE
    assert _largest_error(case, vectors, device, clip=not case.clip) > 10 * TOLERANCE
