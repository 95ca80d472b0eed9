import itertools

import pytest
import torch

from restore.prior.denoiser import FunctionDenoiser
from restore.training.objectives.denoising import denoising_loss
from restore.training.objectives.implicit import implicit_loss
from restore.training.objectives.sliced import sliced_loss

STD, SIGMA = 0.7, 0.4


def polynomial(x):
    """Not the score of anything, nor a gradient: the identities hold for any field."""
    a, b = x[:, 0], x[:, 1]
    return torch.stack([-a + 0.3 * a * b - 0.2 * b**3, 0.5 - 0.7 * b - 0.4 * a * a * b], dim=1)


def test_the_trace_is_that_of_the_jacobian():
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda y: polynomial(y).sum(0), x)
    trace = torch.einsum("ibi->b", jacobian)
    expected = 0.5 * polynomial(x).square().sum(1) + trace
    torch.testing.assert_close(implicit_loss(polynomial, x), expected)


def test_pictures_are_vectors():
    x = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = implicit_loss(lambda y: -2 * y, x)
    torch.testing.assert_close(loss, 2 * x.square().flatten(1).sum(1) - 8)
    signs = torch.ones_like(x)
    torch.testing.assert_close(sliced_loss(lambda y: -2 * y, x, signs), loss)


def test_denoising_and_implicit_score_matching_differ_by_a_constant(quadrature):
    """E[½‖s + n/σ‖²] = E[½‖s‖² + tr ∇s] + d/(2σ²), for any field s; exact by quadrature."""
    grid = quadrature(2, STD)
    noisy = grid.clean + SIGMA * grid.noise
    implicit = grid.mean(implicit_loss(polynomial, noisy))
    denoiser = FunctionDenoiser(lambda x, _: x + SIGMA**2 * polynomial(x))
    denoising = grid.mean(
        denoising_loss(
            denoiser, lambda sigma: 0.5 / sigma**4, grid.clean, grid.noise,
            torch.full((len(noisy),), SIGMA, dtype=torch.float64),
        )
    )  # fmt: skip
    torch.testing.assert_close(denoising - implicit, torch.tensor(2 / (2 * SIGMA**2)).double())


def test_the_minimiser_of_implicit_score_matching_is_the_score(quadrature):
    """s = −K x on N(0, s² + σ²): the gradient by K vanishes at 1/(s² + σ²) on the diagonal."""
    grid = quadrature(2, STD)
    noisy = grid.clean + SIGMA * grid.noise
    matrix = (torch.eye(2, dtype=torch.float64) / (STD**2 + SIGMA**2)).requires_grad_()
    loss = grid.mean(implicit_loss(lambda x: -x @ matrix.T, noisy))
    (slope,) = torch.autograd.grad(loss, matrix)
    torch.testing.assert_close(loss.detach(), torch.tensor(-1 / (STD**2 + SIGMA**2)).double())
    assert slope.abs().max() < 1e-12


@pytest.mark.parametrize("reduce_variance", [True, False])
def test_over_all_signs_sliced_score_matching_is_the_implicit_one(reduce_variance):
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    losses = [
        sliced_loss(
            polynomial, x, torch.tensor(signs).double().expand(5, 2),
            reduce_variance=reduce_variance,
        )
        for signs in itertools.product((-1.0, 1.0), repeat=2)
    ]  # fmt: skip
    torch.testing.assert_close(torch.stack(losses).mean(0), implicit_loss(polynomial, x))


@pytest.mark.parametrize("reduce_variance", [True, False])
def test_sliced_score_matching_is_unbiased_with_normal_directions(reduce_variance):
    """400,000 directions at one x; within 5 standard errors (false alarm 6e-7)."""
    count = 400_000
    x = torch.tensor([[0.8, -0.5]], dtype=torch.float64).expand(count, 2)
    directions = torch.randn(
        x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    losses = sliced_loss(polynomial, x, directions, reduce_variance=reduce_variance)
    error = losses.mean() - implicit_loss(polynomial, x[:1])[0]
    assert abs(error) < 5 * losses.std() / count**0.5
