"""RED-diff: its optimum on a Gaussian prior, Adam, options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods import REDDiff, reddiff
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (1, 4, 4)
TAU, LEVEL = 0.3, 0.4
SINGULAR = torch.tensor([1.0, 0.6, 0.2, 0.0])


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


OPERATOR = operators.Separable(SHAPE, torch.diag(SINGULAR)[:3], torch.eye(4))
# One level only, so that the objective stays the same.
PRIOR = GaussianMixture(
    [1.0], 0.5 + 0.1 * _normal(1, *SHAPE), TAU, sigma_min=LEVEL, sigma_max=LEVEL
)
Y = OPERATOR(0.5 + TAU * _normal(1, *SHAPE, seed=1))


def _optimum(weight: float) -> Tensor:
    """(s²/M + λκ/N) μ = s y/M + λκ m/N, κ = σ²/(τ² + σ²), M = 12, N = 16."""
    s = SINGULAR[:, None]
    y = torch.cat([Y[0, 0], torch.zeros(1, 4)])
    pull = weight * LEVEL**2 / (TAU**2 + LEVEL**2) / 16
    return (s * y / 12 + pull * PRIOR.means[0, 0]) / (s**2 / 12 + pull)


def _error(weight: float = 0.25, prior: Denoiser = PRIOR, noise_std: float = 0.0) -> float:
    method = REDDiff(steps=1500, weight=weight, rate=0.01)
    x = method(Problem(OPERATOR, Y, noise_std), prior, noise=torch.zeros_like)
    return float((x[0, 0] - _optimum(weight)).abs().max())


@pytest.mark.parametrize("noise_std", [0.0, 0.1])
@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_comes_to_the_optimum_of_a_gaussian_prior(weight, noise_std):
    """Without noise: the expected gradient. Whatever the start, which σ_y damps."""
    assert _error(weight, noise_std=noise_std) < 1e-3


def test_noise_leaves_the_optimum_where_it_is():
    """The mean of 400 runs; Adam's jitter at this rate is 0.05, of a mean 0.0025; 6 of these."""
    problem = Problem(OPERATOR, Y.expand(400, -1, -1, -1))
    generator = torch.Generator().manual_seed(2)
    x = REDDiff(steps=400, rate=0.01)(
        problem, PRIOR, noise=lambda like: torch.randn(like.shape, generator=generator)
    )
    assert x[:, 0].std(0).max() < 0.05
    assert (x[:, 0].mean(0) - _optimum(0.25)).abs().max() < 0.015


class TestOfTheTest:
    def test_half_a_step(self):
        class HalfScore(GaussianMixture):
            def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
                return (x + super().__call__(x, sigma)) / 2

        half = HalfScore([1.0], PRIOR.means, TAU, sigma_min=LEVEL, sigma_max=LEVEL)
        assert _error(prior=half) > 0.01

    def test_half_the_weight(self):
        x = REDDiff(steps=1500, rate=0.01, weight=0.125)(
            Problem(OPERATOR, Y), PRIOR, noise=torch.zeros_like
        )
        assert (x[0, 0] - _optimum(0.25)).abs().max() > 0.01


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_adam_is_that_of_torch(dtype):
    value = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    ours = reddiff._Adam(value, 0.1)
    parameter = torch.nn.Parameter(value.clone())
    theirs = torch.optim.Adam([parameter], lr=0.1, betas=reddiff.BETAS, eps=reddiff.EPSILON)
    for step in range(20):
        gradient = (parameter.detach() - 1) * (1 + step % 3)
        parameter.grad = gradient.clone()
        theirs.step()
        ours.descend(gradient)
    torch.testing.assert_close(ours.value, parameter.detach())


def test_starts_from_the_measurement_and_the_centre():
    """A†y with the centre where nothing is measured; with noise damped, an estimate if given."""
    seen: list[Tensor] = []

    class Shown(GaussianMixture):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            seen.append(x)
            return super().__call__(x, sigma)

    prior = Shown([1.0], PRIOR.means, TAU)
    mask = torch.rand(4, 4, generator=torch.Generator().manual_seed(3)) > 0.5
    operator = operators.Mask(mask, SHAPE)
    guess = torch.rand(1, *SHAPE)
    y = operator(torch.full((1, *SHAPE), 0.9))
    for noise_std, start in ((0.0, None), (0.25, None), (0.0, guess)):
        REDDiff(steps=1, start=start)(
            Problem(operator, y, noise_std), prior, noise=torch.zeros_like
        )
    centre = prior.centre
    torch.testing.assert_close(seen[0][0, 0], torch.where(mask, 0.9, centre))
    torch.testing.assert_close(
        seen[1][0, 0], torch.where(mask, centre + (0.9 - centre) / 1.25, centre)
    )
    assert torch.equal(seen[2], guess)


def test_same_seed_same_picture():
    prior = GaussianMixture([1.0], PRIOR.means, TAU)
    problem = Problem(OPERATOR, Y + 0.1 * _normal(3, 1, 3, 4, seed=3), 0.1)
    runs = [
        solve(problem, prior, REDDiff(steps=5), seed=seed, samples=2, batch_size=size)
        for seed, size in ((0, 6), (0, 1), (0, 4), (1, 6))
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(runs[0], runs[2], rtol=0, atol=1e-5)
    assert (runs[0] - runs[3]).abs().max() > 1e-3


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"rate": -1.0}])
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        REDDiff(**wrong)
