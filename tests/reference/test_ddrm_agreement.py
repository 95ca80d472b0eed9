"""DDRM against the authors' code (vectors of make_ddrm.py): same denoiser, schedule and noise."""

from __future__ import annotations

import ddrm_cases as cases
import pytest
import torch
from network import Network
from torch import Tensor

import operators
from restore.methods import DDRM
from restore.noise import Noise
from restore.problem import Problem

TOLERANCE = 1e-4


def _operator(name: str, device: torch.device) -> operators.LinearOperator:
    shape = cases.SHAPE
    if name == "inpaint":
        return operators.Mask(cases.mask(), shape, device=device)
    if name == "super-resolve":
        return operators.Downsample(shape, 4, kernel="box", device=device)
    if name == "colorize":
        return operators.Colorize(shape, cases.COLOR_WEIGHTS, device=device)
    return operators.Blur(shape, torch.tensor(cases.BLUR_LINE), border="zero", device=device)


def _null(problem: Problem, x: Tensor) -> Tensor:
    """The part of a picture that the operator does not measure."""
    x = x.to(problem.y.device)[None]
    return (x - problem.operator.pinv(problem.operator(x))).cpu()[0]


def _noise(problem: Problem, pictures: Tensor) -> Noise:
    """The shared noise, in the singular basis after the start where DDRM draws it there."""
    draws = iter(pictures.to(problem.y.device)[:, None])
    svd = problem.operator.svd()
    turned = svd.right.domain.numel == problem.operator.domain.numel
    started = False

    def draw(like: Tensor) -> Tensor:
        nonlocal started
        z = next(draws)
        z = svd.vt(z) if started and turned else z
        started = True
        return z

    return draw


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device):
    problem = Problem(
        _operator(case.operator, device),
        torch.from_numpy(vectors[f"{case.key}/y"]).to(device),
        case.noise_std,
    )
    network = Network()
    method = DDRM(steps=cases.STEPS, eta=case.eta, eta_b=case.eta_b)
    x = method(problem, network, noise=_noise(problem, torch.from_numpy(vectors["noise"])))
    states = dict(enumerate([*network.seen, x]))
    theirs = dict(zip(cases.KEPT, torch.from_numpy(vectors[f"{case.key}/x"]), strict=True))
    for step, reference in theirs.items():
        ours = states[step][0].cpu()
        if step == cases.STEPS and case.noise_std == 0:
            # Their last noiseless step compares by > and leaves x̂ where the paper's takes y (C2).
            difference = _null(problem, ours) - _null(problem, reference)
            assert difference.abs().max() <= TOLERANCE
            assert (ours - reference).abs().max() > 10 * TOLERANCE
            continue
        assert (ours - reference).abs().max() <= TOLERANCE, step
    if case.noise_std == 0:
        assert (problem.operator(x) - problem.y).abs().max() <= 1e-3
