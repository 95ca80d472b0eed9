"""A tiny network learns the exact score of a mixture by each objective, in a second or two."""

import pytest
import torch

from restore.prior.gaussian_mixture import GaussianMixture
from restore.training.objectives.denoising import denoising_loss
from restore.training.objectives.implicit import implicit_loss
from restore.training.objectives.levels import LogUniform, Timesteps
from restore.training.objectives.parameterisations import OUTPUTS, Parameterisation
from restore.training.objectives.sliced import sliced_loss
from restore.training.objectives.weightings import inverse_variance
from restore.training.vectors import VectorNetwork, fit

BATCH, STEPS = 256, 200
CONTINUOUS = LogUniform(0.3, 6.0)
DISCRETE = Timesteps([0.3 * 20 ** (i / 9) for i in range(10)])
MIXTURE = GaussianMixture([0.4, 0.6], torch.tensor([[0.9, 0.6], [-0.6, -0.4]]), 0.5)


def learned(loss_of, levels=CONTINUOUS, output="epsilon"):
    """The denoiser after 200 steps; loss_of(denoiser, clean, noise, sigma, generator) is [B]."""
    generator = torch.Generator().manual_seed(0)
    network = VectorNetwork(2, width=48)
    denoiser = Parameterisation(output=output).denoiser(network)

    def loss():
        clean, sigma = MIXTURE.sample(BATCH, generator), levels.sample(BATCH, generator)
        noise = torch.randn(clean.shape, generator=generator)
        return loss_of(denoiser, clean, noise, sigma, generator)

    fit(network, loss, STEPS, rate=1e-2)
    return denoiser


def by_denoising(denoiser, clean, noise, sigma, generator):
    return denoising_loss(denoiser, inverse_variance, clean, noise, sigma)


def by_divergence(loss_of_score):
    """σ² times a loss of the score at noisy pictures."""

    def loss(denoiser, clean, noise, sigma, generator):
        level = sigma[:, None]

        def score(x):
            return (denoiser(x, sigma) - x) / level**2

        return sigma**2 * loss_of_score(score, clean + level * noise, generator)

    return loss


def sliced(score, x, generator):
    return sliced_loss(score, x, torch.randn(x.shape, generator=generator))


def relative_errors(denoiser):
    """√(E‖s − s*‖² / E‖s*‖²) over 4000 noisy samples at σ = 0.4, 1 and 4."""
    generator, errors = torch.Generator().manual_seed(1), []
    for sigma in (0.4, 1.0, 4.0):
        x = MIXTURE.sample(4000, generator)
        x = x + sigma * torch.randn(x.shape, generator=generator)
        exact = MIXTURE.score(x, sigma)
        with torch.no_grad():
            error = (denoiser(x, sigma) - x) / sigma**2 - exact
        errors.append(float((error.square().sum() / exact.square().sum()).sqrt()))
    return errors


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_parameterisation_reaches_the_score(output):
    errors = relative_errors(learned(by_denoising, output=output))
    assert all(e < limit for e, limit in zip(errors, (0.2, 0.06, 0.04), strict=True))


def test_discrete_time_reaches_the_score_between_its_levels_too():
    errors = relative_errors(learned(by_denoising, DISCRETE, "edm"))
    assert all(e < limit for e, limit in zip(errors, (0.2, 0.06, 0.04), strict=True))


@pytest.mark.parametrize(
    "loss_of_score",
    [lambda score, x, _: implicit_loss(score, x), sliced],
    ids=["implicit", "sliced"],
)
def test_without_a_clean_picture_the_score_is_reached_too(loss_of_score):
    errors = relative_errors(learned(by_divergence(loss_of_score)))
    assert all(e < limit for e, limit in zip(errors, (0.3, 0.12, 0.12), strict=True))


def test_a_wrong_objective_does_not():
    """Noise √2 too large in the target, as a planted mistake: the score is off by about √2 − 1."""

    def planted(denoiser, clean, noise, sigma, generator):
        shifted = clean - (2**0.5 - 1) * sigma[:, None] * noise
        return by_denoising(denoiser, shifted, 2**0.5 * noise, sigma, generator)

    assert relative_errors(learned(planted))[2] > 0.3
