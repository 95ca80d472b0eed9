"""What ScoreSDE, ILVR and CCDF share: the measured part of x at the level of x, at every level.

With a denoiser that knows x₀ and ancestral steps every state x of level σ is N(x₀, σ²I) given x₀
alone, for every operator and noise, by the spectral rule and by the matrix-free one. So the squares
of (x - x₀)/σ, and those of its measured part alone, are χ² with known degrees of freedom.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math

import pytest
import torch
from plain_denoisers import Half, Oracle
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import operators
from operators import LinearOperator, cg
from restore.methods import Method, ilvr, replacement, scoresde
from restore.methods.base import ddim
from restore.methods.ccdf import CCDF
from restore.methods.ilvr import ILVR
from restore.methods.predictor_corrector import PredictorCorrector
from restore.methods.replacement import MatrixFreeReplacement, SpectralReplacement
from restore.methods.scoresde import ScoreSDE
from restore.methods.spectral import Spectrum
from restore.noise import NoiseSource
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (3, 8, 8)
CHAINS = 100
LEVELS = 8


def _normal(*shape: int, seed: int = 11) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _mask(*shape: int) -> Tensor:
    return _normal(*shape) > 0


OPERATORS = {
    "identity": lambda: operators.Identity(SHAPE),
    "mask": lambda: operators.Mask(_mask(8, 8), SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 4, kernel="bicubic"),
    "colorize": lambda: operators.Colorize(SHAPE),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
    "blur-circular": lambda: operators.Blur(SHAPE, operators.motion_kernel(4, 0.5), "circular"),
    "blur-valid": lambda: operators.Blur(SHAPE, operators.box_kernel(3), "valid"),
    "hadamard": lambda: operators.Hadamard(SHAPE, 0.4),
}
NO_SVD = {
    "no-svd": lambda: operators.Blur(SHAPE, operators.motion_kernel(4, 0.5), "zero"),
    "masked-blur": lambda: OPERATORS["mask"]() @ OPERATORS["blur"](),
}
ANCESTRAL = {
    "scoresde": ScoreSDE(steps=LEVELS, predictor="ancestral", corrector="none", rcond=1e-6),
    "ilvr": ILVR(steps=LEVELS, rcond=1e-6),
    "ccdf": CCDF(steps=LEVELS, sigma_max=50.0, corrector="none", rcond=1e-6),
}


class Plain(LinearOperator):
    """An operator that does not tell its SVD."""

    _real_matrix = False  # the inner one takes complex arrays as they are

    def __init__(self, inner: LinearOperator) -> None:
        super().__init__(inner.domain, inner.codomain)
        self._inner = inner

    def _apply(self, x: Tensor) -> Tensor:
        return self._inner(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._inner.adjoint(y)


@pytest.fixture
def matrix_free(monkeypatch) -> None:
    """The matrix-free rule where there is an SVD (which then solves), at any damping."""

    def without_svd(problem, noise, *, noise_aware, strength, rcond):
        assert noise_aware is None
        return MatrixFreeReplacement(problem, noise, strength, rcond, reach=1e9)

    for module in (scoresde, ilvr):
        monkeypatch.setattr(module, "replacement", without_svd)


def _problem(operator: LinearOperator, x: Tensor, noise_std: float) -> Problem:
    y = operator(x)
    return Problem(operator, y + noise_std * _normal(*y.shape), noise_std)


def _largest_deviation(method: Method, name: str, noise_std: float, scale: float = 1.0) -> float:
    """Largest deviation of a sum of squares from its mean, in standard errors, over the states."""
    pictures = 0.5 + 0.2 * _normal(CHAINS, *SHAPE, seed=1)
    operator = (OPERATORS | NO_SVD)[name]()
    problem = _problem(operator, pictures, noise_std)
    oracle = Oracle(pictures)
    generator = torch.Generator().manual_seed(2)
    method(problem, oracle, noise=lambda like: scale * torch.randn(like.shape, generator=generator))
    assert len(oracle.seen) == method.steps
    worst = 0.0
    for x, sigma in oracle.seen:
        standard = (x - pictures) / sigma
        sums = [(standard.square().sum(), standard.numel())]
        if name in OPERATORS:
            svd = operator.svd().truncated(1e-6)
            measured = svd.singular_values > 0
            # Half of a real picture's numbers in a complex basis come twice.
            part = svd.v(measured * svd.vt(standard))
            sums.append((part.square().sum(), CHAINS * _rank(name)))
        for total, freedom in sums:
            worst = max(worst, abs(float(total - freedom)) / math.sqrt(2 * freedom))
    return worst


@functools.cache
def _rank(name: str) -> int:
    operator = OPERATORS[name]()
    unit = torch.eye(operator.domain.numel).reshape(-1, *SHAPE)
    return int(torch.linalg.matrix_rank(operator(unit).flatten(1).double(), rtol=1e-6))


# 100 chains of 192 numbers, 8 states, all numbers and the measured: 16 sums a run, 66 runs.
# Beyond 6 standard errors a true sum comes once in 5e8: false alarm of the whole test about 2e-6.
LIMIT = 6.0


LEVEL_RUNS = [
    *(("scoresde", name, noise_std) for name in OPERATORS for noise_std in (0.0, 0.05, 0.5)),
    *((method, name, 0.05) for method in ("ilvr", "ccdf") for name in ("mask", "blur", "hadamard")),
]


@pytest.mark.parametrize(("method", "name", "noise_std"), LEVEL_RUNS)
class TestLevels:
    def test_of_the_spectral_rule(self, method, name, noise_std):
        assert _largest_deviation(ANCESTRAL[method], name, noise_std) < LIMIT

    def test_of_the_matrix_free_rule(self, method, name, noise_std, matrix_free):
        assert _largest_deviation(ANCESTRAL[method], name, noise_std) < LIMIT


@pytest.mark.parametrize("noise_std", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("name", NO_SVD)
def test_levels_by_conjugate_gradients(name, noise_std):
    """At the usual damping, whose error is below what 100 chains can tell: 48 sums, as above."""
    assert _largest_deviation(ANCESTRAL["scoresde"], name, noise_std) < LIMIT


def test_levels_of_the_matrix_free_rule_whatever_the_steps():
    """Its law with an oracle, by the recursion of variance and covariance with the noise of y."""
    for steps in (10, 100, 1000):
        sigmas = [50 * (1e-4) ** (i / (steps - 1)) for i in range(steps)]
        for s in (0.002, 0.02, 0.2, 1.0):
            for noise_std in (0.05, 0.5):
                worst = max(abs(v - 1) for v in _law(s, noise_std, sigmas, least=1e-9))
                assert worst < 1e-6
                # With the damping that is usual for ‖A‖ = 1, most where σ = 50 σ_y and s = 1/50.
                damped = [abs(v - 1) for v in _law(s, noise_std, sigmas, least=1 / 50)]
                assert max(damped) < 0.25
                assert damped[-1] < 1e-4


def _law(s: float, noise_std: float, sigmas: list[float], least: float) -> list[float]:
    """Var(x̄ | x₀)/σ² after each replacement."""
    tau, variances = noise_std / s, []
    for index, sigma in enumerate(sigmas):
        before, kept = (sigma, 0.0) if index == 0 else (sigmas[index - 1], 0.0)
        if index == 0:
            variance, covariance = sigma**2, 0.0
        else:
            kept = (sigma / before) ** 2
            variance = kept**2 * variance + sigma**2 * (1 - kept)
            covariance = kept * covariance
        c, c_before = max(noise_std / sigma, least), max(noise_std / before, least)
        gain = s**2 / (s**2 + c**2)
        if index:
            gain *= 1 - kept * c**2 / (1 - kept) / (s**2 + c_before**2 / (1 - kept))
        extra = 2 * (c * sigma) ** 2 / (1 - kept) - noise_std**2
        variance = (
            (1 - gain) ** 2 * variance
            + 2 * gain * (1 - gain) * covariance
            + gain**2 * (tau**2 + sigma**2 + extra / s**2)
        )
        covariance = (1 - gain) * covariance + gain * tau**2
        variances.append(variance / sigma**2)
    return variances


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", ["mask", "downsample", "blur", "hadamard"])
class TestOfTheTest:
    """A planted factor must turn the test of the levels red."""

    def test_root_two_on_the_noise(self, name, noise_std):
        found = _largest_deviation(ANCESTRAL["scoresde"], name, noise_std, 2**0.5)
        assert found > 2 * LIMIT

    def test_root_two_on_the_noise_of_the_measured_part(self, name, noise_std, monkeypatch):
        std = Spectrum.deviation
        monkeypatch.setattr(Spectrum, "deviation", lambda *args: 2**0.5 * std(*args))
        assert _largest_deviation(ANCESTRAL["ilvr"], name, noise_std) > 2 * LIMIT

    def test_half_a_replacement(self, name, noise_std):
        method = ScoreSDE(LEVELS, "ancestral", "none", strength=0.5)
        assert _largest_deviation(method, name, noise_std) > 2 * LIMIT

    def test_half_a_replacement_without_svd(self, name, noise_std, matrix_free):
        method = ScoreSDE(LEVELS, "ancestral", "none", strength=0.5)
        assert _largest_deviation(method, name, noise_std) > 2 * LIMIT


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", ["mask", "downsample", "colorize", "hadamard"])
def test_of_the_test_half_a_predictor_step(name, noise_std, monkeypatch):
    predict = PredictorCorrector._predict
    monkeypatch.setattr(
        PredictorCorrector,
        "_predict",
        lambda self, x, x_hat, *args: predict(self, x, (x + x_hat) / 2, *args),
    )
    assert _largest_deviation(ANCESTRAL["ccdf"], name, noise_std) > 2 * LIMIT


@pytest.mark.parametrize("name", ["identity", "downsample", "blur"])
def test_of_the_test_y_counted_anew_at_each_level(name, matrix_free, monkeypatch):
    """One solve with c = σ_y/σ: right for one replacement, not for a chain of them."""
    change = MatrixFreeReplacement._change
    monkeypatch.setattr(
        MatrixFreeReplacement,
        "_change",
        lambda self, x, sigma, before, kept: change(self, x, sigma, before, 0.0),
    )
    method = ScoreSDE(40, "ancestral", "none")
    assert _largest_deviation(method, name, 0.5) > 2 * LIMIT


@pytest.mark.parametrize("name", ["identity", "mask", "downsample", "colorize", "hadamard"])
def test_noiseless_the_two_rules_agree(name):
    """For singular values far above the damping of the matrix-free one, with the same noise."""
    operator = OPERATORS[name]()
    problem = _problem(operator, torch.rand(2, *SHAPE), 0.0)
    x, z = torch.rand(2, *SHAPE), _normal(2, *SHAPE)
    for sigma in (0.3, 0.0):
        draws = iter([z, z, torch.zeros_like(problem.y)])
        spectral = SpectralReplacement(problem, lambda like: next(draws), 1.0, 1e-6)  # noqa: B023
        free = MatrixFreeReplacement(problem, spectral.noise, 1.0, 1e-4, reach=1e4)
        expected = spectral(x, sigma, 1.0, 0.1)
        assert (free(x, sigma, 1.0, 0.1) - expected).abs().max() < 1e-3
        assert (x - expected).abs().max() > 0.01


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize(
    ("name", "limit"),
    # The residual of the solves is amplified where the singular values are small.
    [("mask", 2e-3), ("downsample", 2e-3), ("colorize", 2e-3), ("blur", 0.05)],
)
def test_conjugate_gradients_agree_with_the_svd(name, limit, noise_std):
    operator = OPERATORS[name]()
    problem = _problem(operator, torch.rand(2, *SHAPE), noise_std)
    hidden = Problem(Plain(operator), problem.y, noise_std)
    x = torch.rand(2, *SHAPE)
    for sigma, before, kept in ((1.0, 1.0, 0.0), (0.3, 1.0, 0.09), (0.0, 0.3, 0.0)):
        results = []
        for one in (problem, hidden):
            made = MatrixFreeReplacement(one, lambda like: _normal(*like.shape), 1.0, 1e-2)
            # 30 power iterations come to ‖A‖ from below.
            made.least = torch.tensor(1 / 50)
            results.append(made(x, sigma, before, kept))
        assert (results[0] - results[1]).abs().max() < limit


METHODS = {
    **ANCESTRAL,
    "scoresde-pc": ScoreSDE(steps=10),
    "scoresde-reverse": ScoreSDE(steps=10, predictor="reverse-diffusion"),
    "scoresde-euler": ScoreSDE(steps=40, predictor="euler-maruyama", corrector="none"),
    "scoresde-langevin": ScoreSDE(steps=10, predictor="none", corrector_steps=2, rcond=1e-6),
    "ccdf-near": CCDF(steps=5),
}


def _mixture() -> GaussianMixture:
    return GaussianMixture([0.6, 0.4], 0.5 + 0.2 * _normal(2, *SHAPE, seed=4), [0.2, 0.1])


@pytest.mark.parametrize("name", [*OPERATORS, *NO_SVD])
@pytest.mark.parametrize("method", METHODS)
def test_noiseless_measurements_are_met(method, name, device):
    operator = (OPERATORS | NO_SVD)[name]().to(device)
    prior = _mixture()
    y = operator(prior.sample(2, torch.Generator().manual_seed(5)).to(device))
    x = METHODS[method](Problem(operator, y), prior, noise=NoiseSource(0, [(0, 0), (0, 1)]))
    assert x.isfinite().all()
    assert (operator(x) - y).abs().max() <= 1e-3


@pytest.mark.parametrize("method", [*ANCESTRAL, "scoresde-pc", "ccdf-near"])
def test_the_noise_of_a_blur_is_not_amplified_unless_as_published(method):
    """Singular values down to 1e-3: prior standard deviation 0.2, errors of 0.25 and above 1."""
    operator = OPERATORS["blur"]()
    prior = _mixture()
    truth = prior.sample(100, torch.Generator().manual_seed(5))
    problem = _problem(operator, truth, 0.05)
    aware = solve(problem, prior, METHODS[method])[0]
    assert (aware - truth).square().mean().sqrt() < 0.5
    published = dataclasses.replace(METHODS[method], noise_aware=False)
    x = solve(problem, prior, published)[0]
    assert (operator(x) - problem.y).abs().max() < 0.05
    assert (x - truth).square().mean().sqrt() > 0.5


@pytest.mark.parametrize("name", ["downsample", "masked-blur"])
@pytest.mark.parametrize("method", ["ilvr", "scoresde-pc", "ccdf-near"])
def test_a_sample_depends_on_its_seed_not_on_its_batch(method, name):
    operator = (OPERATORS | NO_SVD)[name]()
    problem = _problem(operator, _mixture().sample(3, torch.Generator().manual_seed(5)), 0.05)
    together, alone, again, other = (
        solve(problem, Half(), METHODS[method], seed=seed, samples=2, batch_size=size)
        for seed, size in ((0, 6), (0, 1), (0, 6), (1, 6))
    )
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert (together - other).abs().mean() > 1e-3


@pytest.mark.parametrize("method", ["scoresde", "ilvr", "ccdf"])
def test_complex_pictures(method):
    """A real prior on complex pictures; the noise has its level in either part."""
    shape = (1, 16, 16)
    pictures = torch.complex(_normal(50, *shape), _normal(50, *shape, seed=3))

    class Parts(Oracle):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            assert not x.is_complex()
            super().__call__(x, sigma)
            return torch.cat([pictures.real, pictures.imag])

    for inner in (
        operators.Mask(_mask(16, 16), shape, dtype=torch.complex64),
        Plain(operators.Blur(shape, torch.ones(3) / 3, "zero", dtype=torch.complex64)),
    ):
        clean = inner(pictures)
        noise = torch.complex(_normal(*clean.shape, seed=5), _normal(*clean.shape, seed=6))
        prior = Parts(pictures)
        problem = Problem(inner, clean + 0.05 * noise, 0.05)
        x = ANCESTRAL[method](problem, prior, noise=NoiseSource(0, [(i, 0) for i in range(50)]))
        assert torch.equal(x, pictures)
        for state, sigma in prior.seen:
            # 12,800 numbers a part; 6 standard errors.
            for part, truth in zip(state.chunk(2), (pictures.real, pictures.imag), strict=True):
                squares = ((part - truth) / sigma).square()
                assert (squares.mean() - 1).abs() * squares.numel() ** 0.5 < 6 * 2**0.5


FAKE = {
    "masks": lambda: operators.Mask(_mask(2, 1, 8, 8), SHAPE),
    "downsample": OPERATORS["downsample"],
    "blur": OPERATORS["blur"],
    "no-svd": NO_SVD["no-svd"],
    "complex": lambda: operators.Mask(_mask(8, 8), SHAPE, dtype=torch.complex64),
}
ON_A_FAKE = {
    "scoresde": ScoreSDE(steps=3),
    "ilvr": ILVR(steps=3),
    "ilvr-resize": ILVR(steps=3, phi="resize", guide=torch.rand(1, *SHAPE)),
    "ccdf": CCDF(steps=3),
    "ccdf-gradient": CCDF(steps=3, consistency="gradient"),
    "ccdf-damped": CCDF(steps=3, consistency="damped"),
}


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", FAKE)
@pytest.mark.parametrize("method", ON_A_FAKE)
def test_the_loop_does_not_wait_for_the_device(method, name, noise_std, monkeypatch):
    """Under fake tensors what reads a value, or leaves the device, raises."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the loop copies to the CPU")

    operator, run = FAKE[name](), ON_A_FAKE[method]
    with contextlib.suppress(operators.NoFastSVD):
        operator.svd()
    monkeypatch.setattr(cg, "UNWATCHED_ITERATIONS", 3)
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(Tensor, "cpu", refuse)  # fake tensors allow it

        def move(t: Tensor) -> Tensor:
            return torch.empty(t.shape, dtype=t.dtype, device="cuda")

        if method == "ilvr-resize":
            run = ILVR(steps=3, phi="resize", guide=move(run.guide))
        y = torch.empty(2, *operator.codomain.shape, dtype=operator.domain.dtype, device="cuda")
        problem = Problem(operator._mapped(move, None, {}), y, noise_std)
        x = run(problem, Half(), noise=torch.randn_like)
    assert x.device.type == "cuda"
    assert x.shape == (2, *SHAPE)


def test_the_rule_is_chosen_by_the_operator():
    y = torch.zeros(1, *SHAPE)
    given = {"noise": torch.randn_like, "strength": 1.0, "rcond": 1e-3}
    with_svd = Problem(OPERATORS["mask"](), y, 0.1)
    made = replacement.replacement(with_svd, noise_aware=None, **given)
    assert isinstance(made, SpectralReplacement)
    assert made.problem.noise_std == 0.1
    without = Problem(NO_SVD["no-svd"](), y, 0.1)
    made = replacement.replacement(without, noise_aware=False, **given)
    assert isinstance(made, MatrixFreeReplacement)
    assert made.problem.noise_std == 0


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.8])
def test_the_gain_of_the_matrix_free_rule_is_that_of_its_derivation(kept):
    """Without the drawn noise each direction moves by g(ȳ - x̄), whatever its singular value."""
    s = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64).repeat(8, 1)[None]
    operator = Plain(operators.Diagonal(s, s.shape, dtype=torch.float64))
    y, x = _normal(1, *s.shape).double(), _normal(1, *s.shape, seed=12).double()
    noise_std, sigma = 0.1, 0.3
    rule = MatrixFreeReplacement(Problem(operator, y, noise_std), torch.zeros_like, 1.0, 1e-6, 1e9)
    before = sigma / math.sqrt(kept) if kept else sigma
    tau = (noise_std / s).square()
    gain = sigma**2 / (sigma**2 + tau)
    if kept:
        forgotten = before**2 - sigma**2
        gain = gain * forgotten / (forgotten + tau)
    found = rule(x, sigma, before, kept)
    torch.testing.assert_close(found, x + gain * (y / s - x), rtol=0, atol=1e-6)


def test_a_direction_is_released_from_the_measurement_itself():
    """Between σ₀ and σ it takes an ancestral step from ȳ at its own level τ.

    40,000 numbers a direction: means within 5 standard errors, deviations within 5 of 0.35 per
    cent; one alarm in 4e5 runs.
    """
    y_bar, x_hat, noise_std, before, sigma = 0.7, 0.2, 0.1, 0.4, 0.2
    s = torch.tensor([1.0, 0.4, 0.3, 0.2]).expand(1, 40_000, 4)
    problem = Problem(operators.Diagonal(s, s.shape), y_bar * s[None], noise_std)
    noise = NoiseSource(0)
    rule = SpectralReplacement(problem, noise, 1.0, 1e-6)
    tau = noise_std / s
    x = y_bar + (before**2 - tau.square()).clamp_min(0).sqrt() * noise(problem.y)
    x = ddim(x, torch.full_like(x, x_hat), before, sigma, 1.0, noise)
    released = rule(x, sigma, before, (sigma / before) ** 2)
    torch.testing.assert_close(released[..., 3], x[..., 3])  # it went on by itself before

    share = (sigma / tau[0, 0, :3]).square().clamp_max(1)
    mean, std = x_hat + share * (y_bar - x_hat), sigma * (1 - share).sqrt()
    std[0] = (sigma**2 - noise_std**2) ** 0.5  # it is replaced still
    found = released[0, 0, :, :3]
    assert ((found.mean(0) - mean).abs() < 5 * std / 200).all()
    assert (found.std(0) / std - 1).abs().max() < 5 * 0.0035


def test_a_corrector_moves_what_the_measurement_leaves_to_it():
    """All of a change without noise; with noise what is not measured, or is still replaced."""
    operator, x, change = OPERATORS["mask"](), *_normal(2, 1, *SHAPE)
    unseen = change * ~_mask(8, 8)

    def rule(operator: LinearOperator, noise_std: float) -> replacement.Replacement:
        problem = Problem(operator, torch.zeros(1, *SHAPE), noise_std)
        given = {"noise_aware": None, "strength": 0.7, "rcond": 1e-6}
        return replacement.replacement(problem, NoiseSource(0), **given)

    for maker, noise_std, sigma in ((operator, 0.0, 0.01), (Plain(operator), 0.0, 0.01),
                                    (operator, 0.1, 0.11)):  # fmt: skip
        expected = rule(maker, noise_std)(x + change, sigma, sigma, 0.0)
        found = rule(maker, noise_std).corrected(x, change, sigma)
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(rule(operator, 0.1).corrected(x, change, 0.09), x + unseen)
    assert rule(operator, 0.1).allows_corrector
    assert rule(Plain(operator), 0.0).allows_corrector
    assert not rule(Plain(operator), 0.1).allows_corrector


@pytest.mark.parametrize("noise_std", [0.02, 1.0])
@pytest.mark.parametrize(
    ("hide", "farthest", "widest"),
    [(lambda operator: operator, 0.15, 1.15), (Plain, 1.5, 1.5)],
    ids=["spectral", "plain"],
)
def test_the_corrector_does_not_forget_a_noisy_measurement(hide, farthest, widest, noise_std):
    """Independent pixels N(0.5, 0.2²) through singular values from 1 to 0, 200 levels.

    1,200 numbers a direction: the mean has an error of 0.03 standard deviations, the deviation one
    of 2 per cent. By conjugate gradients directions below ‖A‖/50 know y a little less.
    """
    prior = GaussianMixture([1.0], torch.full((1, 1, 8, 8), 0.5), 0.2)
    s = torch.tensor([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0]).expand(1, 8, 8).contiguous()
    precision = 25 + (s / noise_std).square()
    mean, std = (0.5 * 25 + 0.6 * (s / noise_std).square()) / precision, precision.rsqrt()
    problem = Problem(hide(operators.Diagonal(s, (1, 8, 8))), 0.6 * s[None], noise_std)
    x = solve(problem, prior, ScoreSDE(200), samples=150)[:, 0]
    apart = ((x.mean(0) - mean) / std).mean((0, 1))
    ratio = (x - x.mean(0)).square().mean((0, 1, 2)).sqrt() / std[0, 0]
    assert apart.abs().max() < farthest
    assert ratio.min() > 0.85
    assert ratio.max() < widest


def test_a_noisy_measurement_needs_a_predictor():
    problem = Problem(OPERATORS["mask"](), torch.zeros(1, *SHAPE), 0.05)
    for method in (ScoreSDE, CCDF):
        langevin = method(steps=5, predictor="none", corrector="langevin")
        with pytest.raises(ValueError, match=r"predictor is 'none'.*or use snips"):
            solve(problem, Half(), langevin)
        published = dataclasses.replace(langevin, noise_aware=False)
        assert solve(problem, Half(), published).isfinite().all()
