import pytest
import torch

from operators import CartesianMRI, Identity, SenseMRI
from operators.fourier import centred_fft
from restore.mri.baselines import (
    cg_sense,
    l1_wavelet,
    shrunk_wavelets,
    total_variation,
    zero_filled,
)
from restore.mri.coils import simulated_coils
from restore.mri.masks import make_mask
from restore.mri.phase import smooth_phase
from restore.problem import Problem
from restore.tasks.total_variation import weight_of

SHAPE = (40, 36)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def blocks() -> torch.Tensor:
    """Piecewise constant, with a phase that is constant: [1, 1, H, W]."""
    image = torch.zeros(SHAPE)
    image[6:30, 8:28], image[12:20, 12:20] = 0.6, 1.0
    return (image * torch.exp(torch.tensor(0.7j)))[None, None]


@pytest.fixture(scope="module")
def problem():
    mask = make_mask("equispaced", SHAPE, 2.5, center_fraction=0.2)
    A = SenseMRI(simulated_coils(4, SHAPE), mask)
    y = A(blocks())
    return A, y + 0.01 * 2**0.5 * draw(*y.shape) * mask


def error(x: torch.Tensor) -> float:
    return float((x - blocks()).norm() / blocks().norm())


def test_each_is_better_than_the_zero_filled_image(problem):
    A, y = problem
    least = error(zero_filled(A, y))
    cg = error(cg_sense(A, y, 0.01, 10))
    assert cg < 0.95 * least
    assert error(l1_wavelet(A, y)) < 0.6 * cg
    assert error(total_variation(A, y, weight_of(Problem(A, y, 0.01)))) < 0.3 * cg


def test_weights_of_the_density_are_on_the_samples(problem):
    A, y = problem
    density = torch.linspace(0, 1, SHAPE[1])
    assert torch.equal(zero_filled(A, y, density), A.adjoint(density * y))


def test_conjugate_gradients_end_at_the_regularised_solution(problem):
    A, y = problem
    x = cg_sense(A, y, 0.3, 60)
    rest = A.normal(x) + 0.09 * x - A.adjoint(y)
    assert float(rest.norm() / A.adjoint(y).norm()) < 1e-4


def test_images_of_a_batch_do_not_touch_each_other(problem):
    A, y = problem
    both = torch.cat([y, 3 * y.flip(-1)])
    for method in (
        lambda y: cg_sense(A, y, 0.01, 5),
        lambda y: l1_wavelet(A, y, iterations=5),
    ):
        assert torch.allclose(method(both)[:1], method(y), atol=1e-5)


def test_wavelets_without_a_threshold_are_a_basis():
    x = draw(2, 1, 37, 29)
    assert torch.allclose(shrunk_wavelets(x, torch.tensor(0.0), (3, 5)), x, atol=1e-5)
    # Orthonormal: a small threshold takes away no more than what is there.
    shrunk = shrunk_wavelets(x, torch.tensor(0.1))
    assert 0 < float((x - shrunk).norm()) <= 0.1 * x.numel() ** 0.5 * 1.2


def test_a_linear_image_has_no_detail_inside():
    """Two vanishing moments: far from the border only the coarsest coefficients are not 0."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    plane = (2 * x - y + 5).to(torch.complex64)[None, None]
    kept = shrunk_wavelets(plane, torch.tensor(1e-2))
    inside = (..., slice(4, 32), slice(4, 32))
    assert torch.allclose(kept[inside], plane[inside], atol=1e-2)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_wavelets_shrink_by_a_step_of_the_weight(factor, monkeypatch):
    """λ/‖A‖², λ the weight times the largest |Aᴴ y|."""
    thresholds = []

    def kept(x, threshold, shift):
        thresholds.append(float(threshold))
        return shrunk_wavelets(x, threshold, shift)

    monkeypatch.setattr("restore.mri.baselines.shrunk_wavelets", kept)
    y = draw(1, 1, *SHAPE)
    l1_wavelet(factor * Identity((1, *SHAPE), dtype=y.dtype), y, 0.1, iterations=2)
    expected = 0.1 * float(y.abs().max()) * factor / factor**2
    assert thresholds == pytest.approx([expected] * 2, rel=1e-3)


def test_a_step_loses_what_total_variation_says():
    """Plateaus of w columns move to each other by λ/w: the derivative of the objective is 0."""
    y = torch.full((1, 1, 4, 32), 0.2, dtype=torch.complex64)
    y[..., 8:] = 0.8
    x = total_variation(Identity((1, 4, 32), dtype=y.dtype), y, 0.05, iterations=2000)
    expected = torch.full_like(y, 0.2 + 0.05 / 8)
    expected[..., 8:] = 0.8 - 0.05 / 24
    assert torch.allclose(x, expected, atol=2e-3)


def test_total_variation_is_a_minimum():
    """Of a small problem: no step in any direction of a few makes the objective less."""
    shape = (1, 12, 10)
    A = Identity(shape, dtype=torch.complex128)
    y = blocks()[:, :, 8:20, 8:18].to(torch.complex128)
    y = y + 0.1 * draw(*y.shape, seed=3, dtype=torch.complex128)
    x = total_variation(A, y, weight_of(Problem(A, y, 0.1)), iterations=3000)
    weight = 2.2 * 0.1**1.5

    def objective(x: torch.Tensor) -> float:
        down = torch.zeros_like(x)
        across = torch.zeros_like(x)
        down[..., :-1, :], across[..., :-1] = x.diff(dim=-2), x.diff(dim=-1)
        slope = (down.abs().square() + across.abs().square()).sqrt().sum()
        return float(0.5 * (x - y).abs().square().sum() + weight * slope)

    least = objective(x)
    assert least < objective(y)
    for seed in range(20):
        for step in (1e-3, 1e-2):
            other = x + step * draw(*x.shape, seed=seed, dtype=x.dtype)
            assert objective(other) > least


def test_total_variation_gives_twice_the_image_for_twice_the_measurement():
    mask = make_mask("random", SHAPE, 2, center_fraction=0.2)
    A = CartesianMRI(mask, (1, *SHAPE))
    y = A(blocks() * smooth_phase(SHAPE))
    assert torch.allclose(centred_fft(blocks() * smooth_phase(SHAPE)) * mask, y, atol=1e-5)
    problems = Problem(A, y, 0.02), Problem(2 * A, 2 * y, 0.04)
    one, two = (total_variation(p.operator, p.y, weight_of(p)) for p in problems)
    assert float((one - two).norm() / one.norm()) < 2e-2
