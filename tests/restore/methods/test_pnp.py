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
# Not separable, and far from singular.
KERNEL = torch.tensor([[0.0, 0.05, 0.1], [0.05, 0.7, 0.0], [0.1, 0.0, 0.0]])


class Smooth(Denoiser):
    """The mean of a pixel and its neighbours, and the levels at which it was asked."""

    sigma_min, sigma_max = 0.01, 10.0

    def __init__(self) -> None:
        self.levels: list[float] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.levels.append(float(sigma))
        around = sum(x.roll(shift, axis) for shift in (1, -1) for axis in (-1, -2))
        return (x + around) / 5


def _dense(operator: operators.LinearOperator) -> Tensor:
    basis = torch.eye(operator.domain.numel).reshape(-1, *operator.domain.shape)
    return operator(basis).reshape(len(basis), -1).T.double()


def _by_hand(problem: Problem, x: Tensor, sigmas: list[float], weight: float) -> Tensor:
    """With dense matrices in double precision."""
    matrix, denoise = _dense(problem.operator), Smooth()
    noise, y = max(problem.noise_std, 1e-3), problem.y.double().flatten(1)
    for number, sigma in enumerate(sigmas):
        x = denoise(x, sigma)
        if number < len(sigmas) - 1:
            rho = weight * (noise / sigma) ** 2
            normal = matrix.T @ matrix + rho * torch.eye(len(matrix.T))
            right = y @ matrix + rho * x.double().flatten(1)
            x = torch.linalg.solve(normal, right.T).T.reshape(x.shape).float()
    if problem.noise_std == 0:
        x = x + ((y - x.double().flatten(1) @ matrix.T) @ torch.linalg.pinv(matrix).T).reshape(
            x.shape
        )
    return x.float()


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("border", ["circular", "zero"])
def test_denoises_and_puts_the_measurement_back(border, noise_std):
    """By the SVD, and by conjugate gradients."""
    operator = operators.Blur(SHAPE, KERNEL, border)
    problem = Problem(operator, torch.rand(2, *SHAPE), noise_std)
    start, prior = torch.rand(2, *SHAPE), Smooth()
    x = solve(problem, prior, "pnp", steps=6, start=start, weight=2.0)
    assert prior.levels[0] == 0.2
    expected = _by_hand(problem, start, prior.levels, 2.0)
    torch.testing.assert_close(x[0], expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("rcond", [1e-3, 0.1])
def test_the_last_step_is_damped_where_no_svd_solves_it(rcond):
    """By 1/50 of ‖A‖, or `rcond` where that is more: a direction s gets s²/(s² + c²) of its fit."""
    s = torch.tensor([1.0, 1.0, 1.0, 0.2, 0.1, 0.05, 0.02, 0.0]).expand(3, 8, 8).contiguous()

    class Plain(operators.Diagonal):
        def svd(self) -> operators.ThinSVD:
            raise operators.NoFastSVD

    y, start = torch.rand(1, *SHAPE), torch.rand(1, *SHAPE)
    problem = Problem(Plain(s, SHAPE), y * s)
    assert problem.operator.svd_or_none() is None
    x = solve(problem, Smooth(), "pnp", steps=1, start=start, rcond=rcond)[0]
    x_hat = Smooth()(start, 0.2)
    gain = s**2 / (s**2 + max(rcond, 1 / 50) ** 2)
    torch.testing.assert_close(x, x_hat + gain * (y - x_hat), rtol=0, atol=2e-3)


@pytest.mark.parametrize(("most", "last"), [(None, 0.01), (0.05, 0.01), (0.004, 0.004)])
def test_a_measurement_cleaner_than_the_prior_knows_can_be_kept_as_closely(most, last):
    prior = Smooth()
    problem = Problem(operators.Identity(SHAPE), torch.rand(1, *SHAPE), 0.004)
    solve(problem, prior, "pnp", last_level=most)
    assert prior.levels[-1] == last


@pytest.mark.parametrize("kernel", [operators.gaussian_kernel(0.7), KERNEL])
def test_a_blur_with_an_unknown_border_is_solved_as_by_dense_matrices(kernel):
    shape = (1, 18, 16)
    operator = operators.Blur(shape, kernel, "valid")
    problem = Problem(operator, torch.rand(1, *operator.codomain.shape), 0.05)
    start, prior = torch.rand(1, *shape), Smooth()
    x = solve(problem, prior, "pnp", steps=6, start=start)
    torch.testing.assert_close(x[0], _by_hand(problem, start, prior.levels, 0.5), rtol=0, atol=5e-3)


def test_there_is_one_answer():
    problem = Problem(operators.Downsample(SHAPE, 2), torch.rand(1, 3, 4, 4))
    x = solve(problem, Smooth(), "pnp", samples=2, seed=3)
    assert torch.equal(x[0], x[1])
    assert (problem.operator(x[0]) - problem.y).abs().max() < 1e-5


@pytest.mark.parametrize("wrong", [{"rcond": -1.0}, {"weight": 0.0}])
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PlugAndPlay(**wrong)
