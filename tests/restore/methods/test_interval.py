"""Methods for quantised measurements, with a JPEG and a denoiser that is a mixture's."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from plain_denoisers import Oracle
from torch import Tensor

import restore
from operators import Jpeg
from restore.methods.ddrm_jpeg import DDRMJpeg
from restore.methods.interval import IntervalDDRM, IntervalPlugAndPlay
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser, FunctionDenoiser
from restore.problem import Problem
from restore.quantised import QuantisedProblem

METHODS = [
    DDRMJpeg(5, timesteps=50),
    IntervalDDRM(5, 0.8, 0.2, 0.01),
    IntervalPlugAndPlay(3, 0.1),
]


def flat(x: Tensor, sigma: float | Tensor) -> Tensor:
    """Pulls pixels to mid-grey: far from any measurement."""
    return 0.5 + (x - 0.5) * 0.3 / (0.3 + float(sigma))


PRIOR: Denoiser = FunctionDenoiser(flat)


@pytest.fixture
def problem() -> QuantisedProblem:
    """Two pictures, 20x26, 4:2:0: blocks reach over the border."""
    operator = Jpeg((3, 20, 26), "4:2:0", torch.full((3, 8, 8), 12.0))
    x = torch.rand(2, 3, 20, 26, generator=torch.Generator().manual_seed(0))
    shift = operator.level_shift()
    y = (operator(x) - shift).round() + shift
    return QuantisedProblem(operator, y, decoder=operator.decoder)


@pytest.mark.parametrize("method", METHODS[1:], ids=lambda method: method.name)
def test_every_coefficient_of_the_result_is_in_its_interval(problem, method):
    x = restore.solve(problem, PRIOR, method, samples=2)
    free = flat(problem.decode(problem.y), 0.1)
    assert problem.inside(free).float().mean() < 0.7
    for sample in x:
        assert problem.inside(sample).all()


def test_ddrm_jpeg_with_the_whole_pull_fits_where_nothing_is_decimated():
    operator = Jpeg((3, 16, 24), "4:4:4", torch.full((3, 8, 8), 12.0))
    x = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    one = QuantisedProblem(operator, operator(x).round(), decoder=operator.decoder)
    assert one.inside(restore.solve(one, PRIOR, DDRMJpeg(5, eta_b=1.0))[0]).float().mean() > 0.999
    assert one.inside(restore.solve(one, PRIOR, DDRMJpeg(5, eta_b=0.4))[0]).float().mean() < 0.99


@pytest.mark.parametrize(
    "method",
    [IntervalDDRM(6, 0.6, 0.2, 0.01), IntervalDDRM(6, 0.0, 0.2, 0.01), DDRMJpeg(6, timesteps=60)],
    ids=lambda method: f"{method.name}-{method.eta:g}",
)
def test_states_have_the_noise_of_their_level(method):
    """With a denoiser that knows x₀, which fits y: every state is N(x₀, σ²).

    15,360 numbers: the mean of the squares is within 6 of its standard errors.
    """
    operator = Jpeg((3, 16, 16), "4:4:4", torch.full((3, 8, 8), 12.0))
    pictures = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    problem = QuantisedProblem(operator, operator(pictures).round(), decoder=operator.decoder)
    oracle = Oracle(pictures)
    oracle.sigma_min = 0.001
    given = dataclasses.replace(method, start=pictures)
    given(problem, oracle, noise=NoiseSource(0, [(i, 0) for i in range(20)]))
    for state, sigma in oracle.seen:
        squares = ((state - pictures) / sigma).square()
        assert abs(float(squares.mean()) - 1) < 6 * (2 / squares.numel()) ** 0.5, sigma


def test_no_budget_takes_more_steps_than_there_are_timesteps():
    assert DDRMJpeg(timesteps=300).within(500).steps == 300
    assert DDRMJpeg(timesteps=300).within(20).steps == 20


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_batches_and_samples(problem, method):
    whole = restore.solve(problem, PRIOR, method, samples=2)
    parts = restore.solve(problem, PRIOR, method, samples=2, batch_size=1)
    assert whole.shape == (2, 2, 3, 20, 26)
    assert torch.equal(whole, parts)
    same = torch.allclose(whole[0], whole[1])
    assert same != method.samples


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_start_is_the_decoded_measurement(problem, method):
    noise = NoiseSource(0, [(0, 0), (0, 1)])
    expected = method(problem, PRIOR, noise=noise)
    start = problem.decode(problem.y)
    given = type(method)(**{**vars(method), "start": start})
    noise = NoiseSource(0, [(0, 0), (0, 1)])
    assert torch.equal(given(problem, PRIOR, noise=noise), expected)


@pytest.mark.parametrize("method", [IntervalDDRM, IntervalPlugAndPlay])
def test_a_level_that_the_prior_does_not_know_is_refused(problem, method):
    with pytest.raises(ValueError, match="the prior knows levels up to"):
        restore.solve(problem, PRIOR, method(sigma_max=1.01 * PRIOR.sigma_max))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_other_problems_are_refused(problem, method):
    plain = Problem(problem.operator, problem.y, problem.noise_std)
    with pytest.raises(ValueError, match=f"{method.name} needs intervals, of a quantised"):
        restore.solve(plain, PRIOR, method)
    with pytest.raises(TypeError, match="the problem is not quantised"):
        method(plain, PRIOR, noise=torch.zeros_like)


def test_hyperparameters_are_checked():
    for make in (
        lambda: DDRMJpeg(eta=2),
        lambda: DDRMJpeg(400),
        lambda: DDRMJpeg(timesteps=1001),
        lambda: IntervalDDRM(eta=-0.1),
        lambda: IntervalDDRM(sigma_max=0.001),
        lambda: IntervalPlugAndPlay(last=0),
        lambda: IntervalPlugAndPlay(0),
    ):
        with pytest.raises(ValueError):
            make()
    narrow = FunctionDenoiser(flat)
    narrow.sigma_max = 0.5
    one = QuantisedProblem(Jpeg((3, 8, 8)), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"from 0\.57\d* to 0\.00\d*; the prior knows"):
        DDRMJpeg()(one, narrow, noise=torch.zeros_like)
