from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from operators import Blur, Diagonal, Downsample, Identity, LinearOperator, Mask, gaussian_kernel
from restore.problem import Problem
from restore.tasks.total_variation import total_variation, weight_of

SHAPE = (1, 24, 32)
# The identity by the primal-dual algorithm.
EVERYWHERE = Mask(torch.ones(SHAPE[1:]), SHAPE)


def energy(problem: Problem, x: Tensor, weight: float) -> float:
    """½‖A x − y‖² + λ Σ |∇x|."""
    x = x.double()
    rows, columns = torch.zeros_like(x), torch.zeros_like(x)
    rows[..., :-1, :], columns[..., :, :-1] = x.diff(dim=-2), x.diff(dim=-1)
    misfit = (problem.operator(x.float()) - problem.y).double().square().sum()
    return float(0.5 * misfit + weight * (rows.square() + columns.square()).sqrt().sum())


def blocks(channels: int = 1) -> Tensor:
    """A picture of constant pieces, [1, channels, 24, 32]."""
    x = torch.full((1, channels, *SHAPE[1:]), 0.3)
    x[..., 6:18, 8:26] = 0.7
    x[:, :1, :, 16:] += 0.1
    return x


def noise(like: Tensor, std: float, seed: int = 0) -> Tensor:
    return std * torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("operator", [Identity(SHAPE), EVERYWHERE], ids=["scikit-image", "ODL"])
def test_a_step_loses_what_the_formula_says(operator: LinearOperator) -> None:
    """Plateaus of w columns move to each other by λ/w: the derivative of the energy is 0 there."""
    y = torch.full((1, *SHAPE), 0.2)
    y[..., 8:] = 0.8
    x = total_variation(Problem(operator, y, 0.1), y, weight=0.05)
    expected = torch.full_like(y, 0.2 + 0.05 / 8)
    expected[..., 8:] = 0.8 - 0.05 / 24
    torch.testing.assert_close(x, expected, atol=2e-3, rtol=0)


def test_both_algorithms_find_the_same_picture() -> None:
    y = blocks() + noise(blocks(), 0.05)
    by_scikit_image = total_variation(Problem(Identity(SHAPE), y, 0.05), y, 0.05)
    problem = Problem(EVERYWHERE, y, 0.05)
    by_odl = total_variation(problem, y, 0.05)
    assert (by_odl - by_scikit_image).square().mean().sqrt() < 1e-3
    least = energy(problem, by_odl, 0.05)
    assert least == pytest.approx(energy(problem, by_scikit_image, 0.05), rel=1e-3)


@pytest.mark.parametrize("operator", [Identity(SHAPE), EVERYWHERE], ids=["scikit-image", "ODL"])
def test_a_noisy_picture_of_constant_pieces_is_nearly_found(operator: LinearOperator) -> None:
    y = blocks() + noise(blocks(), 0.02)
    x = total_variation(Problem(operator, y, 0.02), y, weight=0.02, iterations=100)
    error = (x - blocks()).abs()
    # What is left is a loss of contrast, λ times perimeter over area: 60/216 for the block.
    assert error.square().mean().sqrt() < 0.35 * 0.02
    assert error.median() < 0.02 * 60 / 216


OPERATORS = {
    "super-resolve": Downsample((2, *SHAPE[1:]), 2),
    "inpaint": Mask(
        torch.rand(SHAPE[1:], generator=torch.Generator().manual_seed(3)) < 0.5, (2, *SHAPE[1:])
    ),
    "deblur": Blur((2, *SHAPE[1:]), gaussian_kernel(1.2), "reflect"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_no_picture_nearby_has_less_energy(name: str) -> None:
    operator, truth = OPERATORS[name], blocks(2)
    y = operator(truth)
    problem = Problem(operator, y + noise(y, 0.01), 0.01)
    weight = weight_of(problem)
    start = operator.pinv(y, rcond=0.1).clamp(0, 1)
    x = total_variation(problem, start)
    least = energy(problem, x, weight)
    assert 0 <= x.min() <= x.max() <= 1
    for seed in range(5):
        other = (x + noise(x, 1e-2, seed)).clamp(0, 1)
        assert least < energy(problem, other, weight)
    for share in (0.01, 0.1, 1.0):
        for other in (truth, start, x.mean()):
            assert least < energy(problem, x.lerp(other.expand_as(x), share), weight)


def test_the_weight_of_a_noisy_picture() -> None:
    """The best λ for photographs, within a twentieth: `weight_of` has no other free number."""
    y = blocks()
    assert weight_of(Problem(Identity(SHAPE), y, 0.1)) == pytest.approx(2.2 * 0.1**1.5)


def test_the_weight_keeps_the_scale() -> None:
    """2A, 2y and 2σ are the same problem: four times the misfit, four times the weight."""
    problem = Problem(EVERYWHERE, blocks() + noise(blocks(), 0.05), 0.05)
    twice = Problem(2.0 * EVERYWHERE, 2 * problem.y, 0.1)
    assert weight_of(twice) == pytest.approx(4 * weight_of(problem))
    x, same = (total_variation(p, problem.y, iterations=50) for p in (problem, twice))
    assert (x - same).abs().max() < 1e-4


def test_the_weight_grows_with_the_noise() -> None:
    weights = [weight_of(Problem(EVERYWHERE, blocks(), std)) for std in (0.0, 1e-4, 0.01, 0.1)]
    assert 0 < weights[0] == weights[1] < weights[2] < weights[3]


@pytest.mark.parametrize("operator", [Identity(SHAPE), EVERYWHERE], ids=["scikit-image", "ODL"])
def test_pictures_of_a_batch_do_not_meet(operator: LinearOperator) -> None:
    y = torch.cat([blocks(), 1 - blocks()]) + noise(torch.zeros(2, *SHAPE), 0.05)
    both = total_variation(Problem(operator, y, 0.05), y, 0.05, 30)
    single = total_variation(Problem(operator, y[1:], 0.05), y[1:], 0.05, 30)
    torch.testing.assert_close(both[1:], single, atol=1e-5, rtol=0)


def test_double_precision_in_and_out() -> None:
    operator = Downsample((1, 8, 8), 2, dtype=torch.float64)
    y = torch.linspace(0, 1, 16, dtype=torch.float64).reshape(1, 1, 4, 4)
    start = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    assert total_variation(Problem(operator, y, 0.05), start, iterations=5).dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 5, 1), (1, 1, 1)])
def test_a_line_and_a_pixel_differ_along_what_they_have(shape: tuple[int, int, int]) -> None:
    y = torch.full((1, *shape), 0.5)
    x = total_variation(Problem(Mask(torch.ones(shape), shape), y, 0.01), torch.zeros_like(y))
    torch.testing.assert_close(x, y, atol=1e-3, rtol=0)


def test_each_picture_of_a_batch_has_weights_of_its_own() -> None:
    y = torch.cat([blocks(), blocks()])
    operator = Diagonal(torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1) * torch.ones(2, *SHAPE), SHAPE)
    x = total_variation(Problem(operator, operator(y), 0.01), y)
    assert (x - y).square().mean() < 0.01


def test_importing_odl_changes_nothing_else() -> None:
    program = (
        "import os, numpy as np\n"
        "before = np.get_printoptions()\n"
        "from restore.tasks.total_variation import import_odl\n"
        "import_odl()\n"
        "assert np.get_printoptions() == before\n"
        "assert 'SCIPY_ARRAY_API' not in os.environ\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "SCIPY_ARRAY_API"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
