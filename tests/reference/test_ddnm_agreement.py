"""DDNM against the authors' code (vectors of make_ddnm.py): same denoiser, schedule and noise.

The states before some evaluations and the result are compared, without noise, with noise (where
the code is DDNM+) and with time travel.
"""

from __future__ import annotations

import ddnm_cases as cases
import network
import pytest
import torch

from restore.methods.ddnm import DDNM
from restore.problem import Problem

TOLERANCE = 1e-4


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device):
    noise = iter(torch.from_numpy(vectors["noise"]).double().to(device)[:, None])
    problem = Problem(
        cases.operator(case.operator, device),
        torch.from_numpy(vectors[f"{case.key}/y"]).double().to(device),
        case.noise_std,
    )
    length, repeat = case.travel
    method = DDNM(cases.STEPS, case.eta, travel_length=length, travel_repeat=repeat)
    prior = network.Network()
    x = method(problem, prior, noise=lambda like: next(noise))
    states = torch.stack([*(prior.seen[k][0] for k in cases.KEPT), x[0]]).cpu()
    theirs = torch.from_numpy(vectors[f"{case.key}/x"])
    assert (states - theirs).abs().amax((1, 2, 3)).max() <= TOLERANCE
    if case.noise_std == 0:
        assert (problem.operator(x) - problem.y).abs().max() <= 1e-3
