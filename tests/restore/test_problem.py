from __future__ import annotations

import numpy as np
import pytest
import torch

import operators
from restore.problem import Problem

SHAPE = (3, 8, 8)


def test_takes_what_fits_and_repeats_pictures():
    masks = torch.arange(3).reshape(3, 1, 1, 1).expand(3, 1, 8, 8) == 1
    problem = Problem(operators.Mask(masks, SHAPE), torch.rand(3, *SHAPE), 0.1)
    assert problem.batch == 3
    taken = problem.take(torch.tensor([1, 0, 1, 2]))
    assert torch.equal(taken.y, problem.y[[1, 0, 1, 2]])
    assert taken.noise_std == 0.1
    x = torch.rand(4, *SHAPE)
    assert torch.equal(taken.operator(x), masks[[1, 0, 1, 2]] * x)


@pytest.mark.parametrize(
    ("y", "noise_std", "error", "text"),
    [
        (
            torch.zeros(2, 3, 4, 8),
            0.0,
            ValueError,
            r"y is \[2, 3, 4, 8\].*Downsample.*\[B, 3, 2, 2\]",
        ),
        (torch.zeros(3, 2, 2), 0.0, ValueError, r"y is \[3, 2, 2\]"),
        (torch.zeros(1, 3, 2, 2, dtype=torch.float64), 0.0, TypeError, "float64"),
        (None, 0.0, TypeError, "y is of type NoneType; expected a tensor"),
        (torch.zeros(1, 3, 2, 2), -0.1, ValueError, "noise_std is -0.1"),
        (torch.zeros(1, 3, 2, 2), float("nan"), ValueError, "noise_std is nan"),
    ],
)
def test_refuses(y, noise_std, error, text):
    with pytest.raises(error, match=text):
        Problem(operators.Downsample(SHAPE, 4), y, noise_std)


def test_refuses_another_number_of_masks():
    mask = operators.Mask(torch.ones(3, 1, 8, 8), SHAPE)
    with pytest.raises(operators.ShapeError, match="batch of 2"):
        Problem(mask, torch.zeros(2, *SHAPE))


@pytest.mark.parametrize("noise_std", [torch.tensor(0.25), np.float32(0.25), torch.tensor([0.25])])
def test_a_noise_level_that_torch_or_numpy_has_estimated_is_a_number(noise_std):
    problem = Problem(operators.Identity(SHAPE), torch.zeros(1, *SHAPE), noise_std)
    assert type(problem.noise_std) is float
    assert problem.noise_std == 0.25
