"""CCDF: the estimate that it starts from, its consistency steps, its limit, its options.

The measured part, consistency, devices and batches are in test_replacement.py. There is no code of
the authors to compare with.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.ccdf import CCDF
from restore.methods.scoresde import ScoreSDE
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (3, 8, 8)


def _normal(*shape: int, seed: int = 11) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


OPERATORS = {
    "mask": lambda: operators.Mask(_normal(8, 8) > 0, SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 2),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
    "no-svd": lambda: 3 * operators.Blur(SHAPE, operators.motion_kernel(4, 0.5), "zero"),
}


class Seen(Denoiser):
    """D(x, σ) = x; keeps the states that it is shown."""

    sigma_min, sigma_max = 0.01, 50.0

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append(x)
        return x


def _mixture() -> GaussianMixture:
    return GaussianMixture([0.6, 0.4], 0.5 + 0.2 * _normal(2, *SHAPE, seed=4), [0.2, 0.1])


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", OPERATORS)
def test_from_the_first_level_of_all_it_is_scoresde(name, noise_std):
    operator, prior = OPERATORS[name](), _mixture()
    y = operator(prior.sample(2, torch.Generator().manual_seed(5)))
    problem = Problem(operator, y + noise_std * _normal(*y.shape), noise_std)
    given = {"steps": 5, "sigma_max": 50.0, "start": torch.full((1, *SHAPE), prior.centre)}
    theirs = solve(problem, prior, ScoreSDE(**given))
    assert torch.equal(solve(problem, prior, CCDF(**given)), theirs)
    nearer = solve(problem, prior, CCDF(**(given | {"sigma_max": 0.3})))
    assert not torch.equal(nearer, theirs)


@pytest.mark.parametrize("name", ["mask", "downsample"])
def test_starts_at_the_least_squares_estimate_around_the_centre(name):
    operator, prior = OPERATORS[name](), Seen()
    y = operator(torch.rand(2, *SHAPE))
    method = CCDF(consistency="gradient", rcond=1e-3)
    method(Problem(operator, y), prior, noise=torch.zeros_like)
    start = prior.seen[0]
    assert (operator(start) - y).abs().max() < 1e-3
    # What is not measured is at the centre.
    free = start - 0.5 - operator.pinv(operator(start - 0.5), 1e-3)
    assert free.abs().max() < 1e-3
    noisy = Seen()
    method(Problem(operator, y, 0.2), noisy, noise=torch.zeros_like)
    # Of pixels with the standard deviation ½: ρ = σ_y²/(½)².
    apart = y - operator(torch.full((2, *SHAPE), 0.5))
    damped = operator.solve_normal(operator.adjoint(apart), 4 * 0.2**2)
    torch.testing.assert_close(noisy.seen[0], 0.5 + damped)


def test_a_start_takes_the_place_of_the_estimate():
    prior, guess = Seen(), torch.rand(1, *SHAPE)
    problem = Problem(operators.Mask(torch.zeros(8, 8), SHAPE), torch.zeros(2, *SHAPE))
    CCDF(start=guess)(problem, prior, noise=torch.ones_like)
    torch.testing.assert_close(prior.seen[0], (guess + 0.36).expand(2, *SHAPE))


@pytest.mark.parametrize(
    "method",
    [
        CCDF(),
        CCDF(consistency="gradient", strength=0.5),
        CCDF(consistency="gradient", strength=2.0),
        CCDF(consistency="damped", damping=0.1),
        CCDF(consistency="damped", damping=10.0),
    ],
    ids=lambda method: f"{method.consistency}-{method.strength}-{method.damping}",
)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_consistency_step_is_not_expansive(name, method):
    """Two pictures are not farther apart after it (the contraction that the paper rests on)."""
    operator = OPERATORS[name]()
    problem = Problem(operator, operator(torch.rand(40, *SHAPE)))
    x, other = torch.rand(2, 40, *SHAPE)
    # In one run without a predictor's pull (D(x) = x) and without noise, and from two starts.
    ends = [
        CCDF(
            1,
            0.3,
            method.consistency,
            method.strength,
            method.damping,
            corrector="none",
            start=start,
        )(problem, Seen(), noise=torch.zeros_like)
        for start in (x, other)
    ]
    before, after = (x - other).flatten(1).norm(dim=1), (ends[0] - ends[1]).flatten(1).norm(dim=1)
    # ‖A‖ by power iterations is a few per cent too small.
    assert (after <= before * (1.05 if name == "no-svd" else 1 + 1e-5)).all()


def test_gradient_and_damped_are_their_formulas():
    operator = 2 * OPERATORS["downsample"]()
    y, x = operator(torch.rand(1, *SHAPE)), torch.rand(1, *SHAPE)
    squared = float(operator.svd().largest()) ** 2
    residual = operator.adjoint(y - operator(x))

    def end(**given: object) -> Tensor:
        method = CCDF(1, 0.3, corrector="none", start=x, **given)
        return method(Problem(operator, y), Seen(), noise=torch.zeros_like)

    torch.testing.assert_close(
        end(consistency="gradient", strength=0.5), x + 0.5 / squared * residual
    )
    torch.testing.assert_close(
        end(consistency="damped", damping=0.5),
        x + operator.solve_normal(residual, 0.5 * squared),
    )


def test_a_near_start_keeps_to_its_mode_a_far_one_does_not():
    """Modes that y does not tell apart; from the second, 200 chains each (C13)."""
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)[None]
    prior = GaussianMixture([0.6, 0.4], torch.stack([0.5 + 0.2 * checks, 0.5 - 0.2 * checks]), 0.1)
    operator = operators.Downsample((1, 8, 8), 2, kernel="box")
    problem = Problem(operator, operator(torch.full((1, 1, 8, 8), 0.5)))
    shares = [
        float(
            prior.responsibilities(
                solve(
                    problem,
                    prior,
                    CCDF(30, sigma_max, start=prior.means[1:2]),
                    samples=200,
                )[:, 0]
            )[:, 0].mean()
        )
        for sigma_max in (0.1, 50.0)
    ]
    assert shares[0] < 0.01
    # Five standard errors of 0.035.
    assert abs(shares[1] - 0.6) < 0.175


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma_max": 0.0},
        {"damping": 0.0},
        {"strength": 1.5},
        {"strength": 2.5, "consistency": "gradient"},
        {"strength": 0.5, "consistency": "damped"},
        {"consistency": "exact"},
        {"predictor": "heun"},
        {"rcond": 2.0},
        {"rcond": 0.0},
    ],
)
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CCDF(**wrong)


def test_its_budget_counts_the_corrector():
    assert CCDF(corrector="none").within(7).steps == 7
    assert CCDF(corrector_steps=2).within(7).steps == 2
