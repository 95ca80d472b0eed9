"""The processes against their definitions: marginals solve the SDE, the reverse keeps them."""

from __future__ import annotations

import math

import pytest
import torch
from sde_problems import PROCESSES, gaussian, mixture

from restore.sde import VE, VP, CosineVP, SubVP
from restore.sde.process import normal_log_prob


def _times(sde) -> torch.Tensor:
    return torch.linspace(0.02, sde.t_max - 0.01, 40, dtype=torch.float64)


@pytest.fixture(params=PROCESSES, ids=lambda sde: type(sde).__name__)
def sde(request):
    return request.param


class TestMarginals:
    def test_mean_follows_the_drift(self, sde):
        t = _times(sde).requires_grad_()
        a = sde.mean_coefficient(t) + 0 * t  # that of VE does not depend on t
        (slope,) = torch.autograd.grad(a.sum(), t)
        torch.testing.assert_close(slope, -0.5 * sde.beta(t) * a, rtol=1e-10, atol=1e-12)

    def test_variance_follows_drift_and_diffusion(self, sde):
        t = _times(sde).requires_grad_()
        variance = sde.std(t).square()
        (slope,) = torch.autograd.grad(variance.sum(), t)
        expected = -sde.beta(t) * variance + sde.diffusion(t).square()
        torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-10)

    def test_time_is_the_inverse_of_sigma(self, sde):
        t = _times(sde)
        torch.testing.assert_close(sde.time(sde.sigma(t)), t, rtol=0, atol=1e-10)

    def test_begins_with_the_data(self, sde):
        x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
        mean, std = sde.marginal(x, 0.0)
        torch.testing.assert_close(mean, x)
        assert float(std.max()) <= 0.01

    def test_ends_with_the_prior(self, sde):
        t = torch.tensor(sde.t_max, dtype=torch.float64)
        assert float(sde.std(t)) == pytest.approx(sde.prior_std, rel=1e-3)
        assert float(sde.mean_coefficient(t) / sde.std(t)) <= 0.021

    def test_closed_forms(self):
        """The authors' formulas, and what the cosine schedule is named for."""
        t = torch.tensor(0.4, dtype=torch.float64)
        log_mean = -0.25 * 0.4**2 * 19.9 - 0.5 * 0.4 * 0.1
        assert float(VP().std(t)) == pytest.approx(math.sqrt(1 - math.exp(2 * log_mean)))
        assert float(SubVP().std(t)) == pytest.approx(1 - math.exp(2 * log_mean))
        assert float(VE().std(t)) == pytest.approx(0.01 * 5000**0.4)
        kept = (math.cos(0.5 * math.pi * 0.408 / 1.008) / math.cos(0.5 * math.pi / 126)) ** 2
        assert float(CosineVP().mean_coefficient(t)) ** 2 == pytest.approx(kept)


class TestPrior:
    def test_samples_have_its_spread(self, sde):
        """4096 numbers: the standard deviation within 5 standard errors, false alarm 6e-7."""
        x = sde.prior_sample(torch.empty(4096, 1, 1, 1), torch.randn_like)
        assert float(x.std()) == pytest.approx(sde.prior_std, rel=5 / math.sqrt(2 * 4096))

    def test_log_density(self, sde):
        x = torch.randn(3, 2, 2, 2)
        expected = torch.distributions.Normal(0.0, sde.prior_std).log_prob(x).flatten(1).sum(1)
        torch.testing.assert_close(sde.prior_log_prob(x), expected)
        torch.testing.assert_close(normal_log_prob(x, 1.0), VP().prior_log_prob(x))


class TestReverse:
    def test_coordinates(self, sde):
        x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
        t = torch.tensor([0.3, 0.6], dtype=torch.float64)
        torch.testing.assert_close(sde.from_ve(sde.to_ve(x, t), t), x)
        mean, std = sde.marginal(x, t)
        in_ve = sde.to_ve(mean + std, t) - x
        torch.testing.assert_close(in_ve[:, 0, 0, 0], sde.sigma(t))

    def test_score_of_a_mixture(self, sde):
        """Against the gradient of the log-density of a x₀ + s n."""
        prior = mixture()
        x = torch.randn(4, *prior.shape, dtype=torch.float64, requires_grad=True)
        for t in (0.2, 0.7):
            a = float(sde.mean_coefficient(torch.tensor(t, dtype=torch.float64)))
            sigma = float(sde.sigma(torch.tensor(t, dtype=torch.float64)))
            (expected,) = torch.autograd.grad(prior.log_prob(x / a, sigma).sum(), x)
            torch.testing.assert_close(sde.score(prior, x.detach(), t), expected)

    def test_ode_keeps_the_marginals(self, sde):
        """The slope that carries N(aμ, a²v + s²) is that of its quantiles."""
        prior = gaussian()
        mean, variance = float(prior.mean), float(prior.covariance)
        t = _times(sde).requires_grad_()
        a = sde.mean_coefficient(t)
        path = a * mean + 1.3 * (a.square() * variance + sde.std(t).square()).sqrt()
        (slope,) = torch.autograd.grad(path.sum(), t)
        x = path.detach().reshape(-1, 1, 1, 1)
        torch.testing.assert_close(
            sde.ode_drift(prior, x, t.detach()).flatten(), slope, rtol=1e-9, atol=1e-9
        )

    def test_reverse_drift_is_the_ode_and_half_of_the_diffusion_of_the_score(self, sde):
        prior = mixture()
        x = torch.randn(3, *prior.shape, dtype=torch.float64)
        t = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
        g = sde.diffusion(t).reshape(-1, 1, 1, 1)
        expected = sde.ode_drift(prior, x, t) - 0.5 * g.square() * sde.score(prior, x, t)
        torch.testing.assert_close(sde.reverse_drift(prior, x, t), expected)
