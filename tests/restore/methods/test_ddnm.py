"""DDNM: its schedule of time travel, and with noise that it is DDRM."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.ddnm import DDNM, travelled
from restore.methods.ddrm import DDRM
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (1, 8, 8)


@pytest.mark.parametrize(
    ("length", "repeat", "expected"),
    [
        (1, 1, [5, 4, 3, 2, 1, 0]),
        (3, 1, [5, 4, 3, 2, 1, 0]),
        (1, 2, [5, 5, 4, 4, 3, 3, 2, 2, 1, 0]),
        (2, 3, [5, 4, 5, 4, 5, 4, 3, 2, 3, 2, 3, 2, 1, 0]),
        (3, 2, [5, 4, 3, 2, 4, 3, 2, 1, 0]),
        (9, 2, [5, 4, 3, 2, 1, 0]),
    ],
)
def test_time_travel(length, repeat, expected):
    assert travelled([5, 4, 3, 2, 1, 0], length, repeat) == expected


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_a_budget_is_used_as_far_as_whole_levels_allow(length, repeat):
    method = DDNM(travel_length=length, travel_repeat=repeat)
    for budget in range(1, 60):
        steps = method.within(budget).steps
        used = [len(travelled(range(n), length, repeat)) - 1 for n in (steps + 1, steps + 2)]
        assert used[0] <= budget < used[1]
    with pytest.raises(ValueError, match="at least 1 evaluation"):
        method.within(0)


def _problem(noise_std: float) -> tuple[Problem, GaussianMixture]:
    generator = torch.Generator().manual_seed(1)
    prior = GaussianMixture([1.0], 0.5 + 0.1 * torch.randn(1, *SHAPE, generator=generator), 0.2)
    operator = operators.Blur(SHAPE, torch.ones(3) / 3, "zero")
    return Problem(operator, operator(prior.sample(2, generator)), noise_std), prior


def test_with_noise_it_is_ddrm():
    problem, prior = _problem(0.1)
    assert torch.equal(solve(problem, prior, DDNM(steps=20)), solve(problem, prior, DDRM(20)))


def test_without_noise_measured_directions_keep_their_predicted_noise():
    """Where DDRM draws them anew: so the results differ, though both meet the measurement."""
    problem, prior = _problem(0.0)
    ours, theirs = solve(problem, prior, DDNM(steps=20)), solve(problem, prior, DDRM(20))
    assert (ours - theirs).abs().max() > 1e-3
    for x in (ours[0], theirs[0]):
        assert (problem.operator(x) - problem.y).abs().max() <= 1e-3


def test_goes_back_from_the_denoised_picture():
    """x̂ + σ_a z at the begin of a repetition: with no noise, x̂ itself."""
    problem, prior = _problem(0.0)
    seen: list[Tensor] = []
    told: list[Tensor] = []

    class Watched(GaussianMixture):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            seen.append(x)
            return super().__call__(x, sigma)

    prior = Watched([1.0], prior.means, 0.2)
    DDNM(steps=5, travel_length=2, travel_repeat=2)(
        problem, prior, noise=torch.zeros_like, on_step=lambda step, total, x: told.append(x)
    )
    assert len(seen) == 9
    assert torch.equal(seen[2], told[1])
    assert torch.equal(seen[6], told[5])
