"""The particle samplers TDS and MCGDiff: their limit, resampling, budgets, options.

Of a Gaussian prior the chain of any number of levels is Gaussian, and so is its x₀, with mean and
variance by a recursion: the limit of many particles is then that Gaussian times the likelihood,
whatever the guidance. It is written out here.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

import operators
from restore.methods import TDS, MCGDiff, Method, mcgdiff
from restore.methods.particles import Particles
from restore.methods.spectral import Spectrum
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.schedule import karras
from restore.problem import Problem
from restore.solve import solve

SHAPE = (1, 3, 2)
KAPPA = 1e-4  # of the potential of `mcgdiff`
TAU, NOISE, SIGMA_MAX, STEPS = 0.3, 0.1, 3.0, 15
CHAINS = 1000
SINGULAR = torch.tensor([1.0, 0.4, 0.0])
OPERATOR = operators.Separable(SHAPE, torch.diag(SINGULAR), torch.eye(2))
# A guidance of the wrong width, so that the weights have to mend it.
METHODS = [TDS(particles=32, steps=STEPS, data_std=0.15), MCGDiff(particles=48, steps=STEPS)]


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


PRIOR = GaussianMixture([1.0], 0.5 + 0.1 * _normal(1, *SHAPE), TAU, sigma_max=SIGMA_MAX)
Y = OPERATOR(0.5 + TAU * _normal(1, *SHAPE, seed=1))


def _limit(steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation with many particles, [3, 2]."""
    s, m, y = SINGULAR[:, None].double(), PRIOR.means[0, 0].double(), Y[0, 0].double()
    mean, variance = torch.full_like(m, PRIOR.centre), torch.full_like(m, SIGMA_MAX**2)
    for sigma, lower in pairwise(karras(steps, PRIOR.sigma_min, SIGMA_MAX)):
        gain = TAU**2 / (TAU**2 + sigma**2)
        factor = gain + (lower / sigma) ** 2 * (1 - gain)
        mean = m + factor * (mean - m)
        variance = factor**2 * variance + lower**2 * (1 - (lower / sigma) ** 2)
    precision = 1 / variance + (s / NOISE) ** 2
    return (mean / variance + s * y / NOISE**2) / precision, precision.rsqrt()


def _deviation(method: Method, scale: float = 1.0, prior: Denoiser = PRIOR) -> float:
    """Largest deviation from the limit, of 6 means and 6 variances, in standard errors."""
    generator = torch.Generator().manual_seed(3)
    x = method(
        Problem(OPERATOR, Y.expand(CHAINS, -1, -1, -1), NOISE),
        prior,
        noise=lambda like: scale * torch.randn(like.shape, generator=generator),
    )[:, 0].double()
    mean, std = _limit()
    means = (x.mean(0) - mean) / std * CHAINS**0.5
    variances = (x.var(0) / std**2 - 1) * (CHAINS / 2) ** 0.5
    return float(torch.stack([means, variances]).abs().max())


# 12 figures of 1000 chains, beyond 5.5 standard errors (0.17 of a std in a mean, 12 % in a std)
# once in 2e6 runs at the limit. What so many particles lack of it is within that (found: 2.5).
LIMIT = 5.5


@pytest.mark.parametrize(
    "method", [*METHODS, TDS(particles=32, steps=STEPS)], ids=lambda method: method.name
)
def test_comes_to_the_limit(method):
    assert _deviation(method) < LIMIT


def test_tds_is_twisted_by_the_law_of_y_given_a_gaussian_around_x_hat(monkeypatch):
    """log N(y; A x̂, r²AAᵀ + σ_y²I) up to a constant: the limit is the same with any other."""
    x_hats: list[Tensor] = []
    weighed: list[Tensor] = []

    class Watched(GaussianMixture):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            x_hats.append(super().__call__(x, sigma))
            return x_hats[-1]

    monkeypatch.setattr(Particles, "weigh", lambda self, factors: weighed.append(factors))
    prior = Watched([1.0], PRIOR.means, TAU, sigma_max=SIGMA_MAX)
    TDS(particles=8, steps=2, data_std=0.15)(
        Problem(OPERATOR, Y, NOISE), prior, noise=NoiseSource(0)
    )
    matrix = OPERATOR(torch.eye(6).reshape(6, *SHAPE)).flatten(1).T
    variance = 1 / (SIGMA_MAX**-2 + 0.15**-2)
    law = torch.distributions.MultivariateNormal(
        Y.flatten(), variance * matrix @ matrix.T + NOISE**2 * torch.eye(6)
    )
    expected = law.log_prob(OPERATOR(x_hats[0].detach()).flatten(1))
    torch.testing.assert_close(
        weighed[0] - weighed[0][0], expected - expected[0], rtol=1e-4, atol=1e-4
    )


def test_the_limit_comes_to_the_posterior():
    exact = PRIOR.posterior(Problem(OPERATOR, Y, NOISE))
    for steps, tolerance in ((15, 0.25), (100, 0.05), (400, 0.02)):
        mean, std = _limit(steps)
        assert ((mean - exact.mean[0]) / TAU).abs().max() < tolerance
        assert (std / exact.std[0] - 1).abs().max() < tolerance


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
class TestOfTheTest:
    def test_root_two_on_the_noise(self, method):
        assert _deviation(method, 2**0.5) > 2 * LIMIT

    def test_half_a_step(self, method):
        class HalfScore(GaussianMixture):
            def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
                return (x + super().__call__(x, sigma)) / 2

        half = HalfScore([1.0], PRIOR.means, TAU, sigma_max=SIGMA_MAX)
        assert _deviation(method, prior=half) > 2 * LIMIT

    def test_no_weights(self, method, monkeypatch):
        monkeypatch.setattr(Particles, "weigh", lambda *args: None)
        assert _deviation(method) > 2 * LIMIT


@pytest.mark.parametrize("method", [TDS(steps=30), MCGDiff(steps=30)], ids=lambda m: m.name)
def test_both_modes_are_found(method):
    """Modes that the measurement cannot tell apart: 0.6 and 0.4 of 600 chains.

    The weight has a standard error of 0.02; within 5 of them (6e-7).
    """
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2)[None]
    prior = GaussianMixture([0.6, 0.4], torch.stack([0.5 + 0.2 * checks, 0.5 - 0.2 * checks]), 0.1)
    operator = operators.Downsample((1, 4, 4), 2, kernel="box")
    y = operator(prior.sample(1, torch.Generator().manual_seed(3)))
    generator = torch.Generator().manual_seed(4)
    x = method(
        Problem(operator, y.expand(600, -1, -1, -1), 0.05),
        prior,
        noise=lambda like: torch.randn(like.shape, generator=generator),
    )
    weights = prior.responsibilities(x)[:, 0]
    assert ((weights < 0.01) | (weights > 0.99)).float().mean() > 0.9
    assert abs(float(weights.mean()) - 0.6) < 5 * 0.02


def _particles(chains: int, count: int, seed: int = 0) -> Particles:
    operator = operators.Identity((1, 1, 1))
    generator = torch.Generator().manual_seed(seed)
    return Particles(
        Problem(operator, torch.zeros(chains, 1, 1, 1), 0.1),
        count,
        lambda like: torch.randn(like.shape, generator=generator),
    )


@pytest.mark.parametrize(("even", "resampled"), [(9, True), (11, False)])
def test_chains_below_half_of_the_effective_particles_are_resampled(even, resampled):
    """So many of 20 particles have all of the weight."""
    cloud = _particles(1, 20)
    cloud.weigh(torch.where(torch.arange(20) < even, 0.0, -50.0))
    (kept,) = cloud.resampled(torch.arange(20))
    assert (int(kept.max()) < even) is resampled


def test_resampling_keeps_shares_and_leaves_even_chains():
    weights = torch.tensor([[0.55, 0.25, 0.1, 0.1], [0.3, 0.25, 0.25, 0.2]]).repeat(1, 5)
    weights = torch.where(torch.tensor([[True], [False]]) & (torch.arange(20) >= 4), 1e-9, weights)
    cloud = _particles(2, 20)
    cloud.weigh(weights.log().flatten())
    rows = torch.arange(40)
    (kept,) = cloud.resampled(rows)
    first, second = kept.chunk(2)
    assert torch.equal(second, rows[20:])
    assert (first.bincount(minlength=20)[:4] - 20 * weights[0, :4]).abs().max() < 1
    assert torch.equal(cloud.log_weights[0], torch.zeros(20))
    torch.testing.assert_close(cloud.log_weights[1], weights[1].log())


def test_one_is_drawn_by_its_weight():
    """20,000 chains of 4: shares within 5 standard errors, one alarm in 4e5."""
    chains, weights = 20_000, torch.tensor([0.1, 0.4, 0.3, 0.2])
    cloud = _particles(chains, 4)
    cloud.weigh(weights.log().repeat(chains))
    drawn = cloud.drawn(torch.arange(4).repeat(chains))
    shares = drawn.bincount(minlength=4) / chains
    assert ((shares - weights).abs() < 5 * (weights * (1 - weights) / chains).sqrt()).all()


def test_particles_have_noise_of_their_own():
    problem = Problem(operators.Identity(SHAPE), torch.zeros(2, *SHAPE), 0.1)
    chains = [(0, 0), (0, 1)]
    states = torch.zeros(6, *SHAPE)
    both = Particles(problem, 3, NoiseSource(0, chains)).normal(states)
    one = Particles(problem.take(torch.tensor([1])), 3, NoiseSource(0, chains[1:]))
    second = one.normal(states[3:])
    assert both.shape == states.shape
    assert torch.equal(both[3:], second)
    assert len(both.unique()) == both.numel()


@pytest.mark.parametrize("method", [TDS(4, 5), MCGDiff(4, 5)], ids=lambda m: m.name)
def test_same_seed_same_picture(method):
    """With a mask for each picture."""
    masks = torch.rand(3, 1, 3, 2, generator=torch.Generator().manual_seed(2)) > 0.4
    operator = operators.Mask(masks, SHAPE)
    problem = Problem(operator, operator(0.5 + 0.2 * _normal(3, *SHAPE, seed=3)), NOISE)
    runs = [
        solve(problem, PRIOR, method, seed=seed, samples=2, batch_size=size)
        for seed, size in ((0, 6), (0, 1), (0, 4), (1, 6))
    ]
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(runs[0], runs[2], rtol=0, atol=1e-5)
    assert (runs[0] - runs[3]).abs().max() > 0.01


@pytest.mark.parametrize("cls", [TDS, MCGDiff])
def test_options(cls):
    assert cls(particles=8).within(100) == cls(particles=8, steps=12)
    with pytest.raises(ValueError, match="at least 40 evaluations"):
        cls(particles=8).within(39)
    with pytest.raises(ValueError, match="particles"):
        cls(particles=0)
    with pytest.raises(ValueError, match="start needs"):
        cls(start=torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match="needs noise_std > 0"):
        solve(Problem(OPERATOR, Y), PRIOR, cls())
    with pytest.raises(ValueError, match="needs noise_std > 0"):
        cls()(Problem(OPERATOR, Y), PRIOR, noise=torch.randn_like)


@pytest.mark.parametrize("method", [TDS(4, 2), MCGDiff(4, 2)], ids=lambda m: m.name)
def test_starts_from_an_estimate_and_reports_one_picture_a_chain(method):
    seen: list[Tensor] = []

    class Shown(GaussianMixture):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            seen.append(x.detach())
            return super().__call__(x, sigma)

    guesses = torch.rand(2, *SHAPE)
    told: list[tuple[int, int, torch.Size]] = []
    nothing = Problem(operators.Mask(torch.zeros(3, 2), SHAPE), torch.zeros(2, *SHAPE), NOISE)
    type(method)(4, 2, sigma_max=0.2, start=guesses)(
        nothing,
        Shown([1.0], PRIOR.means, TAU),
        noise=torch.zeros_like,
        on_step=lambda step, total, x_hat: told.append((step, total, x_hat.shape)),
    )
    assert torch.equal(seen[0], guesses.repeat_interleave(4, 0))
    assert told == [(1, 2, (2, *SHAPE)), (2, 2, (2, *SHAPE))]


def test_with_many_levels_mcgdiff_comes_to_the_posterior():
    """1000 chains: beyond 0.15 of a std in a mean, or 9 % in a std, once in 2e4 runs.

    That y counts only once: by the last potential itself the std would be 0.8 of it.
    """
    generator = torch.Generator().manual_seed(3)
    x = MCGDiff(particles=48, steps=200)(
        Problem(OPERATOR, Y.expand(CHAINS, -1, -1, -1), NOISE),
        PRIOR,
        noise=lambda like: torch.randn(like.shape, generator=generator),
    )[:, 0].double()
    exact = PRIOR.posterior(Problem(OPERATOR, Y, NOISE))
    assert ((x.mean(0) - exact.mean[0]) / exact.std[0]).abs().max() < 0.15
    assert (x.std(0) / exact.std[0] - 1).abs().max() < 0.09


class _OneParticle:
    """Instead of a cloud: keeps what it is weighed by."""

    def __init__(self, problem):
        self.problem, self.operator, self.weights = problem, problem.operator, []

    def weigh(self, change):
        self.weights.append(float(change))

    def resampled(self, *tensors):
        return tensors

    def normal(self, like):
        return _normal(*like.shape, seed=len(self.weights))


def test_mcgdiff_weighs_by_the_mean_of_the_next_potential_over_the_last():
    """g_σ = N(y; x, v_σ): its mean over N(mean, std²), over what it was at the particle."""
    y = 0.5 + TAU * _normal(1, *SHAPE)
    cloud = _OneParticle(Problem(operators.Identity(SHAPE), y, NOISE))
    chain = mcgdiff._Chain(cloud, Spectrum(cloud.problem, 1e-3))

    def potential(sigma):
        return sigma**2 - NOISE**2 + KAPPA * (0.25 + NOISE**2)

    def log(x, variance):
        return float(-0.5 * (y - x).square().sum() / variance)

    means = [0.5 + TAU * _normal(1, *SHAPE, seed=seed) for seed in (7, 8)]
    x = chain.proposed(means[0], 1.0, 1.0)
    chain.proposed(means[1], 0.4, 0.5)
    assert cloud.weights[0] == pytest.approx(log(means[0], 1 + potential(1)), rel=1e-4)
    last = log(x, potential(1))
    assert cloud.weights[1] == pytest.approx(
        log(means[1], 0.4**2 + potential(0.5)) - last, rel=1e-4
    )
    # The law of y given x₀, over the last potential as the chain knows it: by its mean.
    chain.step(x, means[0], 0.5, 0.0)
    assert cloud.weights[2] == pytest.approx(
        log(means[0], NOISE**2) - log(means[0], potential(0.5) + 0.5**2), rel=1e-4
    )


def test_mcgdiff_takes_x_as_known_to_the_last_level_where_y_is_clearer():
    y, last, noise_std = 0.5 + TAU * _normal(1, *SHAPE), 0.01, 0.001
    cloud = _OneParticle(Problem(operators.Identity(SHAPE), y, noise_std))
    chain = mcgdiff._Chain(cloud, Spectrum(cloud.problem, 1e-3))
    chain.proposed(y, last, last)
    x_hat = y + last * _normal(1, *SHAPE, seed=7)
    x = chain.step(y, x_hat, last, 0.0)
    assert abs(float((x - y).square().mean().sqrt()) / noise_std - 1) < 0.5  # of 12 numbers
    squares = float((y - x_hat).square().sum())
    potential = last**2 - noise_std**2 + KAPPA * (0.25 + noise_std**2)
    expected = -0.5 * squares / (noise_std**2 + last**2) + 0.5 * squares / (potential + last**2)
    assert cloud.weights[-1] == pytest.approx(expected, rel=1e-3)
