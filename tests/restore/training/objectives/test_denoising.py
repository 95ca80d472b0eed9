import pytest
import torch

from restore.prior.denoiser import FunctionDenoiser, sigma_column
from restore.training.objectives.denoising import denoising_loss
from restore.training.objectives.levels import LogUniform
from restore.training.objectives.parameterisations import OUTPUTS, Parameterisation
from restore.training.objectives.weightings import WEIGHTINGS, weighting

LEVELS = LogUniform(0.1, 10.0)
STD = 0.8


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_at_one_level_the_minimiser_is_the_posterior_mean_whatever_the_objective(
    output, name, quadrature
):
    """F = θ · input on N(0, s²): D = (c_skip + c_out c_in θ) x is best at s²/(s² + σ²)."""
    grid, sigma = quadrature(1, STD), torch.tensor(0.6, dtype=torch.float64)
    rule = Parameterisation(0.0, 1.0, output)
    c_in, c_skip, c_out = rule.coefficients(sigma)
    best = (STD**2 / (STD**2 + sigma**2) - c_skip) / (c_out * c_in)
    theta = best.clone().requires_grad_()
    denoiser = rule.denoiser(lambda inner, _: theta * inner)
    weight = weighting(name, LEVELS.density, 1.0)

    def mean_loss(theta_now):
        level = sigma.expand(len(grid.clean))
        return grid.mean(denoising_loss(denoiser, weight, grid.clean, grid.noise, level))

    loss = mean_loss(theta)
    (slope,) = torch.autograd.grad(loss, theta)
    least = weight(sigma) * STD**2 * sigma**2 / (STD**2 + sigma**2)
    torch.testing.assert_close(loss.detach(), least)
    assert abs(slope) < 1e-9 * max(1.0, float(weight(sigma)))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_what_one_parameter_for_all_levels_becomes_depends_on_the_weight(name, quadrature):
    """D = θ x at σ_1, …, σ_m together: θ = s² Σ w_i / Σ w_i (s² + σ_i²)."""
    grid, sigmas = quadrature(1, STD), torch.tensor([0.2, 0.6, 3.0], dtype=torch.float64)
    weight = weighting(name, LEVELS.density, 1.0)
    w = weight(sigmas)
    best = STD**2 * w.sum() / (w * (STD**2 + sigmas**2)).sum()
    theta = best.clone().requires_grad_()
    denoiser = FunctionDenoiser(lambda x, _: theta * x)
    losses = [
        grid.mean(denoising_loss(denoiser, weight, grid.clean, grid.noise, s.expand(64)))
        for s in sigmas
    ]
    (slope,) = torch.autograd.grad(sum(losses), theta)
    assert abs(slope) < 1e-12 * float((w * (STD**2 + sigmas**2)).sum())


def test_weights_that_like_large_levels_shrink_more():
    """The same closed form, in figures: σ² shrinks most, 1/σ² least."""
    sigmas = torch.tensor([0.2, 0.6, 3.0], dtype=torch.float64)
    gain = {}
    for name in WEIGHTINGS:
        w = weighting(name, LEVELS.density, 1.0)(sigmas)
        gain[name] = float(STD**2 * w.sum() / (w * (STD**2 + sigmas**2)).sum())
    order = ["variance", "uniform", "min-snr", "inverse-variance"]
    assert [gain[n] for n in order] == sorted(gain[n] for n in order)
    assert gain["likelihood"] == pytest.approx(gain["inverse-variance"])


def test_the_loss_is_one_number_a_picture():
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(3, 2, 4, 5, generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    sigma = torch.tensor([0.1, 1.0, 3.0])
    loss = denoising_loss(
        FunctionDenoiser(lambda x, _: x), weighting("inverse-variance", LEVELS.density, 1.0),
        clean, noise, sigma,
    )  # fmt: skip
    torch.testing.assert_close(loss, noise.square().sum((1, 2, 3)))
    assert sigma_column(sigma, clean).shape == (3, 1, 1, 1)
