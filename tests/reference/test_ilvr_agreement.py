"""ILVR against the authors' code (vectors of make_ilvr.py): same denoiser, levels and noise.

Compared are the states after every step. What the authors do otherwise is put into our noise, or
into our φ:

- they start from the standard normal z at a timestep where the state of a clean picture has the
  standard deviation √(1 - ᾱ), so our draw is z/√(1 - ᾱ);
- they put the reference at the level of the step's begin, σ, beside a state at its end, σ' (the
  paper and we: σ'): our draw is such that r + σ'z' is their noisy reference;
- they never condition after the last step, so that their range_t is our stop less 1;
- their resize mirrors the picture at its border, where ours (Pillow's) weights what is there: their
  matrices take the place of ours. Away from the border the two are compared.

They clip x̂ to the range of a picture, where the denoiser here stays by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import ilvr_cases as cases
import network
import pytest
import torch
from torch import Tensor

import operators
from operators.resize import resize_matrix
from restore.methods import ilvr
from restore.methods.ilvr import ILVR
from restore.prior.schedule import linear_beta_levels, native
from restore.problem import Problem

TOLERANCE = 1e-4
SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def vectors(vectors) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value).double() for name, value in vectors.items()}


def _draws(noise: Tensor, guide: Tensor, stop: int) -> Iterator[Tensor]:
    """Our draws in our order, from theirs: start, then step and reference."""
    z = iter(noise[:, None])
    sigmas = [2 * sigma for sigma in native(linear_beta_levels(), cases.STEPS)]
    reference = 2 * guide - 1
    yield next(z) * (1 + sigmas[0] ** 2) ** 0.5 / sigmas[0]
    for number in range(cases.STEPS - stop):
        yield next(z)
        sigma, lower = sigmas[number : number + 2]
        # √ᾱ r + √(1 - ᾱ) z at the begin, over √ᾱ' at the end.
        scale = ((1 + lower**2) / (1 + sigma**2)) ** 0.5
        yield (scale * (reference + sigma * next(z)) - reference) / lower
    yield from z


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device, monkeypatch):
    line = vectors["up-8"] @ vectors["down-8"]
    theirs = operators.Separable(SHAPE, line, line, dtype=torch.float64, device=device)
    monkeypatch.setattr(ilvr, "low_pass_filter", lambda space, factor, device: theirs)
    guide, stop = vectors["guide"].to(device), case.range_t + 1
    draws = _draws(vectors["noise"].to(device), guide, stop)
    nothing = operators.Mask(torch.zeros(8, 8), SHAPE, dtype=torch.float64, device=device)
    problem = Problem(nothing, torch.zeros(1, *SHAPE, dtype=torch.float64, device=device))
    prior = network.Network()
    method = ILVR(cases.STEPS, "resize", cases.FACTOR, stop, guide)
    x = method(problem, prior, noise=lambda like: next(draws))
    states = vectors[f"{case.key}/x"].to(device)
    for ours, reference in zip([*prior.seen[1:], x], states, strict=True):
        assert (ours[0] - reference).abs().max() <= TOLERANCE


def test_the_resize_is_theirs_away_from_the_border(vectors):
    side, small = cases.SIDE, cases.SIDE // cases.FACTOR
    down, up = resize_matrix(side, small, "bicubic"), resize_matrix(small, side, "bicubic")
    assert (down - vectors[f"down-{side}"])[2:-2].abs().max() < 1e-6
    assert (up - vectors[f"up-{side}"])[4:-4].abs().max() < 1e-6
    assert (down - vectors[f"down-{side}"]).abs().max() > 1e-3
