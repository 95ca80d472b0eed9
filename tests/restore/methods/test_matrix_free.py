"""What methods without an SVD ask of operators."""

from __future__ import annotations

import pytest
import torch

from operators import Downsample
from restore.methods import DiffPIR, PlugAndPlay
from restore.methods.base import Method
from restore.methods.matrix_free import noise_of
from restore.prior.gaussian_mixture import GaussianMixture
from restore.problem import Problem
from restore.solve import solve


@pytest.mark.parametrize("method", [PlugAndPlay(steps=10), DiffPIR(steps=10)])
def test_the_unit_of_a_faint_measurement_changes_nothing(method: Method) -> None:
    """A' = kA, y' = ky, σ' = kσ is the same problem."""
    operator = Downsample((1, 8, 8), 2)
    prior = GaussianMixture([1.0], torch.full((1, 1, 8, 8), 0.5), 0.2)
    y = torch.rand(1, *operator.codomain.shape, generator=torch.Generator().manual_seed(0))
    found = [
        solve(Problem(k * operator, k * y, 0.02 * k), prior, method) for k in (1.0, 1e-2, 1e-4)
    ]
    torch.testing.assert_close(found[1], found[0], atol=2e-3, rtol=0)
    torch.testing.assert_close(found[2], found[0], atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("scale", "noise_std", "expected"),
    [(100.0, 0.0, 1e-3), (1.0, 0.0, 1e-3), (0.01, 0.0, 1e-5), (100.0, 0.5, 0.5)],
)
def test_the_least_noise_is_a_thousandth_whatever_is_above_norm_one(
    scale: float, noise_std: float, expected: float
) -> None:
    """A scan's ‖A‖ is large: a share of it would be noise that no detector has."""
    operator = scale * Downsample((1, 8, 8), 2, kernel="box")
    least = noise_of(Problem(2.0 * operator, torch.zeros(1, 1, 4, 4), noise_std))
    assert float(least) == pytest.approx(expected)  # the mean of four has the norm ½
