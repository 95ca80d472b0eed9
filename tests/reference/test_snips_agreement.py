"""SNIPS against the authors' code (vectors of make_snips.py): same denoiser, levels and noise.

Every compared state is one before the last denoising, which the code leaves out.
"""

from __future__ import annotations

import math

import network
import pytest
import snips_cases as cases
import torch

from restore.methods.snips import SNIPS
from restore.problem import Problem

TOLERANCE = 1e-4


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device):
    drawn = torch.from_numpy(vectors["noise"]).double().to(device)[:, None]
    # The last draw is for directions that y tells more about than the last level: none here.
    noise = iter([*drawn, torch.full_like(drawn[0], 1e9)])
    problem = Problem(
        cases.operator(case.operator, device=device),
        torch.from_numpy(vectors[f"{case.key}/y"]).double().to(device),
        case.noise_std,
    )
    method = SNIPS(
        steps=cases.LEVELS,
        inner=cases.INNER,
        variant="paper",
        theta=cases.C * cases.INNER * cases.LEVELS / math.log(cases.SIGMA_MAX / cases.SIGMA_MIN),
        sigma_min=cases.SIGMA_MIN,
        sigma_max=cases.SIGMA_MAX,
    )
    prior = network.Network()
    prior.sigma_min = cases.SIGMA_MIN
    x = method(problem, prior, noise=lambda like: next(noise))
    for step, theirs in zip(cases.KEPT, vectors[f"{case.key}/x"], strict=True):
        ours = prior.seen[step][0].cpu()
        assert (ours - torch.from_numpy(theirs)).abs().max() <= TOLERANCE, step
    if case.noise_std == 0:
        assert (problem.operator(x) - problem.y).abs().max() <= 1e-3
