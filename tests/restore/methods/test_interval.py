"""Methods for quantised measurements, with a JPEG and a denoiser that is a mixture's."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from plain_denoisers import Oracle
from scipy.stats import truncnorm
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import restore
from operators import Identity, Jpeg
from restore import quantised
from restore.methods import snips_interval
from restore.methods.ddrm_jpeg import DDRMJpeg
from restore.methods.halved_noise import halves
from restore.methods.interval import IntervalDDRM, IntervalPlugAndPlay
from restore.methods.snips_interval import IntervalSNIPS
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser, FunctionDenoiser
from restore.problem import Problem
from restore.quantised import HALF, QuantisedProblem

METHODS = [
    DDRMJpeg(5, timesteps=50),
    IntervalDDRM(5, 0.8, 0.2, 0.01),
    IntervalPlugAndPlay(3, 0.1),
    IntervalSNIPS(5),
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
    [
        IntervalDDRM(6, 0.6, 0.2, 0.01),
        IntervalDDRM(6, 0.0, 0.2, 0.01),
        DDRMJpeg(6, timesteps=60),
        IntervalSNIPS(6, data_std=1e-6),
        IntervalSNIPS(40, data_std=1e-6),
    ],
    ids=lambda method: f"{method.name}-{getattr(method, 'eta', method.steps):g}",
)
def test_states_have_the_noise_of_their_level(method):
    """With a denoiser that knows x₀, and methods that trust it: every state is N(x₀, σ²).

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


@pytest.mark.parametrize("method", [IntervalDDRM, IntervalPlugAndPlay, IntervalSNIPS])
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
        lambda: IntervalSNIPS(theta=0),
        lambda: IntervalSNIPS(data_std=0),
        lambda: IntervalSNIPS(sigma_max=0.001),
    ):
        with pytest.raises(ValueError):
            make()
    narrow = FunctionDenoiser(flat)
    narrow.sigma_max = 0.5
    one = QuantisedProblem(Jpeg((3, 8, 8)), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"from 0\.57\d* to 0\.00\d*; the prior knows"):
        DDRMJpeg()(one, narrow, noise=torch.zeros_like)


PIXEL, MIDDLE = 0.2, 0.5
GAUSSIAN = FunctionDenoiser(
    lambda x, sigma: MIDDLE + PIXEL**2 / (PIXEL**2 + sigma**2) * (x - MIDDLE)
)


def _against_the_posterior(method: IntervalSNIPS, samples: int) -> tuple[Tensor, Tensor]:
    """Mean errors of coefficients in standard deviations of the posterior, and ratios of these.

    Of independent normal pixels, whose coefficients are so too: given their intervals they are cut.
    """
    operator = Jpeg((1, 16, 16), "4:4:4", torch.linspace(4, 160, 64).reshape(1, 8, 8))
    x = MIDDLE + PIXEL * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    shift = operator.level_shift()
    y = (operator(x) - shift).round() + shift
    problem = QuantisedProblem(operator, y.expand(samples, *y.shape[1:]), decoder=operator.decoder)
    noise = NoiseSource(0, [(i, 0) for i in range(samples)])
    found = operator(method(problem, GAUSSIAN, noise=noise)).double()
    free = operator(torch.full_like(x, MIDDLE))[0].double(), PIXEL * operator.row_norms().double()
    ends = [((y[0] + end - free[0]) / free[1]).numpy() for end in (-HALF, HALF)]
    mean = torch.from_numpy(truncnorm.mean(*ends)) * free[1] + free[0]
    std = torch.from_numpy(truncnorm.std(*ends)) * free[1]
    return (found.mean(0) - mean) / std, found.std(0) / std


@pytest.mark.parametrize(("steps", "narrow"), [(40, 0.04), (100, 0.02)])
def test_samples_have_the_exact_posterior_of_a_gaussian(steps, narrow):
    """Standard errors: 0.045 of a mean, 0.002 of the mean ratio of 256 standard deviations.

    The finest coefficients, whose interval is narrower than the last level, are a tenth too narrow.
    """
    error, ratio = _against_the_posterior(
        IntervalSNIPS(steps, data_std=PIXEL, sigma_max=5.0, sigma_min=0.002), 500
    )
    assert error.square().mean().sqrt() < 0.052
    assert -narrow < ratio.mean() - 1 < 0.006
    assert 0.84 < ratio.min() < ratio.max() < 1.15


@pytest.mark.parametrize("fault", ["noise", "interval", "spread"])
def test_a_planted_factor_is_seen(monkeypatch, fault):
    """√2 on the noise, an interval of 0.7 of its length, or twice the error of the denoiser."""
    if fault == "noise":
        monkeypatch.setattr(
            snips_interval, "halves", lambda *given: [2**0.5 * x for x in halves(*given)]
        )
    elif fault == "interval":
        monkeypatch.setattr(quantised, "HALF", 0.7 * HALF)
    else:
        means = quantised.interval_mean
        monkeypatch.setattr(quantised, "interval_mean", lambda m, std, h: means(m, 2 * std, h))
    error, ratio = _against_the_posterior(
        IntervalSNIPS(100, data_std=PIXEL, sigma_max=5.0, sigma_min=0.002), 200
    )
    seen = error.square().mean().sqrt() > 0.1, abs(ratio.mean() - 1) > 0.03
    assert any(seen), (error.square().mean().sqrt(), ratio.mean())


def test_operators_that_do_not_know_their_rows_are_refused():
    problem = QuantisedProblem(Identity((1, 4, 4)), torch.zeros(1, 1, 4, 4))
    with pytest.raises(TypeError, match=r"Identity does not tell the norms .*; expected a Jpeg"):
        restore.solve(problem, PRIOR, IntervalSNIPS(2))


@pytest.mark.parametrize(
    "method", [DDRMJpeg(3, timesteps=60), IntervalSNIPS(3)], ids=lambda m: m.name
)
def test_nothing_is_read_back_from_an_accelerator(problem, method):
    def refuse(_: Tensor) -> Tensor:
        raise AssertionError("copied to the CPU")

    problem.operator.pinv(problem.y)  # what it keeps is made before
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(Tensor, "cpu", refuse)
        operator = problem.operator._mapped(
            lambda t: torch.empty(t.shape, dtype=t.dtype, device="cuda"), None, {}
        )
        y = torch.empty(2, *operator.codomain.shape, device="cuda")
        there = QuantisedProblem(operator, y)
        x = method(there, FunctionDenoiser(lambda x, sigma: x / 2), noise=torch.randn_like)
    assert x.device.type == "cuda"
    assert x.shape == (2, 3, 20, 26)
