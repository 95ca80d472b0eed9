"""DiffPIR, DDRM by conjugate gradients, SNIPS, DDNM: the laws of their states, and what they share.

With a denoiser that knows x₀ each method is linear in its noise: in a singular direction the
state's distance from x₀ is normal with a variance that follows a recursion, written out here from
the formulas (DDNM: N(x₀, σ²), whatever the measurement). So the squares over these variances are χ²
with known degrees of freedom.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import pytest
import torch
from plain_denoisers import Half, Oracle
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import operators
from operators import cg
from restore.methods import Method, ddnm, ddrm_cg, diffpir, methods, snips
from restore.methods.base import descend
from restore.methods.ddnm import DDNM
from restore.methods.ddrm_cg import DDRMCG
from restore.methods.diffpir import DiffPIR
from restore.methods.snips import SNIPS
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import misfit, solve

SHAPE = (3, 8, 8)
CHAINS = 200


def _normal(*shape: int, seed: int = 11) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _draw(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator)


def _mask(*shape: int) -> Tensor:
    return _normal(*shape) > 0


OPERATORS = {
    "identity": lambda: operators.Identity(SHAPE),
    "mask": lambda: operators.Mask(_mask(8, 8), SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 4, kernel="bicubic"),
    "colorize": lambda: operators.Colorize(SHAPE),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
    "blur-valid": lambda: operators.Blur(SHAPE, operators.box_kernel(3), "valid"),
    "hadamard": lambda: operators.Hadamard(SHAPE, 0.4),
}
NO_SVD = {
    "no-svd": lambda: operators.Blur(SHAPE, operators.motion_kernel(4, 0.5), "zero"),
    "masked-blur": lambda: OPERATORS["mask"]() @ OPERATORS["blur"](),
}


# A law gives, for each pair of levels, (a, b, v): the distance d of the state from x₀ becomes
# a d + b n + √v z in a direction s, n being the normal noise of the measurement.
Law = Callable[[Method, Tensor, float, float, float], tuple[Tensor, Tensor, Tensor]]


def _diffpir(method: DiffPIR, s: Tensor, noise_std: float, sigma: float, lower: float):
    gain = s / (s**2 + method.weight * (max(noise_std, 1e-3) / sigma) ** 2)
    kept = torch.full_like(s, (1 - method.zeta) ** 0.5 * lower / sigma)
    return kept, (1 - kept) * gain * noise_std, torch.full_like(s, method.zeta * lower**2)


def _ddrm_cg(method: DDRMCG, s: Tensor, noise_std: float, sigma: float, lower: float):
    q = (1 - method.eta**2) ** 0.5
    std = max(noise_std, float(s.max()) * lower / 50)
    gain = s / (s**2 + (std / lower) ** 2)
    fresh = (method.eta * lower) ** 2 + (q * gain) ** 2 * (
        (s * lower) ** 2 + 2 * std**2 - noise_std**2
    )
    return q * lower / sigma * (1 - gain * s), q * gain * noise_std, fresh


def _snips(method: SNIPS, s: Tensor, noise_std: float, sigma: float, lower: float):
    """Towards x₀ + w (ȳ - x₀), with the variance v around it, at each level."""
    kept = min(math.exp(-method.step_size(method.sigma_max, method.sigma_min)), lower / sigma)

    def law(level: float) -> tuple[Tensor, Tensor]:
        """w σ_y/s and v, by the regimes of y = s (x₀ + σ n) + √(σ_y² - s²σ²) n'."""
        if noise_std == 0:
            return torch.zeros_like(s), torch.full_like(s, level**2)
        y_std = torch.where(s > 0, noise_std / s, math.inf)
        noisier = level**2 / y_std, level**2 - level**4 / y_std**2
        clearer = torch.where(s > 0, y_std, 0), level**2 - y_std**2
        low = s * level < noise_std
        return torch.where(low, noisier[0], clearer[0]), torch.where(low, noisier[1], clearer[1])

    (bias, variance), (next_bias, next_variance) = law(sigma), law(lower)
    fresh = (next_variance - kept**2 * variance).clamp_min(0)
    return torch.full_like(s, kept), next_bias - kept * bias, fresh


def _snips_paper(method: SNIPS, s: Tensor, noise_std: float, sigma: float, lower: float):
    c = method.step_size(method.sigma_max, method.sigma_min)
    bias, share = torch.zeros_like(s), torch.ones_like(s)
    if noise_std > 0:
        low = s * sigma < noise_std
        # The paper's three regimes, each with its step size α.
        step = torch.where(low, 1 - (s * sigma / noise_std) ** 2, 1 - (noise_std / s / sigma) ** 2)
        share = torch.where(s == 0, 1, step)
        bias = torch.where(low, c * sigma**2 * s / noise_std, c * noise_std / s)
    return torch.full_like(s, 1 - c), bias, 2 * c * sigma**2 * share


CASES: dict[str, tuple[Method, Law | None]] = {
    "diffpir": (DiffPIR(steps=8), _diffpir),
    "diffpir-zeta": (DiffPIR(steps=8, weight=0.25, zeta=0.1), _diffpir),
    "ddrm-cg": (DDRMCG(steps=8), _ddrm_cg),
    "ddrm-cg-eta": (DDRMCG(steps=8, eta=0.3), _ddrm_cg),
    "snips": (SNIPS(steps=8, inner=3, theta=2.0, sigma_max=2.0), _snips),
    "snips-level": (SNIPS(8, 3, 2.0, "level", sigma_max=2.0), _snips),
    "snips-paper": (SNIPS(8, 3, 2.0, "paper", sigma_max=2.0), _snips_paper),
    "ddnm": (DDNM(steps=8), None),
    "ddnm-travel": (DDNM(steps=6, eta=0.5, travel_length=2, travel_repeat=2), None),
}


def _variances(
    law: Law | None, method: Method, s: Tensor, start: Tensor, noise_std: float, sigmas: list[float]
) -> Iterator[Tensor]:
    """Variance of the state at each level; `start` is the covariance with n at the first."""
    variance, covariance = torch.full_like(s, sigmas[0] ** 2), start
    yield variance
    for sigma, lower in pairwise(sigmas):
        if law is None:
            yield torch.full_like(s, lower**2)
            continue
        a, b, fresh = law(method, s, noise_std, sigma, lower)
        variance = a**2 * variance + b**2 + 2 * a * b * covariance + fresh
        covariance = a * covariance + b
        yield variance


def _largest_deviation(case: str, name: str, noise_std: float, scale: float = 1.0) -> float:
    """Largest deviation of a sum of squares from its mean, in standard errors, over the states."""
    method, law = CASES[case]
    pictures = 0.5 + 0.2 * _normal(CHAINS, *SHAPE, seed=1)
    operator = OPERATORS[name]()
    y = operator(pictures)
    problem = Problem(operator, y + noise_std * _normal(*y.shape), noise_std)
    oracle = Oracle(pictures)
    generator = torch.Generator().manual_seed(2)
    # From σ₁ = 2 the distance of the centre from x₀ would count.
    started = isinstance(method, SNIPS)
    if started:
        method = dataclasses.replace(method, start=pictures)
    method(problem, oracle, noise=lambda like: scale * _draw(like, generator))
    svd = operator.svd().truncated(1e-6)
    s = torch.cat([svd.singular_values.flatten().double(), torch.zeros(1)])  # and what V leaves out
    start = torch.zeros_like(s)
    if started or law is None:
        start = torch.where(s * oracle.seen[0][1] > noise_std, noise_std / s, start)
    worst = 0.0
    sigmas = [sigma for _, sigma in oracle.seen]
    if started:
        assert len(sigmas) == method.steps * method.inner + 1
    for (x, _), variance in zip(
        oracle.seen, _variances(law, method, s, start, noise_std, sigmas), strict=True
    ):
        distance = (x - pictures).double()
        bar = svd.vt(x - pictures).double().flatten(1)
        rest = (distance.square().sum() - bar.square().sum()) / variance[-1]
        squares = bar.square().sum(0) / variance[:-1]
        measured = s[:-1] > 0
        for total, freedom in (
            (squares.sum() + rest, distance.numel()),
            (squares[measured].sum(), CHAINS * int(measured.sum())),
        ):
            worst = max(worst, abs(float(total - freedom)) / math.sqrt(2 * freedom))
    return worst


# 200 chains of 192 numbers, 8 to 25 states, all numbers and the measured: some 3000 sums. Beyond 6
# standard errors a true sum comes once in 5e8: false alarm of the whole test below 1e-5.
LIMIT = 6.0


@pytest.mark.parametrize("noise_std", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("case", CASES)
def test_states_follow_their_law(case, name, noise_std):
    assert _largest_deviation(case, name, noise_std) < LIMIT


def test_one_solve_keeps_the_variance_of_its_levels_to_nine_per_cent():
    """ddrm-cg with η = 0.85: 1 without noise, at most 1.09 with it."""
    s = torch.logspace(-4, 0, 200, dtype=torch.float64)
    sigmas = [50 * 0.7**i for i in range(30)]
    for noise_std, most in ((0.0, 1 + 1e-9), (0.02, 1.09), (0.5, 1.09)):
        law = _variances(_ddrm_cg, DDRMCG(), s, torch.zeros_like(s), noise_std, sigmas)
        for sigma, variance in zip(sigmas, law, strict=True):
            assert float((variance / sigma**2).min()) >= 1 - 1e-9
            assert float((variance / sigma**2).max()) <= most


def _half_a_step(patch: pytest.MonkeyPatch) -> None:
    def halved(prior, x, sigmas, step, on_step=None):
        return descend(
            prior, x, sigmas, lambda x, x_hat, sigma, low: step(x, x_hat, sigma, low / 2), on_step
        )

    for module in (diffpir, ddrm_cg, ddnm, snips):
        patch.setattr(module, "descend", halved)
    langevin = snips._Steps.__init__
    patch.setattr(
        snips._Steps,
        "__init__",
        # The paper's step knows no other level than its own.
        lambda self, at, c, z, variant: langevin(self, at, c / 2, z, variant),
    )


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", ["mask", "blur", "hadamard"])
@pytest.mark.parametrize("case", CASES)
class TestOfTheTest:
    """A planted factor must turn the test of the laws red."""

    def test_root_two_on_the_noise(self, case, name, noise_std):
        assert _largest_deviation(case, name, noise_std, 2**0.5) > 5 * LIMIT

    def test_half_a_step(self, case, name, noise_std, monkeypatch):
        _half_a_step(monkeypatch)
        assert _largest_deviation(case, name, noise_std) > 5 * LIMIT


METHODS = [
    DiffPIR(steps=4),
    DDRMCG(steps=4),
    SNIPS(steps=12, inner=2, theta=1.5, sigma_max=2.0),
    DDNM(steps=4),
    DDNM(steps=4, travel_length=2, travel_repeat=3),
]


def _name(method: Method) -> str:
    return f"{method.name}-travel" if getattr(method, "travel_repeat", 1) > 1 else method.name


def _mixture() -> GaussianMixture:
    return GaussianMixture([0.6, 0.4], 0.5 + 0.2 * _normal(2, *SHAPE, seed=4), [0.2, 0.1])


@pytest.mark.parametrize("name", [*OPERATORS, *NO_SVD])
@pytest.mark.parametrize("method", METHODS[1:], ids=_name)
def test_noiseless_measurements_are_met(method, name, device):
    operator = (OPERATORS | NO_SVD)[name]().to(device)
    y = operator(_mixture().sample(2, torch.Generator().manual_seed(5)).to(device))
    problem = Problem(operator, y)
    if name in NO_SVD and "svd" in method.needs:
        assert misfit(method, problem) is not None
        return
    x = solve(problem, _mixture(), method)[0]
    assert (operator(x) - y).abs().max() <= 1e-3


@pytest.mark.parametrize("noise_std", [1e-4, 1e-3])
@pytest.mark.parametrize("name", ["mask", "downsample", "colorize", "masked-blur"])
@pytest.mark.parametrize(
    "method",
    [
        methods()["snips"]().within(60),
        *(
            methods()[name](steps=20)
            for name in ("ddrm", "ddnm", "ddrm-cg", "scoresde", "ilvr", "ccdf", "mcgdiff")
        ),
    ],
    ids=_name,
)
def test_a_measurement_clearer_than_the_last_level_is_kept_to_its_noise(method, name, noise_std):
    """The last level is 0.02, of whose error a mixture's denoising leaves most: 20 to 200 σ_y."""
    prior = GaussianMixture(
        [0.6, 0.4], 0.5 + 0.2 * _normal(2, *SHAPE, seed=4), [0.2, 0.1], sigma_min=0.02
    )
    operator = (OPERATORS | NO_SVD)[name]()
    clean = operator(prior.sample(2, torch.Generator().manual_seed(5)))
    at = operator(torch.ones(2, *SHAPE)) != 0
    problem = Problem(operator, clean + noise_std * at * _normal(*clean.shape), noise_std)
    if misfit(method, problem) is not None:
        return
    residual = (operator(solve(problem, prior, method)[0]) - problem.y)[at]
    assert 0.5 < residual.square().mean().sqrt() / noise_std < 3


@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_with_noise_the_result_is_denoised(method):
    pictures = torch.rand(1, *SHAPE)
    operator = OPERATORS["blur"]()
    problem = Problem(operator, operator(pictures) + 0.1 * _normal(1, *SHAPE), 0.1)
    x = solve(problem, Oracle(pictures), method)[0]
    torch.testing.assert_close(x, pictures, rtol=0, atol=1e-6)


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", ["mask", "no-svd"])
@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_a_sample_does_not_depend_on_its_batch(method, name, noise_std):
    operator = (OPERATORS | NO_SVD)[name]()
    pictures = _mixture().sample(3, torch.Generator().manual_seed(6))
    problem = Problem(operator, operator(pictures), noise_std)
    if misfit(method, problem) is not None:
        return
    prior = _mixture()
    together = solve(problem, prior, method, samples=2, seed=0)
    apart = solve(problem, prior, method, samples=2, seed=0, batch_size=1)
    # What rounding makes of an ill-conditioned solve.
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-3)
    assert torch.equal(together, solve(problem, prior, method, samples=2, seed=0))
    assert (together - solve(problem, prior, method, samples=2, seed=1)).abs().max() > 1e-2


@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_each_evaluation_is_told(method):
    oracle = Oracle(torch.rand(1, *SHAPE))
    problem = Problem(OPERATORS["mask"](), torch.zeros(1, *SHAPE))
    told: list[tuple[int, int]] = []
    solve(problem, oracle, method, on_step=lambda step, total, _: told.append((step, total)))
    assert told == [(k, len(oracle.seen)) for k in range(1, len(oracle.seen) + 1)]


@pytest.mark.parametrize("budget", [40, 41, 100, 101, 555])
@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_keeps_within_its_budget(method, budget):
    oracle = Oracle(torch.rand(1, *SHAPE))
    problem = Problem(OPERATORS["mask"](), torch.zeros(1, *SHAPE))
    method.within(budget)(problem, oracle, noise=torch.zeros_like)
    assert 0.9 * budget <= len(oracle.seen) <= budget


@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_complex_pictures(method):
    """A real prior on complex pictures; the last denoised picture is the oracle's."""
    shape = (1, 8, 8)
    clean = torch.complex(_normal(2, *shape), _normal(2, *shape, seed=3))

    class Parts(Oracle):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            assert not x.is_complex()
            return torch.cat([clean.real, clean.imag])

    operator = operators.Mask(_mask(8, 8), shape, dtype=torch.complex64)
    problem = Problem(operator, operator(clean), 0.05)
    assert torch.equal(solve(problem, Parts(clean), method)[0], clean)


def test_both_modes_are_found():
    """Modes that the measurement cannot tell apart: 0.6 and 0.4 of 400 chains each.

    The weight has a standard error of 0.0245; 6 of them leave these methods the few hundredths of
    bias that they have, and an exact one a false alarm of 2e-9.
    """
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)[None]
    prior = GaussianMixture([0.6, 0.4], torch.stack([0.5 + 0.2 * checks, 0.5 - 0.2 * checks]), 0.1)
    operator = operators.Downsample((1, 8, 8), 2, kernel="box")
    y = operator(prior.sample(1, torch.Generator().manual_seed(3)))
    for noise_std in (0.0, 0.05):
        problem = Problem(operator, y, noise_std)
        repeated = Problem(operator, y.expand(400, -1, -1, -1), noise_std)
        posterior = prior.posterior(problem)
        exact = float(posterior.weights[0])
        for method in (DiffPIR(), DDRMCG(), SNIPS().within(200), DDNM()):
            generator = torch.Generator().manual_seed(7)
            x = method(repeated, prior, noise=lambda like, g=generator: _draw(like, g))
            weight = float(posterior.responsibilities(x)[:, 0].mean())
            assert abs(weight - exact) < 6 * 0.0245, method.name


class TestOnAFakeAccelerator:
    """The whole loop under fake tensors: what waits for the device, or leaves it, raises."""

    def _run(self, method: Method, problem: Problem, prior: Denoiser) -> Tensor:
        def refuse(*args: object, **kwargs: object) -> None:
            raise AssertionError("the loop copies to the CPU")

        problem.operator.svd_or_none()  # as `solve` does
        with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
            patch.setattr(Tensor, "cpu", refuse)  # fake tensors allow it
            patch.setattr(cg, "UNWATCHED_ITERATIONS", 5)
            moved = problem.operator._mapped(
                lambda t: torch.empty(t.shape, dtype=t.dtype, device="cuda"), None, {}
            )
            y = torch.empty(problem.y.shape, device="cuda")
            return method(Problem(moved, y, problem.noise_std), prior, noise=torch.randn_like)

    def _problem(self, name: str, noise_std: float) -> Problem:
        operator = (OPERATORS | NO_SVD)[name]()
        return Problem(operator, torch.zeros(2, *operator.codomain.shape), noise_std)

    @pytest.mark.parametrize("noise_std", [0.0, 0.05])
    @pytest.mark.parametrize("name", ["mask", "downsample", "blur", "no-svd"])
    @pytest.mark.parametrize("method", METHODS, ids=_name)
    def test_runs(self, method, name, noise_std):
        problem = self._problem(name, noise_std)
        if misfit(method, problem) is not None:
            return
        x = self._run(method, problem, Half())
        assert x.device.type == "cuda"
        assert x.shape == (2, *SHAPE)

    @pytest.mark.parametrize(
        "slip",
        [
            lambda x: x * float(x.mean()),
            lambda x: x[x > 0].mean() + x,
            lambda x: x + torch.zeros(SHAPE, device="cpu"),
            lambda x: x.cpu(),
        ],
    )
    @pytest.mark.parametrize("method", METHODS, ids=_name)
    def test_of_the_test(self, method, slip):
        class Slip(Half):
            def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
                return slip(x)

        with pytest.raises(Exception, match=r"(?i)item|data.dependent|dynamic|device|cpu"):
            self._run(method, self._problem("mask", 0.05), Slip())


def _refusals() -> Iterable[tuple[type[Method], dict[str, object]]]:
    for cls in (DiffPIR, DDRMCG, SNIPS, DDNM):
        yield cls, {"start": torch.zeros(1, *SHAPE)}
    yield from ((DiffPIR, {"zeta": 1.1}), (DiffPIR, {"weight": 0.0}))
    yield from ((DDRMCG, {"eta": 1.0}), (DDRMCG, {"eta": -0.1}), (DDRMCG, {"rcond": 0.0}))
    yield from ((SNIPS, {"theta": 1.0}), (SNIPS, {"steps": 0}), (SNIPS, {"inner": 0}))
    yield from ((SNIPS, {"sigma_min": 0.0}), (SNIPS, {"rcond": -1.0}))
    yield from ((DDNM, {"eta": 1.1}), (DDNM, {"travel_length": 0}), (DDNM, {"travel_repeat": 0}))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("diffpir", "weight"), ("snips", "theta"), ("dps", "zeta"), ("daps", "time"),
        ("reddiff", "weight"), ("reddiff", "rate"), ("pnp", "weight"), ("pigdm", "data_std"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0])
def test_refuses_what_is_no_number_above_0(name, field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}; it must be above"):
        methods()[name](**{field: value})


def test_too_few_steps_for_theta_advise_no_theta_that_is_refused():
    level = SNIPS(steps=30, inner=1, variant="level")
    with pytest.raises(ValueError, match=r"inner, or set theta to \d\.\d+ or less, or set variant"):
        level.step_size(50.0, 0.01)
    with pytest.raises(ValueError, match=r"raise steps or inner, or set variant to halved$"):
        dataclasses.replace(level, steps=8).step_size(50.0, 0.01)


@pytest.mark.parametrize("name", ["ddrm", "scoresde", "ddrm-cg", "pigdm"])
def test_a_start_has_the_number_type_of_the_pictures(name):
    problem = Problem(OPERATORS["mask"](), torch.zeros(1, *SHAPE), 0.1)
    for start in (torch.zeros(1, *SHAPE).double(), torch.zeros(1, *SHAPE, dtype=torch.complex64)):
        method = methods()[name](steps=5, start=start, sigma_max=1.0)
        with pytest.raises(ValueError, match=rf"start is {start.dtype}; the pictures are torch"):
            solve(problem, Half(), method)


@pytest.mark.parametrize(("cls", "wrong"), list(_refusals()))
def test_refuses(cls, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cls(**wrong)


@pytest.mark.parametrize("name", methods())
@pytest.mark.parametrize("budget", [0, -5])
def test_no_budget_is_no_method(name, budget):
    with pytest.raises(ValueError, match=f"not {budget}"):
        methods()[name]().within(budget)
