"""ScoreSDE: its predictors and its corrector, its budget, its options.

The measured part, consistency, devices and batches are in test_replacement.py, the agreement with
the authors in tests/reference.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.predictor_corrector import PredictorCorrector, _Halved
from restore.methods.scoresde import ScoreSDE
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (1, 16, 16)
NOTHING = operators.Mask(torch.zeros(16, 16), SHAPE)


class Flat(Denoiser):
    """D = ½; keeps the states that it is shown."""

    sigma_min, sigma_max = 0.01, 50.0

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, float]] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append((x, float(sigma)))
        return torch.full_like(x, 0.5)


def _reverse_diffusion(sigma: float, lower: float) -> tuple[float, float]:
    return (lower / sigma) ** 2, sigma**2 - lower**2


def _euler_maruyama(sigma: float, lower: float) -> tuple[float, float]:
    h = 2 * math.log(sigma / lower)
    return 1 - h, h * sigma**2


def _ancestral(sigma: float, lower: float) -> tuple[float, float]:
    return (lower / sigma) ** 2, lower**2 * (1 - (lower / sigma) ** 2)


PREDICTORS = {
    "reverse-diffusion": _reverse_diffusion,
    "euler-maruyama": _euler_maruyama,
    "ancestral": _ancestral,
}


def _deviation(predictor: str, scale: float = 1.0) -> float:
    """Largest deviation of a state's sum of squares from the law's, in standard errors.

    For x₀ known, x̄' = a x̄ + √b z.
    """
    prior, generator = Flat(), torch.Generator().manual_seed(1)
    method = ScoreSDE(30, predictor, "none", grid="geometric")
    problem = Problem(NOTHING, torch.zeros(100, *SHAPE))
    method(problem, prior, noise=lambda like: scale * torch.randn(like.shape, generator=generator))
    variance, worst = 50.0**2, 0.0
    for (x, sigma), following in pairwise([*prior.seen, (None, 0.0)]):
        squares = (x - 0.5).square() / variance
        worst = max(worst, abs(float(squares.mean()) - 1) * (squares.numel() / 2) ** 0.5)
        if following[1] > 0:
            a, b = PREDICTORS[predictor](sigma, following[1])
            variance = a**2 * variance + b
    return worst


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_predictors_follow_their_law(predictor):
    """30 sums of 25,600 squares each: beyond 6 standard errors once in 5e8, 2e-7 for the test."""
    assert _deviation(predictor) < 6
    assert _deviation(predictor, 2**0.5) > 60


@pytest.mark.parametrize("corrector", ["langevin-paper", "langevin"])
def test_the_corrector_is_langevin_with_its_signal_to_noise_ratio(corrector):
    """x + e g + √(2e) z with ‖e g‖ = r‖√(2e) z‖ for each picture.

    The first of the halved steps, which has no earlier z, has 1 - (1 - e/σ²)² in the place of
    2e/σ², and e is at most σ².
    """
    x, x_hat, z = torch.rand(3, *SHAPE), torch.rand(3, *SHAPE), torch.randn(3, *SHAPE)
    x_hat[1] *= 100
    sampler = PredictorCorrector("none", corrector, 0.2, 1)
    change = sampler._correction(x, x_hat, 0.5, z, _Halved())
    still = sampler._correction(x, x_hat, 0.5, torch.zeros_like(z), _Halved())
    assert not still.any()  # the step has the length of the noise
    score = (x_hat - x) / 0.25
    for one in range(3):
        e = 2 * (0.2 * z[one].norm() / score[one].norm()) ** 2
        length = (2 * e).sqrt()
        if corrector == "langevin":
            e = e.clamp_max(0.25)
            length = 0.5 * (1 - (1 - e / 0.25) ** 2).sqrt()
        torch.testing.assert_close(change[one], e * score[one] + length * z[one])
        if corrector == "langevin":
            continue
        assert abs((e * score[one]).norm() / ((2 * e).sqrt() * z[one]).norm() - 0.2) < 1e-4


def test_a_denoiser_that_changes_nothing_asks_for_no_correction():
    x, sampler = torch.rand(1, *SHAPE), PredictorCorrector("none", "langevin", 0.4, 1)
    for noise in (torch.randn_like(x), torch.zeros_like(x)):
        assert not sampler._correction(x, x, 0.5, noise, _Halved()).any()


@pytest.mark.parametrize(("corrector", "most"), [("langevin", 0.02), ("langevin-paper", 0.18)])
def test_the_halved_corrector_keeps_the_width_of_the_narrow_and_of_the_wide(corrector, most):
    """Half of the pixels N(0.5, 0.05²) and half N(0.5, 0.4²), 300 steps at σ = 0.2.

    51,200 numbers of each: 5 standard errors are 1.6 per cent (false alarm 6e-7).
    """
    width = torch.where(torch.arange(64).reshape(1, 8, 8) % 2 == 0, 0.05, 0.4)
    sigma, generator = 0.2, torch.Generator().manual_seed(0)

    class Independent(Denoiser):
        sigma_min, sigma_max = 0.01, 1.0

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return 0.5 + (x - 0.5) * width**2 / (width**2 + sigma**2)

    seen: list[Tensor] = []

    def kept(x: Tensor, level: float, before: float, share: float) -> Tensor:
        seen.append(x)
        return x

    std = (width**2 + sigma**2).sqrt()
    x = 0.5 + std * torch.randn(1600, 1, 8, 8, generator=generator)
    PredictorCorrector("none", corrector, 0.4, 300).descend(
        Independent(), x, [sigma, 0.0], kept,
        lambda like: torch.randn(like.shape, generator=generator),
    )  # fmt: skip
    ratio = ((seen[-2] - 0.5) / std).square()
    off = [abs(float(ratio[:, width == part].mean().sqrt()) - 1) for part in (0.05, 0.4)]
    assert max(off) < most + 0.016
    assert max(off) > most - 0.02 or corrector == "langevin"


@pytest.mark.parametrize(("corrector", "width"), [("langevin", 1), ("langevin-paper", 0.8**-0.5)])
def test_the_corrector_keeps_the_width_and_that_of_the_paper_does_not(corrector, width):
    """A Gaussian of independent pixels: the standard deviation is 0.2, or 1/√(1 - r²) of that.

    10,240 numbers: 4 standard errors are 2.8 per cent (false alarm 6e-5); that steps have their
    length from x and z widens by 2/d, 1 per cent. r² = 0.2, where the paper has at most 0.03.
    """
    prior = GaussianMixture([1.0], torch.full((1, *SHAPE), 0.5), 0.2, sigma_max=5.0)
    problem = Problem(NOTHING, torch.zeros(1, *SHAPE))
    method = ScoreSDE(100, corrector=corrector, snr=0.2**0.5)
    x = solve(problem, prior, method, samples=40)
    assert abs(float(x.std()) / (0.2 * width) - 1) < 0.04


@pytest.mark.parametrize(
    ("method", "evaluations"),
    [
        (ScoreSDE(5), 10),
        (ScoreSDE(5, corrector_steps=3), 20),
        (ScoreSDE(5, corrector="none", corrector_steps=3), 5),
        (ScoreSDE(5, predictor="none", corrector_steps=3), 16),
    ],
)
def test_each_evaluation_is_reported(method, evaluations):
    steps, prior = [], Flat()
    problem = Problem(NOTHING, torch.zeros(1, *SHAPE))
    method(
        problem,
        prior,
        noise=NoiseSource(0),
        on_step=lambda step, total, x_hat: steps.append((step, total)),
    )
    assert len(prior.seen) == evaluations
    assert steps == [(step, evaluations) for step in range(1, evaluations + 1)]
    assert method.within(evaluations).steps == 5
    assert method.within(evaluations - 1).steps == 4


def test_where_the_corrector_would_forget_its_evaluations_are_levels():
    """With noise and no SVD."""
    blur = operators.Blur(SHAPE, operators.gaussian_kernel(1.0))
    masked = operators.Mask(torch.arange(256).reshape(16, 16) % 3 > 0, SHAPE) @ blur
    assert masked.svd_or_none() is None
    problem = Problem(masked, torch.full((1, *masked.codomain.shape), 0.5), 0.1)
    prior = Flat()
    ScoreSDE(corrector_steps=3).within(20)(problem, prior, noise=NoiseSource(0))
    levels = [sigma for _, sigma in prior.seen]
    assert len(levels) == len(set(levels)) == 20


def test_a_budget_below_one_level_is_refused():
    assert ScoreSDE().within(2).steps == 1
    with pytest.raises(ValueError, match="2 evaluations or more, not 1"):
        ScoreSDE().within(1)
    with pytest.raises(ValueError, match="4 evaluations or more, not 3"):
        ScoreSDE(predictor="none", corrector_steps=3).within(3)


def test_strength_is_the_share_of_the_measurement():
    y = torch.rand(1, *SHAPE)
    problem = Problem(operators.Identity(SHAPE), y)
    x = solve(problem, Flat(), ScoreSDE(3, strength=0.25))[0]
    torch.testing.assert_close(x, 0.25 * y + 0.75 * 0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"predictor": "heun"},
        {"corrector": "ald"},
        {"snr": 0.0},
        {"snr": math.inf},
        {"corrector_steps": 0},
        {"strength": 1.5},
        {"rcond": -1.0},
        {"start": torch.zeros(1, *SHAPE)},
        {"predictor": "none", "corrector": "none"},
    ],
)
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ScoreSDE(**wrong)
