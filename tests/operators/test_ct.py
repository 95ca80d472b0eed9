"""CT projectors: adjoint, geometry against analytic projections, the two ways of applying them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import operators.crossing_rays
import operators.rays
from operators import FanBeamCT, ParallelBeamCT, ShapeError, check_adjoint

ANGLES = torch.linspace(-1.0, 5.0, 13, dtype=torch.float64)
FAN: dict[str, Any] = {"source_origin": 60.0, "source_detector": 90.0}


def build(kind: str, dtype: torch.dtype = torch.float64, shape: Any = (1, 20, 31)) -> Any:
    if kind == "parallel":
        return ParallelBeamCT(shape, ANGLES, 33, 1.1, 0.9, 15.3, dtype=dtype)
    return FanBeamCT(shape, ANGLES, 33, 1.6, 0.9, 15.3, **FAN, curved=kind == "curved", dtype=dtype)


KINDS = ("parallel", "flat", "curved")


@pytest.mark.parametrize("kind", KINDS)
def test_adjoint_is_exact(kind: str) -> None:
    check_adjoint(build(kind), tolerance=1e-12)
    check_adjoint(build(kind, torch.float32), tolerance=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_with_and_without_a_matrix_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    A = build(kind)
    x = torch.rand(2, *A.domain.shape, dtype=torch.float64)
    y = A(x)
    back = A.adjoint(y)
    assert torch.equal(A(x[:1]), y[:1])
    # Pieces of few rows and rays.
    monkeypatch.setattr(operators.crossing_rays, "_ROWS", 7)
    monkeypatch.setattr(operators.crossing_rays, "_CACHED", 70)
    monkeypatch.setattr(operators.rays, "_MATRIX_ENTRIES", 0)
    without = build(kind)
    torch.testing.assert_close(without(x), y)
    torch.testing.assert_close(without.adjoint(y), back)
    assert torch.equal(without(x[1]), without(x)[1])
    assert torch.equal(without.adjoint(y[1]), without.adjoint(y)[1])
    check_adjoint(without, tolerance=1e-12)
    check_adjoint(without.to(dtype=torch.float32), tolerance=1e-6)


def test_nothing_is_lost_of_what_is_taken_as_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators.rays, "_MATRIX_ENTRIES", 0)
    few, all_pieces = build("flat"), build("flat")
    for *_, crossing in all_pieces._kinds:
        rows, rays = crossing.domain.shape[0], crossing.codomain.numel
        assert sum(piece.count * piece.height for piece in crossing._inside) < rows * rays
        crossing._inside[:] = operators.crossing_rays._everywhere(rows, rays)
    x = torch.rand(few.domain.shape, dtype=torch.float64)
    y = few(x)
    torch.testing.assert_close(all_pieces(x), y, rtol=1e-13, atol=0)
    torch.testing.assert_close(all_pieces.adjoint(y), few.adjoint(y), rtol=1e-13, atol=0)


def gaussian(height: int, width: int, pixel: float) -> Tensor:
    """A blob of standard deviation 4 at (5, -3)."""
    x = (torch.arange(width).double() - (width - 1) / 2) * pixel
    y = ((height - 1) / 2 - torch.arange(height).double()) * pixel
    return torch.exp(-((x - 5).square() + (y[:, None] + 3).square()) / 32)[None]


@pytest.mark.parametrize("kind", KINDS)
def test_projection_of_a_blob(kind: str) -> None:
    A = build(kind, shape=(1, 70, 80))
    t, cells = ANGLES[:, None], torch.arange(33).double() - 15.3
    if kind == "parallel":
        distance = cells * 1.1 - (5 * t.cos() - 3 * t.sin())
    else:
        u = cells * 1.6
        g = u / 90 if kind == "curved" else torch.atan(u / 90)
        # The ray is x cos(t - g) + y sin(t - g) = dso sin g.
        distance = 60 * g.sin() - (5 * (t - g).cos() - 3 * (t - g).sin())
    expected = 4 * math.sqrt(2 * math.pi) * torch.exp(-distance.square() / 32)
    error = torch.linalg.vector_norm(A(gaussian(70, 80, 0.9))[0] - expected)
    assert error < 5e-3 * torch.linalg.vector_norm(expected)


# torch scripts its own decompositions at the first jvp, and warns about that itself.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("entries", [0, 10**9])
def test_derivatives_with_and_without_a_matrix(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators.rays, "_MATRIX_ENTRIES", entries)
    A = build("flat")
    x = torch.rand(2, *A.domain.shape, dtype=torch.float64, requires_grad=True)
    y = A(x)
    (gradient,) = torch.autograd.grad(y.square().sum() / 2, x)
    torch.testing.assert_close(gradient, A.adjoint(y.detach()))
    image, tangent = torch.func.jvp(A, (x.detach(),), (gradient,))
    torch.testing.assert_close(image, y.detach())
    torch.testing.assert_close(tangent, A(gradient))


def test_bad_geometry_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\[1, H, W\]"):
        ParallelBeamCT((3, 8, 8), ANGLES, 8)
    with pytest.raises(ValueError, match="spacing positive"):
        ParallelBeamCT((1, 8, 8), ANGLES, 8, 0.0)
