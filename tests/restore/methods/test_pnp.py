from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods import PlugAndPlay
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.solve import solve

SHAPE = (3, 8, 8)


class Smooth(Denoiser):
    """The mean of a pixel and its neighbours, and the levels at which it was asked."""

    sigma_min, sigma_max = 0.01, 10.0

    def __init__(self) -> None:
        self.levels: list[float] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.levels.append(float(sigma))
        around = sum(x.roll(shift, axis) for shift in (1, -1) for axis in (-1, -2))
        return (x + around) / 5


def _by_hand(problem: Problem, x: Tensor, sigmas: list[float], mask: Tensor) -> Tensor:
    denoise = Smooth()
    x = torch.where(mask, problem.y, x)
    for lower in [*sigmas[1:], 0.0]:
        x_hat = denoise(x, 1.0)
        x = torch.where(mask, problem.y, x_hat) if lower >= problem.noise_std else x_hat
    return x


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
def test_denoises_and_replaces(noise_std):
    mask = torch.rand(8, 8) > 0.3
    problem = Problem(operators.Mask(mask, SHAPE), torch.rand(2, *SHAPE) * mask, noise_std)
    start, prior = torch.rand(2, *SHAPE), Smooth()
    x = solve(problem, prior, "pnp", steps=6, start=start)
    assert prior.levels[0] == 0.2
    expected = _by_hand(problem, start, prior.levels, mask)
    torch.testing.assert_close(x[0], expected, rtol=1e-6, atol=1e-6)


def test_there_is_one_answer():
    problem = Problem(operators.Downsample(SHAPE, 2), torch.rand(1, 3, 4, 4))
    x = solve(problem, Smooth(), "pnp", samples=2, seed=3)
    assert torch.equal(x[0], x[1])
    assert (problem.operator(x[0]) - problem.y).abs().max() < 1e-5


def test_refuses():
    with pytest.raises(ValueError, match="rcond"):
        PlugAndPlay(rcond=-1.0)
