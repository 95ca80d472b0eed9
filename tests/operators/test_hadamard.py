"""Walsh-Hadamard measurements against SciPy's matrix."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import block_diag, hadamard

from operators import Hadamard


@pytest.mark.parametrize(
    ("size", "runs"), [((8, 16), (128,)), ((9, 8), (64, 8)), ((5, 7), (32, 2, 1)), ((1, 1), (1,))]
)
def test_equals_scipy(size: tuple[int, int], runs: tuple[int, ...]) -> None:
    pixels = size[0] * size[1]
    keep = torch.randperm(pixels)[: max(1, pixels // 2)]
    A = Hadamard((1, *size), keep=keep, dtype=torch.float64)
    matrix = block_diag(*(hadamard(run) / run**0.5 for run in runs))
    basis = torch.eye(pixels, dtype=torch.float64).reshape(pixels, 1, *size)
    assert torch.allclose(A(basis)[:, 0].T, torch.from_numpy(matrix)[keep], atol=1e-15)


@pytest.mark.parametrize("size", [(32, 64), (50, 50), (125, 250)], ids=str)
def test_every_size_has_exact_rows(size: tuple[int, int]) -> None:
    A = Hadamard((1, *size), 0.3, dtype=torch.float64)
    y = torch.randn(2, *A.codomain.shape, dtype=torch.float64)
    assert torch.allclose(A(A.adjoint(y)), y, atol=1e-13)
    assert torch.allclose(A.pinv(y), A.adjoint(y), atol=1e-13)


def test_drawn_coefficients() -> None:
    A, B = Hadamard((3, 25, 20), 0.4), Hadamard((3, 25, 20), 0.4, seed=1)
    assert A.codomain.shape == (3, 200)
    assert len(set(A.keep.tolist())) == 200
    assert {0, 256, 384, 448, 480, 496} <= set(A.keep.tolist())
    assert torch.equal(A.keep, Hadamard((3, 25, 20), 0.4, 0).keep)
    assert not torch.equal(A.keep, B.keep)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "either a ratio or"),
        ({"ratio": 0.5, "keep": torch.arange(2)}, "either a ratio or"),
        ({"ratio": 0.0}, "the ratio is 0.0"),
        ({"ratio": 1.5}, "the ratio is 1.5"),
        ({"keep": torch.tensor([3, 3])}, "different integers in 0 … 15"),
        ({"keep": torch.tensor([16])}, "different integers in 0 … 15"),
        ({"keep": torch.tensor([-1])}, "different integers in 0 … 15"),
        ({"keep": torch.zeros(0, dtype=torch.int64)}, r"keep is \[0\]"),
    ],
)
def test_refusals(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Hadamard((1, 4, 4), **arguments)  # type: ignore[arg-type]
