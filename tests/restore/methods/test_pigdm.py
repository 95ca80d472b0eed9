"""ΠGDM: exact on a Gaussian prior, consistency, options, devices.

On a prior N(m, σ_d²I) variant "score" knows the score of p(x_σ | y). So each singular direction
goes down by a linear recursion whose mean and variance are written out here, and which comes to the
posterior as the steps grow.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from four_rows import CHAINS, NOISE, PRIOR, SHAPE, SINGULAR, TAU, Y, normal, rows, slow
from torch import Tensor

import operators
from restore.methods import PiGDM
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.schedule import karras
from restore.problem import Problem
from restore.solve import solve

METHOD = PiGDM(steps=50, data_std=TAU)


def _law(steps: int, eta: float = 1.0, sigma_max: float = 10.0) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the samples of so many steps, [4, 4]."""
    s, m = SINGULAR[:, None].double(), PRIOR.means[0, 0].double()
    precision = TAU**-2 + (s / NOISE) ** 2
    posterior = (m / TAU**2 + s * Y[0, 0].double() / NOISE**2) / precision
    mean, variance = torch.full_like(m, PRIOR.centre), torch.full_like(m, sigma_max**2)
    levels = karras(steps, PRIOR.sigma_min, sigma_max)
    for sigma, lower in itertools.pairwise(levels):
        fresh = eta * lower * math.sqrt(1 - (lower / sigma) ** 2)
        kept = math.sqrt(lower**2 - fresh**2) / sigma
        gain = 1 / (1 + sigma**2 * precision)
        factor = gain + kept * (1 - gain)
        mean = posterior + factor * (mean - posterior)
        variance = factor**2 * variance + fresh**2
    return mean, variance.sqrt()


def _deviation(method: PiGDM = METHOD, eta: float = 1.0, scale: float = 1.0, half: bool = False):
    """Largest deviation from the law, of 16 means and 16 variances, in standard errors."""
    problem = Problem(rows(), Y.expand(CHAINS, -1, -1, -1), NOISE)
    generator = torch.Generator().manual_seed(2)

    def noise(like: Tensor) -> Tensor:
        return scale * torch.randn(like.shape, generator=generator)

    prior = HalfScore(PRIOR) if half else PRIOR
    x = method(problem, prior, noise=noise)[:, 0].double()
    mean, std = _law(method.steps, eta)
    means = (x.mean(0) - mean) / std * CHAINS**0.5
    variances = (x.var(0) / std**2 - 1) * (CHAINS / 2) ** 0.5
    return float(torch.stack([means, variances]).abs().max())


class HalfScore(GaussianMixture):
    """D whose step x̂ - x is half of what it should be."""

    def __init__(self, prior: GaussianMixture) -> None:
        self.__dict__.update(prior.__dict__)

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return (x + super().__call__(x, sigma)) / 2


# 32 figures a run of 4000 chains, beyond 5 standard errors once in 5e4 runs.
LIMIT = 5.0


@pytest.mark.parametrize("eta", [1.0, 0.5])
def test_follows_the_law_of_a_gaussian_prior(eta):
    method = PiGDM(steps=50, data_std=TAU, eta=eta)
    assert _deviation(method, eta) < LIMIT


def test_the_law_comes_to_the_posterior():
    exact = PRIOR.posterior(Problem(rows(), Y, NOISE))
    errors = [
        max(
            float((mean / TAU - exact.mean[0].double() / TAU).abs().max()),
            float((std / exact.std[0].double() - 1).abs().max()),
        )
        for mean, std in (_law(50), _law(200), _law(800))
    ]
    assert errors[0] < 0.12
    assert errors[1] < 0.03
    assert errors[2] < 0.01


class TestOfTheTest:
    def test_root_two_on_the_noise(self):
        assert _deviation(scale=2**0.5) > 5 * LIMIT

    def test_half_a_step(self):
        assert _deviation(half=True) > 5 * LIMIT

    def test_another_width(self):
        assert _deviation(PiGDM(steps=50, data_std=2 * TAU)) > 2 * LIMIT

    def test_the_paper_is_another_sampler(self):
        assert _deviation(PiGDM(steps=50, data_std=TAU, variant="paper")) > 2 * LIMIT


class OfOneGrey(Denoiser):
    """D of pictures that are nearly of one grey: N(0.5, 4) of their mean, 0.01 about it."""

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        mean = (x - 0.5).mean((-2, -1), keepdim=True)
        noise = torch.as_tensor(sigma) ** 2
        about = (x - 0.5 - mean) * (0.01 / (0.01 + noise))
        return 0.5 + about + mean * (4 / (4 + noise / x[0].numel()))


@pytest.mark.parametrize("method", ["pigdm", "tds"])
def test_what_pixels_have_in_common_does_not_overshoot(method):
    """r is that of single pixels: of their mean σ²g is 256 times too long at the first level."""
    shape = (1, 4, 4)
    problem = Problem(
        operators.Downsample(shape, size=(1, 1), kernel="box"), torch.ones(1, 1, 1, 1), 0.05
    )
    x = solve(problem, OfOneGrey(), method, samples=8, data_std=0.5, sigma_max=50.0)[:, 0]
    assert float((problem.operator(x) - 1).abs().max()) < 5 * 0.05
    assert float(x.std()) < 0.3


def test_the_paper_on_one_step_by_hand():
    """x' = DDIM(x̂, ε̂; η = 0) + r²g with A = I: g = J(y - x̂)/(r² + σ_y²)."""
    shape, sigma, noise_std = (1, 2, 2), 0.4, 0.1
    prior = GaussianMixture([1.0], torch.full((1, *shape), 0.5), 0.2, sigma_min=0.1)
    seen: list[Tensor] = []
    y = torch.rand(1, *shape)
    problem = Problem(operators.Identity(shape), y, noise_std)
    PiGDM(steps=2, variant="paper", eta=0.0, sigma_max=sigma)(
        problem,
        prior,
        noise=lambda like: torch.ones_like(like),
        on_step=lambda step, total, x_hat: seen.append(x_hat),
    )
    jacobian, r2 = 0.2, 1 / (1 / 0.4**2 + 4)
    first = 0.5 + jacobian * sigma * torch.ones(1, *shape)
    moved = first + 0.25 * (0.5 + sigma - first) + r2 * jacobian * (y - first) / (r2 + 0.01)
    torch.testing.assert_close(seen[0], first)
    torch.testing.assert_close(seen[1], 0.5 + 0.8 * (moved - 0.5))


@pytest.mark.parametrize("variant", ["score", "paper"])
def test_noiseless_measurements_are_met(variant):
    operator = operators.Downsample((1, 8, 8), 2)
    prior = GaussianMixture([0.6, 0.4], 0.5 + 0.2 * normal(2, 1, 8, 8), [0.2, 0.1])
    y = operator(prior.sample(2, torch.Generator().manual_seed(5)))
    x = solve(Problem(operator, y), prior, PiGDM(steps=10, variant=variant))[0]
    assert (operator(x) - y).abs().max() < 1e-5


def test_noiseless_measurements_are_met_without_an_svd():
    """The last damping, ‖A‖/1000, leaves 1e-6/s² of a residual: 2.5e-5 of it at s = 0.2."""
    x = solve(Problem(slow(), Y), PRIOR, PiGDM(steps=1))[0]
    assert (slow()(x) - Y).abs().max() < 1e-5


def test_by_conjugate_gradients_as_by_the_svd():
    with pytest.raises(operators.NoFastSVD):
        slow().svd()
    results = [
        PiGDM(steps=20)(Problem(operator, Y, NOISE), PRIOR, noise=NoiseSource(0))
        for operator in (rows(), slow())
    ]
    torch.testing.assert_close(*results, rtol=0, atol=1e-4)


def test_starts_from_an_estimate():
    guess = torch.rand(1, *SHAPE)
    seen: list[Tensor] = []

    class Shown(GaussianMixture):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            seen.append(x.detach())
            return super().__call__(x, sigma)

    prior = Shown([1.0], PRIOR.means, TAU)
    problem = Problem(rows(), Y, NOISE)
    PiGDM(steps=2, sigma_max=0.3, start=guess)(problem, prior, noise=torch.zeros_like)
    assert torch.equal(seen[0], guess)


def test_same_seed_same_picture():
    problem = Problem(rows(), Y + 0.1 * normal(3, *SHAPE, seed=3), NOISE)
    runs = [
        solve(problem, PRIOR, PiGDM(steps=5), seed=seed, samples=2, batch_size=size)
        for seed, size in ((0, 6), (0, 1), (0, 4), (1, 6))
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(runs[0], runs[2], rtol=0, atol=1e-5)
    assert (runs[0] - runs[3]).abs().max() > 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        {"eta": 1.1},
        {"data_std": 0.0},
        {"variant": "other"},
        {"start": torch.zeros(1, *SHAPE)},
    ],
)
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PiGDM(**wrong)
