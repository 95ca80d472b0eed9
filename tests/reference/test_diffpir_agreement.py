"""DiffPIR against the authors' loops (vectors of make_diffpir.py): same denoiser, grid and noise.

Every state that the denoiser is given is compared but for their start. Their λ is four times ours.
"""

from __future__ import annotations

import diffpir_cases as cases
import network
import pytest
import torch

from restore.methods.diffpir import DiffPIR
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
    prior = network.Network()
    method = DiffPIR(cases.STEPS, case.weight / 4, case.zeta)
    method(problem, prior, noise=lambda like: next(noise))
    states = torch.stack([prior.seen[k][0] for k in cases.KEPT]).cpu()
    theirs = torch.from_numpy(vectors[f"{case.key}/x"])
    assert (states - theirs).abs().max() <= TOLERANCE
