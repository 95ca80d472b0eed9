"""DDRM: consistency, its marginals, its options, devices.

The statistical tests rest on one property: with a denoiser that knows x₀, every state x of level σ
is exactly N(x₀, σ²I) given x₀ alone, for every operator, noise, η and η_b. So the squares of
(x - x₀)/σ, and those of its measured part alone, are χ² with known degrees of freedom.
"""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from plain_denoisers import Half, Oracle
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import operators
from restore.methods import DDRM, ddrm
from restore.methods.spectral import Spectrum
from restore.noise import NoiseSource
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve

SHAPE = (3, 8, 8)
SEED = 11


def _mask(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(SEED)) > 0.5


OPERATORS = {
    "identity": lambda: operators.Identity(SHAPE),
    "mask": lambda: operators.Mask(_mask(8, 8), SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 4, kernel="bicubic"),
    "resize": lambda: operators.Downsample(SHAPE, size=(5, 6), kernel="lanczos"),
    "colorize": lambda: operators.Colorize(SHAPE),
    "blur-reflect": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
    "blur-circular": lambda: operators.Blur(SHAPE, operators.motion_kernel(4, 0.5), "circular"),
    "blur-zero": lambda: operators.Blur(SHAPE, torch.ones(3) / 3, "zero"),
    "blur-valid": lambda: operators.Blur(SHAPE, operators.box_kernel(3), "valid"),
    "hadamard": lambda: operators.Hadamard(SHAPE, 0.4),
    "grey-small": lambda: operators.Colorize((3, 4, 4)) @ operators.Downsample(SHAPE, 2),
}
CHAINS = 200
LEVELS = 8


def _normal(*shape: int, seed: int = SEED) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _problem(operator: operators.LinearOperator, x: Tensor, noise_std: float) -> Problem:
    y = operator(x)
    return Problem(operator, y + noise_std * _normal(*y.shape), noise_std)


def _largest_deviation(name: str, noise_std: float, method: DDRM, scale: float = 1.0) -> float:
    """Largest deviation of a sum of squares from its mean, in standard errors, over the states."""
    pictures = 0.5 + 0.2 * _normal(CHAINS, *SHAPE, seed=1)
    problem = _problem(OPERATORS[name](), pictures, noise_std)
    oracle = Oracle(pictures)
    generator = torch.Generator().manual_seed(2)
    method(
        problem,
        oracle,
        noise=lambda like: scale * torch.randn(like.shape, generator=generator),
    )
    svd = problem.operator.svd().truncated(method.rcond)
    measured = svd.singular_values > 0
    worst = 0.0
    for x, sigma in oracle.seen:
        standard = (x - pictures) / sigma
        for squares, freedom in (
            (standard.square(), standard.numel()),
            (measured * svd.vt(standard).square(), CHAINS * int(measured.sum())),
        ):
            error = (squares.sum() - freedom) / math.sqrt(2 * freedom)
            worst = max(worst, abs(float(error)))
    return worst


# 200 chains of 192 numbers, 8 levels, all numbers and the measured: 16 sums a run, 44 runs. Beyond
# 6 standard errors a true sum comes once in 5e8; false alarm of the whole test about 1e-6.
LIMIT = 6.0


@pytest.mark.parametrize("noise_std", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("name", OPERATORS)
def test_states_have_the_marginals_of_the_paper(name, noise_std):
    assert _largest_deviation(name, noise_std, DDRM(steps=LEVELS)) < LIMIT


@pytest.mark.parametrize(("eta", "eta_b"), [(0.0, 1.0), (1.0, 0.0), (0.3, 0.5), (1.0, 1.0)])
@pytest.mark.parametrize("name", ["mask", "blur-reflect", "hadamard"])
def test_marginals_hold_for_every_eta(name, eta, eta_b):
    method = DDRM(steps=LEVELS, eta=eta, eta_b=eta_b)
    assert _largest_deviation(name, 0.05, method) < LIMIT


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", OPERATORS)
class TestOfTheTest:
    """A planted factor must turn the test of the marginals red."""

    def test_root_two_on_the_noise(self, name, noise_std):
        assert _largest_deviation(name, noise_std, DDRM(steps=LEVELS), 2**0.5) > 5 * LIMIT

    def test_root_two_on_the_noise_of_the_measured_part(self, name, noise_std, monkeypatch):
        std = Spectrum.deviation
        monkeypatch.setattr(Spectrum, "deviation", lambda *args: 2**0.5 * std(*args))
        assert _largest_deviation(name, noise_std, DDRM(steps=LEVELS)) > 5 * LIMIT

    def test_half_a_step(self, name, noise_std, monkeypatch):
        step = ddrm.Steps.step
        monkeypatch.setattr(
            ddrm.Steps, "step", lambda self, *args: step(self, *args[:-1], args[-1] / 2)
        )
        assert _largest_deviation(name, noise_std, DDRM(steps=LEVELS)) > 5 * LIMIT


def _mixture(shape: tuple[int, ...] = SHAPE) -> GaussianMixture:
    return GaussianMixture([0.6, 0.4], 0.5 + 0.2 * _normal(2, *shape, seed=4), [0.2, 0.1])


@pytest.mark.parametrize("eta_b", [1.0, 0.5])
@pytest.mark.parametrize("name", OPERATORS)
def test_noiseless_measurements_are_met(name, eta_b, device):
    operator = OPERATORS[name]().to(device)
    prior = _mixture()
    y = operator(prior.sample(2, torch.Generator().manual_seed(5)).to(device))
    x = DDRM(eta_b=eta_b)(Problem(operator, y), prior, noise=NoiseSource(0, [(0, 0), (0, 1)]))
    assert (operator(x) - y).abs().max() <= 1e-3


def test_noiseless_measurements_of_a_large_blur_are_met():
    shape = (3, 64, 64)
    operator = operators.Blur(shape, operators.gaussian_kernel(3.0))
    assert operator.svd().singular_values.min() < 1e-9
    y = operator(torch.rand(1, *shape))
    x = solve(Problem(operator, y), Half())
    assert (operator(x) - y).abs().max() <= 1e-3
    assert x.abs().max() < 10


def test_small_singular_values_are_missing_ones():
    shape = (1, 4, 4)
    gains = torch.ones(4)
    gains[1] = 1e-8
    operator = operators.Separable(shape, torch.diag(gains), torch.eye(4))
    y = torch.full((1, *shape), 0.7)
    x = solve(Problem(operator, y), Oracle(torch.full((1, *shape), 0.3)))[0, 0, 0]
    expected = torch.full((4, 4), 0.7)
    expected[1] = 0.3
    torch.testing.assert_close(x, expected)


def test_with_noise_the_last_step_is_the_denoiser():
    pictures = torch.rand(1, *SHAPE)
    problem = _problem(OPERATORS["blur-reflect"](), pictures, 0.1)
    torch.testing.assert_close(solve(problem, Oracle(pictures))[0], pictures)


def test_starts_at_the_measurement_and_the_centre():
    """N(ȳ, σ₁² - σ_y²/s²) where sσ₁ > σ_y, N(c, σ₁²) elsewhere; here the means (noise 0)."""

    def first(problem: Problem, method: DDRM) -> Tensor:
        oracle = Oracle(torch.zeros(1, *SHAPE))
        method(problem, oracle, noise=torch.zeros_like)
        return oracle.seen[0][0][0]

    mask = _mask(8, 8)
    y = torch.full((1, *SHAPE), 0.9) * mask
    problem = Problem(operators.Mask(mask, SHAPE), y, 0.1)
    expected = torch.where(mask, 0.9, 0.5).expand(SHAPE)
    assert torch.equal(first(problem, DDRM()), expected)
    weak = Problem(1e-3 * problem.operator, 1e-3 * y, 0.1)
    assert torch.equal(first(weak, DDRM()), torch.full(SHAPE, 0.5))
    guess = torch.rand(1, *SHAPE)
    started = first(problem, DDRM(sigma_max=0.3, start=guess))
    assert torch.equal(started, torch.where(mask, y[0], guess[0]))


def test_a_start_belongs_to_its_picture():
    guesses = torch.rand(3, *SHAPE)
    operator = operators.Mask(torch.zeros(8, 8), SHAPE)
    problem = Problem(operator, torch.zeros(3, *SHAPE))
    kept = solve(
        problem, Identity(), samples=2, batch_size=2, steps=1, sigma_max=0.02, start=guesses
    )
    assert (kept - guesses).abs().max() < 6 * 0.02
    with pytest.raises(ValueError, match="start is"):
        solve(problem, Identity(), sigma_max=0.02, start=guesses[:2])
    with pytest.raises(operators.ShapeError, match="start is"):
        solve(problem, Identity(), sigma_max=0.02, start=guesses[:, :1])


class Identity(Half):
    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x


def test_complex_pictures():
    """A real prior on complex pictures; the noise has its level in either part."""
    shape = (1, 16, 16)
    pictures = torch.complex(_normal(50, *shape), _normal(50, *shape, seed=3))

    class Parts(Oracle):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            assert not x.is_complex()
            super().__call__(x, sigma)
            return torch.cat([pictures.real, pictures.imag])

    mask = _mask(16, 16)
    operator = operators.Mask(mask, shape, dtype=torch.complex64)
    noise = torch.complex(_normal(50, *shape, seed=5), _normal(50, *shape, seed=6))
    problem = Problem(operator, operator(pictures + 0.05 * noise), 0.05)
    prior = Parts(pictures)
    x = DDRM(steps=LEVELS)(problem, prior, noise=NoiseSource(0, [(i, 0) for i in range(50)]))
    assert torch.equal(x, pictures)
    for state, sigma in prior.seen:
        # 12,800 numbers a part; 6 standard errors.
        for part, clean in zip(state.chunk(2), (pictures.real, pictures.imag), strict=True):
            squares = ((part - clean) / sigma).square()
            assert (squares.mean() - 1).abs() * squares.numel() ** 0.5 < 6 * 2**0.5


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
def test_both_modes_are_found(noise_std):
    """Modes that the measurement cannot tell apart: 0.6 and 0.4 of 400 chains.

    The weight has a standard error of 0.0245; within 5 of them (6e-7) for an exact sampler, and
    DDRM is one of these weights to a few hundredths (docs/benchmarks).
    """
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)[None]
    prior = GaussianMixture([0.6, 0.4], torch.stack([0.5 + 0.2 * checks, 0.5 - 0.2 * checks]), 0.1)
    operator = operators.Downsample((1, 8, 8), 2, kernel="box")
    problem = _problem(operator, prior.sample(1, torch.Generator().manual_seed(3)), noise_std)
    posterior = prior.posterior(problem)
    x = solve(problem, prior, samples=400)[:, 0]
    weight = float(posterior.responsibilities(x)[:, 0].mean())
    assert abs(weight - float(posterior.weights[0])) < 5 * 0.0245


@pytest.mark.parametrize(
    "wrong",
    [{"eta": 1.1}, {"eta": -0.1}, {"eta_b": 2}, {"rcond": -1}, {"start": torch.zeros(1, *SHAPE)}],
)
def test_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DDRM(**wrong)


def test_needs_an_svd():
    shape = (1, 8, 8)
    blur = operators.Blur(shape, operators.motion_kernel(4, 0.5), "zero")
    with pytest.raises(operators.NoFastSVD):
        DDRM()(Problem(blur, torch.zeros(1, *shape)), Half(), noise=torch.zeros_like)


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that are alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor) and tensor.data_ptr() not in self.known:
                storage = tensor.untyped_storage()
                self.known.add(storage.data_ptr())
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, storage.data_ptr(), storage.nbytes())
        return out

    def _gone(self, pointer: int, size: int) -> None:
        self.known.discard(pointer)
        self.now -= size


class Wide(Half):
    """A denoiser whose activations are 24 pictures, fewer than a UNet's."""

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return 0.25 + x.repeat(1, 24, 1, 1)[:, :3] / 2


LARGE = (3, 64, 64)


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize(
    "operator",
    [
        operators.Mask(_mask(64, 64), LARGE),
        operators.Downsample(LARGE, 4),
        operators.Colorize(LARGE),
        operators.Blur(LARGE, operators.gaussian_kernel(2.0)),
        operators.Hadamard(LARGE, 0.25),
    ],
    ids=lambda operator: operator.name,
)
def test_memory_is_that_of_the_denoiser_and_eight_pictures(operator, noise_std):
    operator.svd()
    problem = Problem(operator, operator(torch.rand(1, *LARGE)), noise_std)
    with LiveMemory() as alone:
        Wide()(torch.zeros(1, *LARGE), 1.0)
    with LiveMemory() as run:
        DDRM(steps=3)(problem, Wide(), noise=torch.randn_like)
    assert alone.peak >= 24 * 4 * math.prod(LARGE)
    assert run.peak - alone.peak <= 8 * 4 * math.prod(LARGE)


class TestOnAFakeAccelerator:
    """The whole loop under fake tensors: what waits for the device, or leaves it, raises."""

    def _run(self, name: str, noise_std: float, prior: Denoiser) -> Tensor:
        def refuse(*args: object, **kwargs: object) -> None:
            raise AssertionError("the loop copies to the CPU")

        operator = OPERATORS[name]()
        operator.svd()
        with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
            # Fake tensors allow it.
            patch.setattr(Tensor, "cpu", refuse)
            moved = operator._mapped(
                lambda t: torch.empty(t.shape, dtype=t.dtype, device="cuda"), None, {}
            )
            y = torch.empty(2, *operator.codomain.shape, device="cuda")
            return DDRM(steps=3)(Problem(moved, y, noise_std), prior, noise=torch.randn_like)

    @pytest.mark.parametrize("noise_std", [0.0, 0.05])
    @pytest.mark.parametrize("name", OPERATORS)
    def test_runs(self, name, noise_std):
        x = self._run(name, noise_std, Half())
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
    def test_of_the_test(self, slip):
        class Slip(Half):
            def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
                return slip(x)

        with pytest.raises(Exception, match=r"(?i)item|data.dependent|dynamic|device|cpu"):
            self._run("mask", 0.05, Slip())
