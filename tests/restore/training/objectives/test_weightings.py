import math

import pytest
import torch

from restore.training.objectives.levels import LogNormal, LogUniform, VPTime
from restore.training.objectives.parameterisations import Parameterisation
from restore.training.objectives.weightings import WEIGHTINGS, likelihood, weighting

SIGMA = torch.logspace(-2, 1, 31, dtype=torch.float64)
LEVELS = LogUniform(0.001, 100.0)
STD = 0.25


def weight(name):
    return weighting(name, LEVELS.density, STD)(SIGMA)


def own_output(output):
    """c_out²: by what a weight is multiplied on the error of the network's own output."""
    return Parameterisation(0.0, STD, output).coefficients(SIGMA)[2].square()


def test_weights_in_terms_of_the_errors_of_outputs():
    """1/σ² is the plain error of the noise, 1 that of the picture, EDM's that of F and of v."""
    one = torch.ones_like(SIGMA)
    torch.testing.assert_close(weight("inverse-variance") * own_output("epsilon"), one)
    torch.testing.assert_close(weight("uniform") * own_output("x0"), STD**2 * one)
    torch.testing.assert_close(weight("edm") * own_output("edm"), one)
    torch.testing.assert_close(weight("edm") * own_output("v"), one)
    torch.testing.assert_close(weight("variance") * weight("inverse-variance"), one)


def test_min_snr_is_one_over_the_variance_below_its_ceiling():
    low = STD / SIGMA > 5**0.5
    torch.testing.assert_close(weight("min-snr")[~low], weight("inverse-variance")[~low])
    assert low.any()
    torch.testing.assert_close(weight("min-snr")[low], torch.full_like(SIGMA[low], 5 / STD**2))


def test_the_likelihood_weight_of_log_uniform_levels_is_one_over_the_variance():
    ratio = weight("likelihood") / weight("inverse-variance")
    torch.testing.assert_close(ratio, torch.full_like(ratio, math.log(1e5)))


@pytest.mark.parametrize("levels", [LEVELS, LogNormal(0.3, 1.5), VPTime()], ids=repr)
def test_the_likelihood_loss_does_not_depend_on_how_levels_are_drawn(levels):
    """E[w f(σ)] = ∫ f/σ² d ln σ; for f = σ² exp(−½(ln σ)²/0.3²) it is 0.3 √(2π)."""
    share = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    sigma = levels.quantile(share)
    f = sigma.square() * (-0.5 * (sigma.log() / 0.3).square()).exp()
    average = (likelihood(sigma, levels.density(sigma)) * f).mean()
    assert average.item() == pytest.approx(0.3 * math.sqrt(2 * math.pi), rel=1e-5)


def test_the_excess_of_the_likelihood_loss_is_the_kullback_leibler_divergence():
    """Data N(0, a²) and model N(0, b²): E‖D_q − D_p‖² = (k_q − k_p)²(a² + σ²), k = s²/(s² + σ²)."""
    a, b = 0.7, 1.1
    levels = LogUniform(1e-4, 1e4)
    share = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    sigma = levels.quantile(share)
    gain = [s**2 / (s**2 + sigma.square()) for s in (a, b)]
    excess = (gain[0] - gain[1]).square() * (a**2 + sigma.square())
    divergence = math.log(b / a) + a**2 / (2 * b**2) - 0.5
    average = (likelihood(sigma, levels.density(sigma)) * excess).mean()
    assert average.item() == pytest.approx(divergence, rel=1e-6)


def test_every_name_has_a_positive_weight():
    assert all(bool((weight(name) > 0).all()) for name in WEIGHTINGS)
