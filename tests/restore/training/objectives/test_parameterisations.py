import pytest
import torch

from restore.prior.denoiser import sigma_column
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.preconditioning import EDMPreconditioning, denoised_from_v
from restore.training.objectives.parameterisations import OUTPUTS, Parameterisation

SIGMA = torch.tensor([0.01, 0.3, 2.0, 40.0], dtype=torch.float64)


def drawn():
    """Clean pictures of mean 0.4 and std 0.2, their noise, and the noisy ones at four levels."""
    generator = torch.Generator().manual_seed(0)
    clean = 0.4 + 0.2 * torch.randn(4, 1, 3, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    return clean, noise, clean + sigma_column(SIGMA, clean) * noise


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_target_denoises(output):
    clean, _, noisy = drawn()
    sigma = sigma_column(SIGMA, clean)
    rule = Parameterisation(0.4, 0.2, output)
    torch.testing.assert_close(
        rule.denoised(noisy, sigma, rule.target(clean, noisy, sigma)), clean, atol=1e-10, rtol=0
    )


def test_the_targets_are_what_their_names_say():
    clean, noise, noisy = drawn()
    sigma = sigma_column(SIGMA, clean)

    def target(output):
        return Parameterisation(0.4, 0.2, output).target(clean, noisy, sigma)

    close = {"atol": 1e-10, "rtol": 0}
    standard, level = (clean - 0.4) / 0.2, sigma / 0.2
    alpha = (1 + level**2).rsqrt()
    torch.testing.assert_close(target("epsilon"), noise, **close)
    torch.testing.assert_close(target("x0"), standard, **close)
    torch.testing.assert_close(target("score"), -0.2 * noise / sigma, **close)
    v = alpha * noise - level * alpha * standard
    torch.testing.assert_close(target("v"), v, **close)
    torch.testing.assert_close(target("edm"), -v, **close)
    denoised = denoised_from_v((noisy - 0.4) / 0.2, level, target("v"))
    torch.testing.assert_close(denoised, standard, **close)
    edm = EDMPreconditioning(0.4, 0.2).target(clean, noisy, sigma)
    torch.testing.assert_close(target("edm"), edm, **close)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_exact_output_is_the_exact_denoiser(output):
    """F made of the score of a mixture gives back its D, for one σ and for one a picture."""
    mixture = GaussianMixture([0.3, 0.7], torch.tensor([[-1.0, 0.5], [0.6, 0.0]]).double(), 0.3)
    rule = Parameterisation(0.1, 0.8, output)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def network(inner, time):
        sigma = (4 * time).exp()[:, None]
        noisy = inner / rule.coefficients(sigma)[0] + rule.mean
        return rule.target(mixture(noisy, sigma[:, 0]), noisy, sigma)

    denoiser = rule.denoiser(network)
    torch.testing.assert_close(denoiser(x, SIGMA), mixture(x, SIGMA))
    torch.testing.assert_close(denoiser(x, 0.7), mixture(x, 0.7))
