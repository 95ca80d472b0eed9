"""The exact SVD of scans by their symmetries, against the dense one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from operators import (
    FanBeamCT,
    NoFastSVD,
    ParallelBeamCT,
    ShapeError,
    check_svd,
    factor_bytes,
    ray_factors,
)
from operators.picture_symmetry import PictureSymmetry
from operators.rays import RayOperator

SYMMETRIES = [
    PictureSymmetry(6, 6, True),
    PictureSymmetry(7, 7, True),
    PictureSymmetry(4, 4, True),
    PictureSymmetry(6, 9, False),
    PictureSymmetry(5, 5, False),
]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_the_blocks_are_an_orthonormal_basis(symmetry: PictureSymmetry) -> None:
    pixels = symmetry.height * symmetry.width
    pictures = torch.eye(pixels, dtype=torch.float64).reshape(-1, symmetry.height, symmetry.width)
    blocks = symmetry.split(pictures)
    shapes = zip(symmetry.copies, symmetry.sizes, strict=True)
    assert [block.shape[1:] for block in blocks] == [torch.Size(shape) for shape in shapes]
    basis = torch.cat([block.flatten(1) for block in blocks], 1)
    torch.testing.assert_close(basis @ basis.mT, torch.eye(pixels, dtype=torch.float64))
    torch.testing.assert_close(symmetry.join(blocks), pictures)
    for number, block in enumerate(blocks):
        place, weight = symmetry.places(number, torch.device("cpu"))
        expected = torch.zeros(pixels, symmetry.sizes[number], dtype=torch.float64)
        expected.scatter_add_(1, place[:, None], weight[:, None])
        torch.testing.assert_close(block[:, 0], expected)


def scan(kind: str, dtype: torch.dtype = torch.float64) -> RayOperator:
    kw: dict[str, Any] = {"dtype": dtype}
    match kind:
        case "square":
            return ParallelBeamCT((1, 12, 12), turn(16), 19, 1.1, 0.9, **kw)
        case "few views":
            return ParallelBeamCT((1, 13, 13), turn(6), 15, 1.1, 0.9, **kw)
        case "half a step in":
            return ParallelBeamCT((1, 12, 12), turn(8) + math.pi / 16, 18, **kw)
        case "odd":
            return ParallelBeamCT((1, 13, 13), turn(9), 20, **kw)
        case "rectangle":
            return ParallelBeamCT((1, 9, 14), turn(14), 18, **kw)
        case "arc":
            angles = math.pi / 6 + (torch.arange(8).double() + 0.5) * (math.pi / 12)
            return ParallelBeamCT((1, 12, 12), angles, 18, **kw)
        case "each view twice":
            return ParallelBeamCT((1, 10, 10), turn(16, 2 * math.pi), 15, **kw)
        case _:
            fan = {"source_origin": 30.0, "source_detector": 50.0}
            return FanBeamCT((1, 12, 12), turn(20, 2 * math.pi), 25, 1.2, 0.9, **fan, **kw)


def turn(views: int, whole: float = math.pi) -> Tensor:
    return torch.arange(views).double() * (whole / views)


KINDS = (
    "square", "few views", "half a step in", "odd", "rectangle", "arc", "each view twice", "fan",
)  # fmt: skip
BLOCKS = {"odd": 4, "rectangle": 4, "arc": 4}


@pytest.mark.parametrize("kind", KINDS)
def test_singular_values_are_those_of_the_matrix(kind: str) -> None:
    A = scan(kind)
    factors = ray_factors(A)
    assert len(factors.vectors) == BLOCKS.get(kind, 5)
    pixels = torch.eye(A.domain.numel, dtype=torch.float64).reshape(-1, *A.domain.shape)
    expected = torch.linalg.svdvals(A(pixels).flatten(1))
    found = factors.svd(A).singular_values.sort(descending=True).values
    expected, rest = expected[: len(found)], expected[len(found) :]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-7 * float(expected[0]))
    assert not rest.numel() or rest.max() < 2e-6 * expected[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_identities(kind: str, dtype: torch.dtype) -> None:
    A = scan(kind, dtype)
    solved = A.with_svd(ray_factors(A).svd(A))
    # The singular values that are left out are below 1e-3 (in double 1e-6) of the largest.
    check_svd(solved, tolerance=2e-3 if dtype == torch.float32 else 1e-5)


def test_any_unit_of_length_has_the_same_factors() -> None:
    A = ParallelBeamCT((1, 12, 12), turn(16), 19, 0.5, 0.25, dtype=torch.float64)
    unit = ParallelBeamCT((1, 12, 12), turn(16), 19, 2.0, 1.0, dtype=torch.float64)
    factors = ray_factors(unit)
    check_svd(A.with_svd(factors.svd(A)), tolerance=1e-5)


def test_solutions_are_those_of_conjugate_gradients() -> None:
    A = scan("square")
    b = A.adjoint(torch.rand(2, *A.codomain.shape, dtype=torch.float64))
    solved = A.with_svd(ray_factors(A).svd(A)).solve_normal(b, 0.3)
    torch.testing.assert_close(solved, A.solve_normal(b, 0.3), rtol=1e-6, atol=1e-6)


def test_it_moves_with_the_operator() -> None:
    A = scan("square", torch.float32)
    solved = A.with_svd(ray_factors(A).svd(A))
    with pytest.raises(NoFastSVD):
        A.svd()
    check_svd(solved.to("cpu"), tolerance=2e-3)
    x = torch.rand(3, *A.domain.shape)
    assert torch.equal(solved.svd().vt(x)[1:2], solved.svd().vt(x[1:2]))


def test_it_runs_on_a_pretended_accelerator() -> None:
    A = scan("square", torch.float32)
    solved = A.with_svd(ray_factors(A).svd(A))
    with FakeTensorMode(allow_non_fake_inputs=True):
        B = solved._mapped(lambda t: torch.empty(t.shape, dtype=t.dtype, device="cuda"), None, {})
        x = torch.empty((2, *A.domain.shape), device="cuda")
        svd = B.svd()
        c = svd.vt(x)
        results = [c, svd.v(c), svd.u(c), svd.ut(B(x)), svd.pinv(B(x)), B.solve_normal(x, 0.1)]
        assert all(result.device.type == "cuda" for result in results)


def test_the_blocks_are_counted() -> None:
    done: list[tuple[int, int]] = []
    ray_factors(scan("odd"), lambda block, total: done.append((block, total)))
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_memory_is_told_before() -> None:
    A = ParallelBeamCT((1, 256, 256), turn(180), 363)
    working, left = factor_bytes(A)
    assert left < 2.2e9
    assert working < 6.5e9


@pytest.mark.parametrize(
    "refused",
    [
        lambda: ParallelBeamCT((1, 12, 12), torch.arange(10) * 0.2, 17),
        lambda: ParallelBeamCT((1, 12, 12), turn(10), 17, center=8.5),
        lambda: ParallelBeamCT((1, 12, 12), torch.tensor([0.0, 0.0, math.pi / 4]), 17),
        lambda: ParallelBeamCT((1, 12, 12), turn(10), 17, center=8.001),
        # One view is off by 0.006 degrees, as in a file that rounds to hundredths.
        lambda: ParallelBeamCT((1, 12, 12), turn(10) + 1e-4 * torch.eye(10)[3], 17),
    ],
)
def test_rays_without_symmetry_are_refused(refused: Any) -> None:
    with pytest.raises(NoFastSVD, match="not symmetric"):
        ray_factors(refused())
    with pytest.raises((NoFastSVD, ShapeError), match="not symmetric"):
        factor_bytes(refused())
