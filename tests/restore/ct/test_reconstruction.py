"""FBP and SIRT give a smooth blob back from its projections."""

from __future__ import annotations

import math

import pytest
import torch

from operators import ParallelBeamCT
from restore.ct import FILTERS, parallel_fbp, sirt

ANGLES = torch.arange(90).double() * (math.pi / 90)
ROW, COLUMN = torch.arange(40).double()[:, None], torch.arange(48).double()
IMAGE = torch.exp(-((ROW - 15).square() + (COLUMN - 28).square()) / 50)
A = ParallelBeamCT((1, 40, 48), ANGLES, 80, 0.8, 1.0, 38.7, dtype=torch.float64)


def error(x: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(x - IMAGE) / torch.linalg.vector_norm(IMAGE))


@pytest.mark.parametrize("window", FILTERS)
def test_fbp(window: str) -> None:
    x = parallel_fbp(A(IMAGE[None]), ANGLES, (40, 48), 0.8, 1.0, 38.7, window=window)
    assert error(x[0]) < 0.05


def test_sirt() -> None:
    assert error(sirt(A, A(IMAGE[None]), 40)[0]) < 0.1


def test_unknown_filter() -> None:
    with pytest.raises(ValueError, match="filter is one of"):
        parallel_fbp(A(IMAGE[None]), ANGLES, (40, 48), window="box")
