"""DPS: its step by hand, the law of what is not measured, options. (See also tests/reference.)

With a mask and a prior of independent pixels the pixels that are not measured are sampled by plain
ancestral sampling, a linear recursion.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import operators
from restore.methods import DPS
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.schedule import karras
from restore.problem import Problem
from restore.solve import solve

SHAPE = (1, 4, 4)
TAU = 0.2
CHAINS = 4000
METHOD = DPS(steps=40)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


MASK = torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) > 0.5
OPERATOR = operators.Mask(MASK, SHAPE)
PRIOR = GaussianMixture([1.0], 0.5 + 0.1 * _normal(1, *SHAPE), TAU, sigma_max=10.0)
Y = OPERATOR(PRIOR.sample(1, torch.Generator().manual_seed(2)))


def _deviation(scale: float = 1.0, prior: Denoiser = PRIOR) -> float:
    """Largest deviation from the law of means and variances, in standard errors."""
    generator = torch.Generator().manual_seed(3)
    x = METHOD(
        Problem(OPERATOR, Y.expand(CHAINS, -1, -1, -1)),
        prior,
        noise=lambda like: scale * torch.randn(like.shape, generator=generator),
    )
    m = PRIOR.means[0, 0].double()
    mean, variance = torch.full_like(m, PRIOR.centre), torch.full_like(m, 100.0)
    for sigma, lower in pairwise(karras(METHOD.steps, PRIOR.sigma_min, 10.0)):
        gain = TAU**2 / (TAU**2 + sigma**2)
        factor = gain + (lower / sigma) ** 2 * (1 - gain)
        mean = m + factor * (mean - m)
        variance = factor**2 * variance + lower**2 * (1 - (lower / sigma) ** 2)
    x = x[:, 0].double()
    means = (x.mean(0) - mean) / variance.sqrt() * CHAINS**0.5
    variances = (x.var(0) / variance - 1) * (CHAINS / 2) ** 0.5
    return float(torch.stack([means, variances])[:, ~MASK].abs().max())


# 20 figures of 4000 chains, beyond 5 standard errors once in 8e4 runs.
LIMIT = 5.0


def test_what_is_not_measured_follows_its_law():
    assert _deviation() < LIMIT


class TestOfTheTest:
    def test_root_two_on_the_noise(self):
        assert _deviation(2**0.5) > 5 * LIMIT

    def test_half_a_step(self):
        class HalfScore(GaussianMixture):
            def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
                return (x + super().__call__(x, sigma)) / 2

        half = HalfScore([1.0], PRIOR.means, TAU, sigma_max=10.0)
        assert _deviation(prior=half) > 5 * LIMIT


@pytest.mark.parametrize("clip", [False, True])
def test_one_step_by_hand(clip):
    """Two pictures, each with its own norm: ∇‖y - x̂‖ = -J(y - x̂)/‖y - x̂‖ for A = I."""
    shape, tau, sigma, lower, zeta = (1, 2, 2), 0.2, 0.4, 0.1, 0.7
    prior = GaussianMixture([1.0], torch.full((1, *shape), 0.9), tau, sigma_min=lower)
    y = torch.stack([torch.full(shape, 0.3), 0.1 * _normal(*shape)])
    noise = torch.stack([_normal(*shape, seed=4), torch.ones(shape)])
    seen: list[Tensor] = []

    class Shown(GaussianMixture):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            seen.append(x.detach())
            return super().__call__(x, sigma)

    shown = Shown([1.0], prior.means, tau, sigma_min=lower)
    method = DPS(steps=2, zeta=zeta, clip=clip, sigma_max=sigma)
    method(Problem(operators.Identity(shape), y), shown, noise=lambda like: noise)
    x = 0.9 + sigma * noise
    jacobian = tau**2 / (tau**2 + sigma**2)
    x_hat = 0.9 + jacobian * (x - 0.9)
    inside = x_hat.clamp(0, 1) if clip else x_hat
    assert clip == bool((inside != x_hat).any())
    direction = (y - inside) / (y - inside).flatten(1).norm(dim=1).reshape(2, 1, 1, 1)
    direction = torch.where(inside == x_hat, jacobian * direction, 0)
    ratio = (lower / sigma) ** 2
    ancestral = inside + ratio * (x - inside) + lower * math.sqrt(1 - ratio) * noise
    size = zeta / 2 * math.sqrt((1 + 4 * sigma**2) * (1 + 4 * lower**2))
    torch.testing.assert_close(seen[0], x)
    torch.testing.assert_close(seen[1], ancestral + size * direction)


def test_a_measurement_that_is_met_has_a_gradient_of_zero():
    shape = (1, 2, 2)
    y = torch.full((1, *shape), 0.5)
    prior = GaussianMixture([1.0], y, 0.2)
    x = DPS(steps=3)(Problem(operators.Identity(shape), y), prior, noise=torch.zeros_like)
    torch.testing.assert_close(x, y)


def test_comes_close_to_a_noiseless_measurement():
    """It is not met exactly; METHODS gives 0.01 to 0.05 of residual standard deviation."""
    x = solve(Problem(OPERATOR, Y), PRIOR, DPS(steps=300), samples=20)[:, 0]
    residual = (OPERATOR(x) - Y).square().mean().sqrt()
    assert residual < 0.05
    assert (OPERATOR(PRIOR.sample(20)) - Y).square().mean().sqrt() > 0.1


def test_same_seed_same_picture():
    problem = Problem(OPERATOR, Y + 0.1 * MASK * _normal(3, *SHAPE, seed=3), 0.1)
    runs = [
        solve(problem, PRIOR, DPS(steps=5), seed=seed, samples=2, batch_size=size)
        for seed, size in ((0, 6), (0, 1), (0, 4), (1, 6))
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(runs[0], runs[2], rtol=0, atol=1e-5)
    assert (runs[0] - runs[3]).abs().max() > 0.01


@pytest.mark.parametrize("wrong", [{"zeta": 0.0}, {"start": torch.zeros(1, *SHAPE)}])
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DPS(**wrong)


def test_refuses_to_clip_complex_pictures():
    operator = operators.Mask(MASK, SHAPE, dtype=torch.complex64)
    problem = Problem(operator, torch.zeros(1, *SHAPE, dtype=torch.complex64))
    with pytest.raises(ValueError, match="clip"):
        DPS(clip=True)(problem, PRIOR, noise=torch.randn_like)
