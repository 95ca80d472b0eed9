from __future__ import annotations

import pytest
import torch

import operators
from restore.methods.base import uniform
from restore.methods.likelihood import damped_pinv, estimate, pull
from restore.problem import Problem

SHAPE = (3, 7, 10)
OPERATORS = {
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0), dtype=torch.float64),
    "resize": lambda: operators.Downsample(SHAPE, size=(3, 4), dtype=torch.float64),
    "colorize": lambda: operators.Colorize(SHAPE, dtype=torch.float64),
    "no SVD": lambda: operators.Blur(
        SHAPE, torch.rand(3, 3, generator=torch.Generator().manual_seed(0)), "reflect",
        dtype=torch.float64,
    ),
    "complex": lambda: operators.CartesianMRI(
        torch.arange(70).reshape(7, 10) % 3 > 0, (7, 10), dtype=torch.complex128
    ),
}  # fmt: skip


@pytest.mark.parametrize("rho", [0.3, torch.tensor(0.3), torch.tensor([0.3, 0.01])])
@pytest.mark.parametrize("name", OPERATORS)
def test_pulls_to_the_measurement(name: str, rho: float | torch.Tensor) -> None:
    """Aᴴ(AAᴴ + ρI)⁻¹ (y - A x), by a dense solve; and it is what `estimate` adds to the centre."""
    operator = OPERATORS[name]()
    generator = torch.Generator().manual_seed(1)
    dtype = operator.domain.dtype
    x = torch.randn(2, *operator.domain.shape, generator=generator, dtype=dtype)
    y = torch.randn(2, *operator.codomain.shape, generator=generator, dtype=dtype)
    count = operator.domain.numel
    unit = torch.eye(count, dtype=dtype).reshape(count, *operator.domain.shape)
    A = operator(unit).reshape(count, -1).mT
    shift = torch.as_tensor(rho, dtype=torch.float64).expand(2)[:, None, None]
    normal = A.mH @ A + shift * torch.eye(count)
    residual = (y - operator(x)).reshape(2, -1, 1)
    expected = torch.linalg.solve(normal, A.mH @ residual).reshape(x.shape)
    problem = Problem(operator, y)
    torch.testing.assert_close(pull(problem, x, rho), expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(
        damped_pinv(operator, y - operator(x), rho), expected, rtol=0, atol=1e-8
    )
    flat = torch.full_like(x, uniform(operator.domain, 0.5))
    torch.testing.assert_close(estimate(problem, 0.5, rho), flat + pull(problem, flat, rho))


def test_without_damping_it_is_the_pseudo_inverse() -> None:
    operator = OPERATORS["resize"]()
    x = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = operator(x.flip(-1))
    change = pull(Problem(operator, y), x, 0)
    torch.testing.assert_close(operator(x + change), y)
    torch.testing.assert_close(operator.pinv(operator(change)), change)
