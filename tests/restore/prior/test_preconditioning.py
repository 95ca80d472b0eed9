import pytest
import torch

from restore.prior import preconditioning as p

SIGMAS = torch.tensor([0.003, 0.1, 1.0, 40.0], dtype=torch.float64).view(-1, 1, 1, 1)


@pytest.fixture
def clean() -> torch.Tensor:
    return torch.rand(4, 3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(4, 3, 5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_every_parameterisation_gives_the_clean_picture(clean, noise):
    """The exact ε and v of x = x₀ + σ n, given x₀, all denoise to x₀."""
    x = clean + SIGMAS * noise
    alpha = (1 + SIGMAS.square()).rsqrt()
    v = alpha * noise - SIGMAS * alpha * clean
    torch.testing.assert_close(p.denoised_from_epsilon(x, SIGMAS, noise), clean)
    torch.testing.assert_close(p.denoised_from_v(x, SIGMAS, v), clean, rtol=1e-10, atol=1e-10)


def test_the_target_of_edm_denoises_to_the_clean_picture(clean, noise):
    edm = p.EDMPreconditioning(mean=0.45, std=0.25)
    x = clean + SIGMAS * noise
    target = edm.target(clean, x, SIGMAS)
    torch.testing.assert_close(edm.denoised(x, SIGMAS, target), clean)


def test_edm_input_and_target_have_unit_variance():
    """For Gaussian data of the stated mean and std; 10⁶ values, 5 standard errors = 0.7 %."""
    edm = p.EDMPreconditioning(mean=0.45, std=0.25)
    generator = torch.Generator().manual_seed(2)
    clean = 0.45 + 0.25 * torch.randn(1, 1, 1000, 1000, generator=generator)
    for sigma in (0.02, 0.3, 5.0):
        level = torch.full((1, 1, 1, 1), sigma)
        x = clean + level * torch.randn(clean.shape, generator=generator)
        assert edm.network_input(x, level).std() == pytest.approx(1, abs=0.007)
        assert edm.target(clean, x, level).std() == pytest.approx(1, abs=0.007)
