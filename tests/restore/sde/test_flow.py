"""The probability-flow ODE: its exact solution, encoding and decoding, interpolation."""

from __future__ import annotations

import math

import pytest
import torch
from sde_problems import HIGH, LOW, MEAN, STD, gaussian, mixture

from restore.prior.counted import Counted
from restore.prior.denoiser import FunctionDenoiser
from restore.sde import decode, encode, slerp, transport


class TestTransport:
    def test_solution_for_a_gaussian(self):
        x = torch.linspace(-20, 20, 9, dtype=torch.float64).reshape(-1, 1, 1, 1)
        moved = transport(gaussian(), x, HIGH, LOW, rtol=1e-9, atol=1e-9)
        expected = MEAN + (x - MEAN) * math.sqrt((STD**2 + LOW**2) / (STD**2 + HIGH**2))
        torch.testing.assert_close(moved.x, expected, rtol=1e-6, atol=1e-7)

    def test_reports_its_evaluations(self):
        prior = Counted(mixture())
        seen = []
        x = torch.randn(2, 3, 2, 2, dtype=torch.float64) * 50
        moved = transport(prior, x, 50.0, 0.01, on_step=lambda n, total, x_hat: seen.append(n))
        assert prior.calls == 2 * moved.evaluations
        assert seen == list(range(1, moved.evaluations + 1))
        assert transport(mixture(), x, 50.0, 50.0) == (x, 0)

    @pytest.mark.parametrize("ends", [(7.0, 100.0), (100.0, 7.0)])
    def test_no_level_is_outside(self, ends):
        """A prior's range is closed, and exp(ln σ) rounds: of these two to the outside."""
        seen = []

        def prior(x, sigma):
            seen.append(sigma.item())
            return 0.5 * x

        x = torch.ones(1, 3, 2, 2, dtype=torch.float64)
        transport(FunctionDenoiser(prior), x, *ends)
        assert min(seen) == 7.0
        assert max(seen) == 100.0

    def test_a_picture_counts_by_itself(self):
        """A hard picture among easy ones keeps the tolerance."""
        prior = mixture()
        x = torch.randn(16, 3, 2, 2, dtype=torch.float64) * 50
        apart = torch.cat([transport(prior, row[None], 50.0, 0.01).x for row in x])
        together = transport(prior, x, 50.0, 0.01).x
        assert (apart - together).abs().max() < 1e-3

    @pytest.mark.parametrize(
        ("change", "part"),
        [
            ({"start": 0.0}, "levels above 0"),
            ({"rtol": 0.0}, "rtol is 0"),
            ({"solver": "euler"}, "solver is 'euler'"),
        ],
    )
    def test_refuses(self, change, part):
        given = {"start": 1.0, "end": 0.1} | change
        with pytest.raises(ValueError, match=part):
            transport(gaussian(), torch.zeros(1, 1, 1, 1), **given)

    def test_refuses_a_prior_that_is_not_finite(self):
        prior = FunctionDenoiser(lambda x, sigma: x * math.nan)
        with pytest.raises(ValueError, match="NaN or infinity"):
            transport(prior, torch.ones(1, 1, 1, 1), 1.0, 0.1)


class TestEncoding:
    def test_round_trip_error_falls_with_the_tolerance(self):
        prior = mixture(4, 1)
        x = prior.sample(8, torch.Generator().manual_seed(1))
        errors = []
        for tolerance in (1e-3, 1e-5, 1e-7):
            z = encode(prior, x, rtol=tolerance, atol=tolerance).x
            back = decode(prior, z, rtol=tolerance, atol=tolerance).x
            errors.append(float((back - x).abs().max()))
        assert errors[0] < 0.1
        assert errors[1] < errors[0] / 20
        assert errors[2] < errors[1] / 3

    def test_latents_of_data_are_standard_normal(self):
        """2000 x 4 numbers; mean and standard deviation within 5 standard errors (6e-7 each).

        The centre of the data and its variance at σ_max = 50 add 1e-2 and 1e-5 at most.
        """
        prior = mixture(2, 1)
        x = prior.sample(2000, torch.Generator().manual_seed(2))
        z = encode(prior, x, rtol=1e-4, atol=1e-4).x
        assert abs(float(z.mean())) < 5 / math.sqrt(8000) + 0.01
        assert float(z.std()) == pytest.approx(1, abs=5 / math.sqrt(16000))


class TestSlerp:
    def test_ends_and_length(self):
        a, b = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        b = b * a.norm() / b.norm()
        path = slerp(a, b, [0, 0.25, 0.5, 1])
        torch.testing.assert_close(path[0], a)
        torch.testing.assert_close(path[-1], b)
        torch.testing.assert_close(path.flatten(1).norm(dim=1), a.norm().expand(4))
        angle = torch.acos((a * b).sum() / a.norm() ** 2)
        quarter = torch.acos((a * path[1]).sum() / a.norm() ** 2)
        assert float(quarter) == pytest.approx(float(angle) / 4)

    def test_of_a_picture_with_itself(self):
        a = torch.randn(1, 4, 4, dtype=torch.float64)
        torch.testing.assert_close(slerp(a, a, [0.3])[0], a)
        torch.testing.assert_close(slerp(a, 3 * a, [0.5])[0], 2 * a)
