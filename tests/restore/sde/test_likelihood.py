"""log p(x) by the change of variables against the closed form of a mixture."""

from __future__ import annotations

import math

import pytest
import torch
from sde_problems import mixture

from restore.noise import NoiseSource
from restore.sde import bits_per_dim, dequantise, log_likelihood


@pytest.fixture(scope="module")
def pictures():
    return mixture(), mixture().sample(6, torch.Generator().manual_seed(4))


def _source(rows: int, seed: int = 0) -> NoiseSource:
    return NoiseSource(seed, [(row, 0) for row in range(rows)])


class TestExactTrace:
    def test_equals_the_closed_form(self, pictures):
        """To 1e-3 nats for each number, in and outside of the data."""
        prior, x = pictures
        x = torch.cat([x, torch.full_like(x[:1], 1.5)])
        found = log_likelihood(prior, x, trace="exact")
        expected = prior.log_prob(x, prior.sigma_min)
        assert float((found.log_prob - expected).abs().max()) / 12 < 1e-3
        assert (found.standard_error == 0).all()
        assert found.latent.shape == x.shape

    def test_a_factor_in_the_trace_is_seen(self, pictures):
        """What is left is far below the smallest slip: a flow with its slope off by 1 %."""
        prior, x = pictures

        class Slip(type(prior)):
            def __call__(self, x, sigma):
                return x + 0.99 * (super().__call__(x, sigma) - x)

        slip = Slip(prior.weights, prior.means, [0.1, 0.25], sigma_min=0.01, sigma_max=50.0)
        found = log_likelihood(slip, x, trace="exact")
        expected = prior.log_prob(x, prior.sigma_min)
        assert float((found.log_prob - expected).abs().max()) / 12 > 1e-2


class TestProbes:
    @pytest.mark.parametrize("law", ["rademacher", "gaussian"])
    def test_estimate_within_its_standard_error(self, pictures, law):
        """400 probes for 6 pictures, 5 standard errors: false alarm 4e-6."""
        prior, x = pictures
        found = log_likelihood(
            prior, x, trace=law, probes=400, noise=_source(6), rtol=1e-4, atol=1e-4
        )
        expected = prior.log_prob(x, prior.sigma_min)
        assert ((found.log_prob - expected).abs() <= 5 * found.standard_error + 12e-3).all()
        assert (found.standard_error > 0).all()
        assert found.probes.shape == (6, 400)
        torch.testing.assert_close(found.standard_error, found.probes.std(1) / 20)

    def test_rademacher_is_exact_for_a_diagonal(self):
        """One Gaussian with independent pixels: every probe gives the trace."""
        from restore.prior.gaussian_mixture import GaussianMixture

        prior = GaussianMixture([1.0], torch.zeros(1, 1, 2, 2, dtype=torch.float64), 0.3)
        x = torch.randn(2, 1, 2, 2, dtype=torch.float64)
        exact = log_likelihood(prior, x, trace="exact")
        found = log_likelihood(prior, x, probes=2, noise=_source(2))
        torch.testing.assert_close(found.log_prob, exact.log_prob)
        assert float(found.standard_error.max()) < 1e-9

    def test_one_probe_has_no_standard_error(self, pictures):
        prior, x = pictures
        found = log_likelihood(prior, x[:1], noise=_source(1), rtol=1e-3, atol=1e-3)
        assert found.standard_error.isnan().all()

    @pytest.mark.parametrize(
        ("given", "part"),
        [({"trace": "trace"}, "it is one of exact"), ({}, "needs noise"), ({"probes": 0}, "needs")],
    )
    def test_refuses(self, pictures, given, part):
        prior, x = pictures
        with pytest.raises(ValueError, match=part):
            log_likelihood(prior, x, **given)


class TestBits:
    def test_uniform_levels_have_eight_bits(self):
        """A density of 1 over 256 levels 1/256 apart: 8 bits."""
        assert float(bits_per_dim(torch.zeros(1), 12, 1 / 256)) == pytest.approx(8)

    def test_dequantised_is_uniform_within_a_step(self):
        """20000 numbers: variance within 5 standard errors (6e-7)."""
        u = dequantise(torch.zeros(1, 1, 100, 200), 1 / 255, torch.randn_like) * 255
        assert float(u.abs().max()) <= 0.5
        fourth = math.sqrt((1 / 80 - 1 / 144) / 20000)
        assert float(u.square().mean()) == pytest.approx(1 / 12, abs=5 * fourth)

    def test_bound_of_a_quantised_gaussian(self):
        """Mean bits of a dequantised Gaussian are just above its entropy in levels."""
        prior = mixture(1, 1)
        x = prior.sample(4000, torch.Generator().manual_seed(5))
        levels = (x * 255).round() / 255
        bits = bits_per_dim(prior.log_prob(dequantise(levels, 1 / 255, torch.randn_like)), 1)
        continuous = bits_per_dim(prior.log_prob(x), 1)
        # Both are means over 4000 pictures; the difference of each pair is small.
        apart = bits - continuous
        assert abs(float(apart.mean())) < 5 * float(apart.std()) / math.sqrt(4000) + 1e-3


def test_levels_that_do_not_rise_are_refused(pictures):
    prior, x = pictures
    for low, high in ((5.0, 0.1), (5.0, 5.0), (-1.0, 5.0)):
        with pytest.raises(ValueError, match="expected 0 < the first < the last"):
            log_likelihood(prior, x, trace="exact", sigma_min=low, sigma_max=high)


def test_gradients_are_there_in_inference_mode(pictures):
    prior, x = pictures
    expected = log_likelihood(prior, x, trace="exact").log_prob
    with torch.inference_mode():
        assert torch.equal(log_likelihood(prior, x, trace="exact").log_prob, expected)
