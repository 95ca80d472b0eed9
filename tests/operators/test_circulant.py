"""The ramp-like preconditioner of scans: the same solution in fewer applications of AᴴA."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from operators import Blur, Diagonal, FanBeamCT, LinearOperator, ParallelBeamCT, gaussian_kernel
from operators.cg import conjugate_gradient
from operators.circulant import inverse_filter, normal_spectrum

SIZE = (1, 40, 48)
ANGLES = torch.arange(60).double() * (math.pi / 60)


def scan(kind: str) -> LinearOperator:
    if kind == "fan":
        turn: dict[str, Any] = {"source_origin": 90.0, "source_detector": 140.0}
        return FanBeamCT(SIZE, 2 * ANGLES, 96, 1.3, **turn, dtype=torch.float64)
    A = ParallelBeamCT(SIZE, ANGLES, 66, dtype=torch.float64)
    if kind == "parallel":
        return A
    weights = torch.linspace(0.7, 1.3, 66, dtype=torch.float64).expand(A.codomain.shape)
    return Diagonal(weights, A.codomain.shape, dtype=torch.float64) @ A


@pytest.mark.parametrize("kind", ["parallel", "fan", "weighted"])
def test_fewer_iterations_to_the_same_solution(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    A = scan(kind)
    x = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b, rho = A.adjoint(A(x)), float(A.norm() / 50) ** 2
    applied = []

    def normal(x: torch.Tensor) -> torch.Tensor:
        applied.append(1)
        return A.adjoint(A(x))

    plain = conjugate_gradient(
        lambda x: normal(x) + rho * x, b, (-3, -2, -1), name="plain", tolerance=1e-9
    )
    without = len(applied)
    applied.clear()
    monkeypatch.setattr(type(A), "normal", lambda self, x: normal(x))
    solved = A.solve_normal(b, torch.tensor([rho, rho], dtype=torch.float64), tolerance=1e-9)
    torch.testing.assert_close(solved, plain, rtol=0, atol=1e-5)
    assert len(applied) < 0.6 * without


def test_the_spectrum_of_a_blur_is_its_own() -> None:
    kernel = gaussian_kernel(0.6)
    A = Blur((1, 15, 22), kernel, "zero", dtype=torch.float64)
    expected = torch.fft.rfft2(kernel, s=(30, 44)).abs().square()
    spectrum = normal_spectrum(A)[0]
    torch.testing.assert_close(spectrum, expected.clamp_min(0.01 * expected.max()))


def test_the_filter_divides_by_the_spectrum_and_the_shift_of_each_image() -> None:
    r = torch.rand(2, 1, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum = torch.full((1, 10, 5), 2.0, dtype=torch.float64)
    filtered = inverse_filter(spectrum, torch.tensor([0.5, 3.0], dtype=torch.float64))(r)
    torch.testing.assert_close(filtered, r / torch.tensor([2.5, 5.0]).reshape(2, 1, 1, 1).double())
