from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.prior.gaussian_mixture import GaussianMixture, dense
from restore.problem import Problem

SHAPE = (1, 4, 4)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _mixture(kind: str = "pixels", dtype: torch.dtype = torch.float64) -> GaussianMixture:
    g = _generator(1)
    means = 0.5 + 0.2 * torch.randn(3, *SHAPE, generator=g, dtype=dtype)
    if kind == "covariances":
        root = 0.05 * torch.randn(3, 16, 16, generator=g, dtype=dtype)
        return GaussianMixture([3, 2, 1], means, covariances=root @ root.mT)
    stds = {
        "one": 0.2,
        "components": [0.2, 0.1, 0.3],
        "pixels": 0.1 + 0.2 * torch.rand(3, *SHAPE, generator=g, dtype=dtype),
    }[kind]
    return GaussianMixture([3, 2, 1], means, stds)


KINDS = ("one", "components", "pixels", "covariances")


def _by_definition(mixture: GaussianMixture, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """D and log p_σ by the textbook, with torch's own normal distribution."""
    flat, noise = x.flatten(1), sigma**2 * torch.eye(16, dtype=x.dtype)
    logs, means = [], []
    for weight, mean, covariance in zip(
        mixture.weights, mixture.means.flatten(1), mixture.covariances, strict=True
    ):
        total = covariance + noise
        normal = torch.distributions.MultivariateNormal(mean, total)
        logs.append(weight.log() + normal.log_prob(flat))
        means.append(mean + (flat - mean) @ torch.linalg.solve(total, covariance))
    log = torch.stack(logs, -1)
    x_hat = torch.einsum("bk,kbn->bn", log.softmax(-1), torch.stack(means))
    return x_hat.reshape(x.shape), log.logsumexp(-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.03, 0.3, 10.0])
def test_denoiser_and_density_are_the_definition(kind, sigma):
    mixture = _mixture(kind)
    x = mixture.sample(7, _generator()) + sigma * torch.randn(7, *SHAPE, dtype=torch.float64)
    x_hat, log = _by_definition(mixture, x, sigma)
    torch.testing.assert_close(mixture(x, sigma), x_hat, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mixture.denoise(x, sigma), x_hat, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mixture.log_prob(x, sigma), log, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mixture(x.float(), sigma), x_hat.float(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_score_is_the_gradient_of_the_density(kind):
    mixture = _mixture(kind)
    x = mixture.sample(5, _generator()).requires_grad_()
    (gradient,) = torch.autograd.grad(mixture.log_prob(x, 0.2).sum(), x)
    torch.testing.assert_close(mixture.score(x, 0.2), gradient, rtol=1e-8, atol=1e-8)


def test_one_level_a_picture():
    mixture = _mixture()
    x = mixture.sample(3, _generator())
    levels = torch.tensor([0.0, 0.1, 1.0], dtype=torch.float64)
    together = mixture(x, levels)
    torch.testing.assert_close(together[0], x[0], rtol=0, atol=1e-12)
    for row in (1, 2):
        torch.testing.assert_close(together[row : row + 1], mixture(x[row : row + 1], levels[row]))


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_the_samples(kind):
    """40,000 samples; 16 means and 16 variances within 6 standard errors (false alarm 1e-7)."""
    mixture, count = _mixture(kind), 40_000
    x = mixture.sample(count, _generator(3))
    error = (x.mean(0) - mixture.mean) / (mixture.std / count**0.5)
    assert error.abs().max() < 6
    squares = (x - mixture.mean).square()
    error = (squares.mean(0) - mixture.std.square()) / (squares.std(0) / count**0.5)
    assert error.abs().max() < 6
    share = mixture.responsibilities(x).mean(0)
    assert ((share - mixture.weights) / (0.25 / count) ** 0.5).abs().max() < 6


OPERATORS = {
    "mask": lambda: operators.Mask(torch.rand(4, 4, generator=_generator(5)) > 0.4, SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 2, kernel="box"),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(0.5)),
    "hadamard": lambda: operators.Hadamard(SHAPE, 0.5),
}


def _problem(mixture: GaussianMixture, name: str, noise_std: float) -> Problem:
    operator = OPERATORS[name]().to(dtype=torch.float64)
    clean = operator(mixture.sample(1, _generator(8)))
    noise = torch.randn(clean.shape, generator=_generator(9), dtype=torch.float64)
    return Problem(operator, clean + noise_std * noise, noise_std)


@pytest.mark.parametrize("kind", ["components", "covariances"])
@pytest.mark.parametrize("name", OPERATORS)
def test_posterior_is_bayes_rule(name, kind):
    """log p(x) + log p(y | x) - log p(x | y) is the same for every x."""
    mixture, noise_std = _mixture(kind), 0.1
    problem = _problem(mixture, name, noise_std)
    posterior = mixture.posterior(problem)
    x = torch.cat([posterior.sample(5, _generator()), mixture.sample(5, _generator())])
    misfit = (problem.operator(x) - problem.y).flatten(1).square().sum(1)
    constant = mixture.log_prob(x) - misfit / (2 * noise_std**2) - posterior.log_prob(x)
    assert (constant - constant[0]).abs().max() < 1e-6


@pytest.mark.parametrize("name", OPERATORS)
def test_noiseless_posterior_is_the_limit(name):
    mixture = _mixture()
    problem = _problem(mixture, name, 0.0)
    exact = mixture.posterior(problem)
    near = mixture.posterior(Problem(problem.operator, problem.y, 1e-6))
    torch.testing.assert_close(exact.weights, near.weights, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(exact.mean, near.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(exact.covariance, near.covariance, rtol=1e-3, atol=1e-5)
    x = exact.sample(50, _generator())
    assert (problem.operator(x) - problem.y).abs().max() < 1e-6
    assert torch.isfinite(exact.log_prob(x)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_singular_values_that_are_rounding_are_not_measured(dtype):
    """A circular box of an even side has exact zeros, which float32 makes 1e-8."""
    operator = operators.Blur((1, 8, 8), torch.ones(4) / 4, "circular", dtype=dtype)
    prior = GaussianMixture([1.0], torch.full((1, 1, 8, 8), 0.5, dtype=dtype), 0.2)
    x = prior.sample(1, _generator())
    posterior = prior.posterior(Problem(operator, operator(x), 0.0))
    expected = 0.5 + operator.to(dtype=torch.float64).pinv(operator(x).double() - 0.5, 1e-6)
    torch.testing.assert_close(posterior.mean.double(), expected[0], rtol=0, atol=1e-4)


def test_modes_that_differ_in_the_null_space_keep_their_weights():
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2)[None]
    mixture = GaussianMixture(
        [0.6, 0.4], torch.stack([0.5 + 0.3 * checks, 0.5 - 0.3 * checks]), 0.1
    )
    operator = operators.Downsample(SHAPE, 2, kernel="box")
    for noise_std in (0.0, 0.05):
        problem = Problem(operator, operator(mixture.sample(1, _generator())), noise_std)
        weights = mixture.posterior(problem).weights
        torch.testing.assert_close(weights, mixture.weights, rtol=1e-4, atol=1e-4)


def test_matrix_of_an_operator():
    operator = OPERATORS["downsample"]()
    x = torch.rand(2, *SHAPE)
    expected = operator(x).flatten(1).double()
    torch.testing.assert_close(x.flatten(1).double() @ dense(operator).T, expected)


def test_is_a_denoiser_with_its_own_range():
    mixture = _mixture(dtype=torch.float32)
    assert (mixture.channels, mixture.sigma_min, mixture.sigma_max) == (1, 0.005, 50.0)
    assert mixture.centre == pytest.approx(float(mixture.mean.mean()))
    assert mixture.native_sigmas(20) is None
    assert mixture(torch.rand(2, *SHAPE), 0.3).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1.0], torch.zeros(2, *SHAPE), 0.1), "weights are"),
        (([1.0, -1.0], torch.zeros(2, *SHAPE), 0.1), "not negative"),
        (([1.0], torch.zeros(1, *SHAPE), -0.1), "negative"),
        (([1.0], torch.zeros(1, *SHAPE)), "either"),
        (([1.0], torch.zeros(1, *SHAPE), [0.1, 0.2]), r"stds are \[2, .*expected a number, \[1\]"),
        (([1.0], torch.zeros(1, *SHAPE), torch.ones(1, 9, 9, 9)), r"stds are \[1, 9, 9, 9\]"),
        (([0.3, 0.7], torch.zeros(2, *SHAPE).long(), 0.1), "means are .*int64; expected real"),
        (([0.3, 0.7], torch.zeros(2), 0.1), r"means are \[2\]"),
    ],
)
def test_refuses(arguments, text):
    with pytest.raises(ValueError, match=text):
        GaussianMixture(*arguments)


@pytest.mark.parametrize("wrong", [-torch.eye(9), torch.ones(9, 9).triu()])
def test_refuses_what_is_no_covariance(wrong):
    with pytest.raises(ValueError, match="not symmetric, or has a negative eigenvalue"):
        GaussianMixture([1.0], torch.zeros(1, 1, 3, 3), covariances=wrong[None])


def test_refuses_covariances_of_another_size():
    with pytest.raises(ValueError, match="covariances are"):
        GaussianMixture([1.0], torch.zeros(1, *SHAPE), covariances=torch.eye(4)[None])


def test_posterior_refuses_two_measurements_and_a_measured_certainty():
    mixture = _mixture(dtype=torch.float32)
    operator = OPERATORS["mask"]()
    with pytest.raises(ValueError, match="2 measurement"):
        mixture.posterior(Problem(operator, torch.zeros(2, *SHAPE)))
    certain = GaussianMixture([1.0], torch.zeros(1, *SHAPE), 0.0)
    with pytest.raises(ValueError, match="without spread"):
        certain.posterior(Problem(operator, torch.zeros(1, *SHAPE)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [1e-4, 0.1])
def test_pictures_in_double_precision_are_computed_so(kind, sigma):
    """Whatever the mixture is in; that in single has its own numbers exactly."""
    single, double = _mixture(kind, torch.float32), _mixture(kind, torch.float64)
    double.means, double.weights = single.means.double(), single.weights.double()
    double._variances = single._variances.double()
    double._basis = None if single._basis is None else single._basis.double()
    x = double.sample(3, _generator())
    for name in ("score", "log_prob", "denoise"):
        found, expected = (getattr(one, name)(x, sigma) for one in (single, double))
        assert found.dtype == torch.float64
        # (D - x)/σ² has lost eight digits at the smaller σ.
        assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6), name


def test_draws_and_means_are_its_own():
    means = torch.full((1, *SHAPE), 0.5)
    one = GaussianMixture([1], means, 0.1)
    expected = one.sample(2, _generator())
    means.zero_()
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert torch.equal(one.sample(2, _generator()), expected)
    finally:
        torch.set_default_dtype(before)
