"""ILVR: the guide, the range of the conditioning, its options.

The measured part, consistency, devices and batches are in test_replacement.py, the agreement with
the authors in tests/reference.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.ilvr import ILVR, low_pass_filter
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.solve import solve

SHAPE = (3, 16, 16)
NOTHING = operators.Mask(torch.zeros(16, 16), SHAPE)


class Flat(Denoiser):
    """D = ½; keeps the states that it is shown."""

    sigma_min, sigma_max = 0.01, 50.0

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append(x)
        return torch.full_like(x, 0.5)


def test_the_result_has_the_low_frequencies_of_the_guide():
    guide = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    problem = Problem(NOTHING, torch.zeros(2, *SHAPE))
    low_pass = low_pass_filter(NOTHING.domain, 4.0, torch.device("cpu"))
    x = solve(problem, Flat(), ILVR(10, "resize", 4.0, guide=guide), samples=2)
    for sample in x:
        torch.testing.assert_close(sample, 0.5 + low_pass(guide - 0.5), rtol=0, atol=1e-5)
    # The smaller N, the more of it.
    near, far = (
        solve(problem, Flat(), ILVR(10, "resize", factor, guide=guide))[0] for factor in (1.0, 8.0)
    )
    torch.testing.assert_close(near, guide)
    assert (far - guide).std() > (x[0] - guide).std() > 0.1


def test_the_reference_is_the_start_without_a_guide():
    guide = torch.rand(1, *SHAPE)
    problem = Problem(NOTHING, torch.zeros(1, *SHAPE))
    runs = [
        solve(problem, Flat(), ILVR(5, "resize", **given))
        for given in ({"guide": guide}, {"start": guide})
    ]
    assert torch.equal(*runs)


def test_the_low_pass_is_no_projector():
    """Bicubic up and down again (C11): so the two phi are two methods."""
    low_pass = low_pass_filter(NOTHING.domain, 4.0, torch.device("cpu"))
    x = torch.rand(1, *SHAPE)
    assert (low_pass(low_pass(x)) - low_pass(x)).abs().max() > 0.01
    torch.testing.assert_close(low_pass(torch.ones(1, *SHAPE)), torch.ones(1, *SHAPE))


@pytest.mark.parametrize("stop", [0, 1, 3, 6, 9])
def test_the_last_steps_are_released(stop):
    """Without noise in the sampler a conditioned state is y, a released one half-way to ½."""
    y = torch.ones(1, *SHAPE)
    prior = Flat()
    ILVR(6, stop=stop)(Problem(operators.Identity(SHAPE), y), prior, noise=torch.zeros_like)
    conditioned = [bool(torch.equal(x, y)) for x in prior.seen]
    # States 0 … 5 are seen, 6 is the result.
    assert (
        conditioned == [state <= 6 - stop for state in range(6)]
        if stop < 6
        else not any(conditioned)
    )


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"phi": "mean"}, "phi is 'mean'"),
        ({"factor": 0.5}, "factor is"),
        ({"factor": float("nan")}, "factor is"),
        ({"stop": -1}, "stop is"),
        ({"rcond": 2.0}, "rcond is"),
        ({"phi": "resize"}, "needs a guide"),
        ({"guide": torch.zeros(1, *SHAPE)}, "for phi 'resize'"),
        ({"start": torch.zeros(1, *SHAPE)}, "start needs sigma_max"),
    ],
)
def test_refuses(wrong, match):
    with pytest.raises(ValueError, match=match):
        ILVR(**wrong)


def test_refuses_a_guide_of_another_shape():
    problem = Problem(NOTHING, torch.zeros(1, *SHAPE))
    with pytest.raises(operators.ShapeError, match="guide is"):
        solve(problem, Flat(), ILVR(3, "resize", guide=torch.zeros(1, 3, 8, 8)))
