"""Products with the Jacobian: the bundled network, tiles, grey, half precision, the mixture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods import DPS, TDS, PiGDM, gradient
from restore.methods.base import denoise
from restore.methods.gradient import Differentiable
from restore.prior.counted import Counted
from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.models import fit_channels, load_prior
from restore.prior.tiled import TiledDenoiser
from restore.problem import Problem
from restore.solve import solve


def _normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _vjp(prior: Denoiser, x: Tensor, v: Tensor, sigma: float = 0.3) -> Tensor:
    differentiable = Differentiable(prior)
    differentiable(x, sigma)
    return differentiable.vjp(v)


@pytest.fixture(scope="module")
def network() -> Denoiser:
    return load_prior()


@pytest.mark.parametrize("kind", ["colour", "grey", "tiled"])
def test_of_the_bundled_network_is_that_of_finite_differences(kind):
    """In double precision, at a size that is padded; central differences are exact to h²."""
    prior = load_prior(dtype=torch.float64)
    if kind == "grey":
        prior = fit_channels(prior, 1)
    if kind == "tiled":
        prior = TiledDenoiser(prior, 16)
    shape = (2, 1 if kind == "grey" else 3, 18, 21)
    x = 0.5 + 0.3 * _normal(*shape, dtype=torch.float64)
    v, direction = (_normal(*shape, seed=seed, dtype=torch.float64) for seed in (1, 2))
    step = 1e-5 * direction
    change = (prior(x + step, 0.3) - prior(x - step, 0.3)) / 2e-5
    expected = (v * change).flatten(1).sum(1)
    found = (_vjp(prior, x, v) * direction).flatten(1).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    assert expected.abs().min() > 0.1


def test_in_half_precision_is_that_of_single_precision_roughly(network):
    x, v = 0.5 + 0.3 * _normal(1, 3, 16, 16), _normal(1, 3, 16, 16, seed=1)
    exact = _vjp(network, x, v)
    found = _vjp(load_prior(dtype=torch.bfloat16), x, v)
    assert (found - exact).norm() < 0.05 * exact.norm()


def test_of_a_mixture_is_its_covariance():
    """∂x̂/∂x = Cov[x₀ | x]/σ², here of two components with equal spread τ²I in closed form."""
    shape, tau, sigma = (1, 4, 4), 0.2, 0.3
    means = 0.5 + 0.1 * _normal(2, *shape, dtype=torch.float64)
    prior = GaussianMixture([0.6, 0.4], means, tau)
    x, v = (_normal(3, *shape, seed=seed, dtype=torch.float64) for seed in (1, 2))
    x = 0.5 + sigma * x
    noise_share = sigma**2 / (tau**2 + sigma**2)
    weight = prior.responsibilities(x, sigma)[:, 0]
    apart = noise_share * (means[0] - means[1])
    along = (weight * (1 - weight) * (v * apart).flatten(1).sum(1)).reshape(-1, 1, 1, 1)
    expected = (1 - noise_share) * v + along * apart / sigma**2
    assert (weight - 0.5).abs().max() < 0.4
    torch.testing.assert_close(_vjp(prior, x, v, sigma), expected)


def test_does_not_depend_on_the_batch(network, monkeypatch):
    x, v = 0.5 + 0.3 * _normal(3, 3, 16, 20), _normal(3, 3, 16, 20, seed=1)
    together = _vjp(network, x, v)
    alone = torch.cat([_vjp(network, *rows) for rows in zip(x.split(1), v.split(1), strict=True)])
    assert torch.equal(together, alone)
    monkeypatch.setattr(gradient, "_CPU_PIXELS", 2 * 16 * 20)
    assert torch.equal(_vjp(network, x, v), together)


def test_guided_pictures_are_the_same_bits_in_any_batch(network):
    shape = (3, 12, 16)
    mask = torch.rand(12, 16, generator=torch.Generator().manual_seed(1)) > 0.5
    operator = operators.Mask(mask, shape)
    problem = Problem(operator, operator(torch.rand(3, *shape)), 0.05)
    for method in (PiGDM(steps=2), DPS(steps=2), TDS(particles=2, steps=2)):
        one, three = (solve(problem, network, method, batch_size=size) for size in (1, 3))
        assert torch.equal(one, three)


def test_a_large_batch_keeps_no_graph(network, monkeypatch):
    """What is saved for the gradient of five pictures cut in pieces of one is only the pictures."""

    def saved() -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            differentiable = Differentiable(network)
            differentiable(torch.rand(5, 3, 32, 32), 0.3)
        return sum(sizes.values())

    assert saved() > 5e6
    monkeypatch.setattr(gradient, "_CPU_PIXELS", 32 * 32)
    assert saved() < 1e5


def test_what_is_evaluated_a_second_time_counts_once(network, monkeypatch):
    monkeypatch.setattr(gradient, "_CPU_PIXELS", 8 * 8)
    counted = Counted(network)
    x = torch.rand(3, 3, 8, 8)
    differentiable = Differentiable(counted)
    differentiable(x, 0.3)
    differentiable.vjp(x)
    assert counted.calls == 3
    counted(x, 0.3)
    assert counted.calls == 6


def test_of_complex_pictures_is_part_by_part():
    shape = (1, 4, 4)
    prior = GaussianMixture([0.6, 0.4], 0.1 * _normal(2, *shape), [0.2, 0.1])
    x, v = (torch.complex(_normal(2, *shape, seed=i), _normal(2, *shape, seed=9)) for i in (1, 2))
    differentiable = Differentiable(prior)
    x_hat = denoise(differentiable, x, 0.3)
    found = differentiable.vjp(v)
    assert torch.equal(x_hat, torch.complex(prior(x.real, 0.3), prior(x.imag, 0.3)))
    expected = torch.complex(_vjp(prior, x.real, v.real), _vjp(prior, x.imag, v.imag))
    torch.testing.assert_close(found, expected)


def test_leaves_parameters_and_the_mode_alone(network):
    with torch.no_grad():
        differentiable = Differentiable(network)
        x_hat = differentiable(torch.rand(1, 3, 8, 8), 0.3)
        assert not torch.is_grad_enabled()
        assert not x_hat.requires_grad
        assert not differentiable.vjp(x_hat).requires_grad
    assert all(p.grad is None and not p.requires_grad for p in network.network.parameters())


def test_in_inference_mode(network):
    x, v = _normal(1, 3, 16, 16), _normal(1, 3, 16, 16, seed=1)
    with torch.inference_mode():
        inside = _vjp(network, x.clone(), v.clone())
    assert torch.equal(inside, _vjp(network, x, v))


def test_a_prior_without_a_gradient_is_refused():
    class Fixed(Denoiser):
        channels = 3
        sigma_min, sigma_max = 0.01, 1.0

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return torch.zeros_like(x)

    problem = Problem(operators.Identity((3, 8, 8)), torch.zeros(1, 3, 8, 8), 0.1)
    with pytest.raises(ValueError, match="the prior has no gradient"):
        solve(problem, Fixed(), "dps", steps=2)
