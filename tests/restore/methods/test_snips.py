"""SNIPS: its law in unmeasured directions, its budget, its grid."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.snips import LARGEST_STEP, LEAST_THETA, SNIPS
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.schedule import geometric
from restore.problem import Problem

SHAPE = (1, 8, 8)
TAU = 0.3
CHAINS = 600
MASK = torch.arange(64).reshape(8, 8) % 2


def _samples(method: SNIPS, noise_std: float = 0.0, prior: Denoiser | None = None) -> Tensor:
    prior = prior or GaussianMixture([1.0], torch.full((1, *SHAPE), 0.5), TAU)
    operator = operators.Mask(MASK, SHAPE)
    problem = Problem(operator, operator(torch.full((CHAINS, *SHAPE), 0.6)), noise_std)
    generator = torch.Generator().manual_seed(3)
    return method(problem, prior, noise=lambda like: torch.randn(like.shape, generator=generator))


def _recursion(method: SNIPS) -> float:
    """Standard deviation of an unmeasured direction of N(0.5, τ²), step by step."""
    c, variance = method.step_size(method.sigma_max, method.sigma_min), method.sigma_max**2
    levels = geometric(method.steps, method.sigma_min, method.sigma_max)[:-1]
    repeated = [sigma for sigma in levels for _ in range(method.inner)]
    last = 0.0  # of the last draw in the state, in units of the level
    for sigma, lower in pairwise([*repeated, levels[-1]]):
        share = sigma**2 / (TAU**2 + sigma**2)  # of x - x̂ in x
        if method.variant == "paper":
            variance = (1 - c * share) ** 2 * variance + 2 * c * sigma**2
        elif method.variant == "level":
            kept = min(math.exp(-c), lower / sigma)
            fresh = lower**2 - (kept * sigma) ** 2
            variance = (1 - (1 - kept) * share) ** 2 * variance + fresh
        else:
            kappa = math.exp(-c) * sigma / lower
            gain = 1 - (1 - math.exp(-c)) * share
            behind, ahead = _halves(kappa, last)
            variance = gain**2 * variance + lower**2 * (behind**2 + ahead**2)
            variance += 2 * gain * lower * behind * sigma * last
            last = ahead
    return math.sqrt(variance) * TAU**2 / (TAU**2 + method.sigma_min**2)


def _halves(kappa: float, last: float) -> tuple[float, float]:
    """b and a > 0 with κ² + a² + b² + 2κb·last = 1, a² = (1 - κ)/2; all in a at first."""
    if last == 0:
        return 0.0, math.sqrt(1 - kappa**2)
    ahead = math.sqrt((1 - kappa) / 2)
    half = kappa * last
    return math.sqrt(half**2 + 1 - kappa**2 - ahead**2) - half, ahead


@pytest.mark.parametrize(("theta", "steps"), [(2.0, 60), (5.0, 150), (20.0, 400)])
def test_unmeasured_directions_follow_the_law_of_theta(theta, steps):
    """√(Θ/(Θ - 1)) τ for the paper's steps; 600 chains of 32 pixels.

    The standard deviation has a standard error of 1/√(2·19200) = 0.51 %: 5 of them, 2.6 %, for the
    law of the steps as they are (false alarm 6e-7), and 1.5 % more for that of infinitely many.
    """
    method = SNIPS(steps=steps, inner=2, theta=theta, sigma_max=5.0, variant="paper")
    null = _samples(method)[:, :, MASK == 0]
    std = float((null - 0.5).square().mean().sqrt())
    assert abs(std / _recursion(method) - 1) < 0.026
    assert abs(std / (TAU * math.sqrt(theta / (theta - 1))) - 1) < 0.041


def test_a_smaller_step_at_the_same_theta_changes_nothing():
    paper = SNIPS(steps=100, inner=2, theta=5.0, sigma_max=5.0, variant="paper")
    assert abs(_recursion(paper) / _recursion(replace(paper, steps=1000)) - 1) < 0.01


@pytest.mark.parametrize(("theta", "inner", "steps"), [(1.1, 1, 100), (2.1, 2, 60), (9.1, 2, 200)])
def test_unmeasured_directions_have_the_spread_of_the_prior(theta, inner, steps):
    """τ, with "level" but for c/4, whatever Θ.

    600 chains of 32 pixels, 5 standard errors (false alarm 6e-7).
    """
    method = SNIPS(steps=steps, inner=inner, theta=theta, sigma_max=5.0)
    level = replace(method, variant="level")
    for one in (method, level):
        null = _samples(one)[:, :, MASK == 0]
        std = float((null - 0.5).square().mean().sqrt())
        assert abs(std / _recursion(one) - 1) < 0.026
    # What is left is due to the distance of the levels, not to the step.
    assert abs(_recursion(method) / TAU - 1) < math.log(500) / steps / 3
    assert abs(_recursion(level) / TAU - (1 - method.step_size(5.0, 0.01) / 4)) < 0.01


def test_nothing_is_lost_by_drawing_anew():
    """A hundred levels with steps of c = 1: "level" loses a sixth of the spread."""
    method = SNIPS(steps=100, inner=1, theta=20.0, sigma_max=5.0)
    assert method.step_size(5.0, 0.01) == 1
    assert abs(_recursion(method) / TAU - 1) < 0.025
    level = replace(method, variant="level", theta=16.0)
    assert _recursion(level) / TAU < 0.85


def test_the_state_has_the_noise_that_the_denoiser_is_told():
    """x - x₀ is σ n at every evaluation, where the denoiser knows x₀; "paper" has more.

    19,200 numbers: 5 standard errors of the standard deviation are 2.6 per cent (false alarm 6e-7
    an evaluation).
    """

    class Knowing(Half):
        def __init__(self) -> None:
            super().__init__()
            self.excess: list[float] = []

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            self.excess.append(float((x[:, :, MASK == 0] - 0.6).std()) / float(sigma))
            return torch.full_like(x, 0.6)

    def worst(variant: str) -> float:
        prior, method = Knowing(), SNIPS(20, 2, 5.0, variant, sigma_max=0.5)
        _samples(method, 0.1, prior)
        return max(prior.excess[1:])

    assert worst("halved") < 1.026
    assert worst("level") < 1.026
    assert worst("paper") > 1.15


@pytest.mark.parametrize("variant", ["halved", "level", "paper"])
def test_measured_directions_reach_the_posterior(variant):
    """N(m, v) with 1/v = 1/τ² + 1/σ_y²; 19,200 numbers, 5 standard errors, and the law's 3 %."""
    noise_std = 0.1
    method = SNIPS(steps=300, inner=2, theta=20.0, variant=variant, sigma_max=5.0)
    x = _samples(method, noise_std)
    measured = x[:, :, MASK == 1]
    variance = 1 / (TAU**-2 + noise_std**-2)
    mean = variance * (0.5 / TAU**2 + 0.6 / noise_std**2)
    assert abs(float(measured.mean()) - mean) < 5 * (variance / 19200) ** 0.5 + 0.003
    assert abs(float(measured.std()) / variance**0.5 - 1) < 0.026 + 0.03


def test_theta_and_the_step_say_the_same():
    method = SNIPS(theta=9.1)
    assert method.step_size(90.0, 0.01) == pytest.approx(0.033, rel=0.01)  # the paper's c
    c = method.step_size(50.0, 0.01)
    assert c * method.inner * method.steps / math.log(5000) == pytest.approx(9.1)


class Half(Denoiser):
    sigma_min, sigma_max = 0.002, 50.0

    def __init__(self) -> None:
        self.sigmas: list[float] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.sigmas.append(float(sigma))
        return 0.25 + x / 2


def test_levels_are_geometric_each_with_its_inner_steps():
    prior = Half()
    problem = Problem(operators.Identity(SHAPE), torch.zeros(1, *SHAPE))
    SNIPS(steps=60, inner=3, theta=2.0)(problem, prior, noise=torch.zeros_like)
    assert len(prior.sigmas) == 60 * 3 + 1
    assert prior.sigmas[:-1:3] == prior.sigmas[1:-1:3] == prior.sigmas[2:-1:3]
    levels = prior.sigmas[:-1:3]
    assert (levels[0], levels[-1], prior.sigmas[-1]) == (50.0, 0.01, 0.01)
    assert [a / b for a, b in pairwise(levels)] == pytest.approx([5000 ** (1 / 59)] * 59)


def test_the_last_level_is_one_that_the_prior_knows():
    prior = Half()
    prior.sigma_min = 0.03
    problem = Problem(operators.Identity(SHAPE), torch.zeros(1, *SHAPE))
    SNIPS(steps=60, inner=1, theta=2.0)(problem, prior, noise=torch.zeros_like)
    assert prior.sigmas[-2:] == [0.03, 0.03]


def test_a_budget_keeps_theta_while_the_step_is_small_enough():
    level = SNIPS(variant="level")
    assert level.within(2501) == level
    assert level.within(500).theta == level.theta
    small = SNIPS(variant="paper").within(100)
    assert LEAST_THETA <= small.theta < SNIPS().theta
    assert small.step_size(100.0, 0.01) == pytest.approx(LARGEST_STEP["paper"])


def test_a_budget_is_spent_on_drawing_anew():
    assert SNIPS().within(100).step_size(100.0, 0.01) == pytest.approx(1)
    assert SNIPS().within(2501).theta == 3 * SNIPS().theta


@pytest.mark.parametrize("evaluations", [2, 3, 5])
def test_the_fewest_evaluations_give_a_picture_that_keeps_y(evaluations):
    """With fewer levels than factors of e between the first and the last nothing is drawn anew."""
    method = replace(SNIPS(sigma_max=5.0), inner=1).within(evaluations)
    assert method.steps == evaluations - 1
    x = _samples(method)
    assert x.isfinite().all()
    assert (x[:, :, MASK == 1] == 0.6).all()


@pytest.mark.parametrize(("variant", "fewest"), [("level", 20), ("paper", 38)])
def test_refuses_a_budget_in_which_it_would_not_forget_its_start(variant, fewest):
    method = SNIPS(variant=variant)
    assert method.within(fewest).theta >= LEAST_THETA
    with pytest.raises(ValueError, match=f"{fewest} evaluations or more, not {fewest - 1}"):
        method.within(fewest - 1)
    with pytest.raises(ValueError, match="2 evaluations or more"):
        SNIPS().within(1)


def test_refuses_steps_that_are_too_long():
    problem = Problem(operators.Identity(SHAPE), torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match=r"steps is 20 .* set theta to 5\.87 or less"):
        SNIPS(steps=20, variant="paper")(problem, Half(), noise=torch.zeros_like)
