"""DiffPIR: its data step, by the SVD and by conjugate gradients, and its last step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import operators
from restore.methods.diffpir import DiffPIR
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import sigma_grid
from restore.problem import Problem

SHAPE = (1, 8, 8)


class Fixed(Denoiser):
    """A denoiser of one answer; keeps the states that it is shown."""

    sigma_min, sigma_max = 0.01, 50.0

    def __init__(self, answer: Tensor) -> None:
        self.answer = answer
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append(x)
        return self.answer


def _run(operator: operators.LinearOperator, noise_std: float, method: DiffPIR) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    y = operator(torch.rand(1, *SHAPE, generator=generator))
    prior = Fixed(torch.rand(1, *SHAPE, generator=generator))
    draw = torch.Generator().manual_seed(2)
    x = method(
        Problem(operator, y, noise_std),
        prior,
        noise=lambda like: torch.randn(like.shape, generator=draw),
    )
    assert torch.equal(x, prior.answer)  # the last step is x̂
    return prior.seen


# A blur and the same map with a mask of ones before it, which hides its SVD.
BLUR = operators.Blur(SHAPE, torch.tensor([0.2, 0.6, 0.2]))
HIDDEN = operators.Mask(torch.ones(8, 8), SHAPE) @ BLUR + 0.0 * operators.Blur(
    SHAPE, operators.motion_kernel(4, 0.5), "zero"
)


@pytest.mark.parametrize("noise_std", [0.05, 0.2])
def test_conjugate_gradients_solve_the_same(noise_std, monkeypatch):
    """At levels where their least ρ, (‖A‖/50)², is below the method's."""
    monkeypatch.setattr("restore.methods.diffpir.TOLERANCE", 1e-5)
    with pytest.raises(operators.NoFastSVD):
        HIDDEN.svd()
    method = DiffPIR(steps=12, sigma_max=1.0)
    for ours, theirs in zip(
        _run(HIDDEN, noise_std, method), _run(BLUR, noise_std, method), strict=True
    ):
        assert (ours - theirs).abs().max() <= 1e-3


def test_a_step_is_the_formula():
    """x_c minimises ‖y - A x_c‖² + ρ‖x_c - x̂‖², by the matrix in double precision."""
    noise_std, method = 0.05, DiffPIR(steps=5, weight=0.7, zeta=0.0)
    operator = operators.Downsample(SHAPE, 2, kernel="bicubic")
    generator = torch.Generator().manual_seed(1)
    y = operator(torch.rand(1, *SHAPE, generator=generator))
    x_hat = torch.rand(1, *SHAPE, generator=generator)
    first, second, *_ = _run(operator, noise_std, method)
    sigma, lower, *_ = sigma_grid(Fixed(x_hat), 5, "quad")
    unit = torch.eye(64).reshape(64, *SHAPE)
    matrix = operator(unit).flatten(1).T.double()
    rho = 0.7 * (noise_std / sigma) ** 2
    system = matrix.T @ matrix + rho * torch.eye(64, dtype=torch.float64)
    right = matrix.T @ y.double().flatten() + rho * x_hat.double().flatten()
    x_c = torch.linalg.solve(system, right).reshape(1, *SHAPE)
    expected = x_c + lower * (first.double() - x_c) / sigma
    torch.testing.assert_close(second.double(), expected, rtol=1e-4, atol=1e-4)


def test_a_measurement_without_noise_counts_as_one_of_a_thousandth():
    method = DiffPIR(steps=5)
    for ours, theirs in zip(_run(BLUR, 0.0, method), _run(BLUR, 1e-3, method), strict=True):
        assert torch.equal(ours, theirs)


def test_starts_at_the_centre_or_at_an_estimate():
    guess = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(4))
    z = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(2))
    top = sigma_grid(Fixed(guess), 5, "quad")[0]
    torch.testing.assert_close(_run(BLUR, 0.1, DiffPIR(steps=5))[0], 0.5 + top * z)
    top = sigma_grid(Fixed(guess), 5, "quad", 0.3)[0]
    started = _run(BLUR, 0.1, DiffPIR(steps=5, sigma_max=0.3, start=guess))[0]
    torch.testing.assert_close(started, guess + top * z)
