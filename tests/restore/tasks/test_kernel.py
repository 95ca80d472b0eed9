import math

import numpy as np
import pytest
import torch

from operators import box_kernel, disk_kernel, gaussian_kernel, motion_kernel
from restore.errors import InputError
from restore.tasks.kernel import parse_kernel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gaussian:1.5", gaussian_kernel(1.5)),
        ("box:5", box_kernel(5)),
        ("motion:9,45", motion_kernel(9, math.radians(45))[1:-1, 1:-1]),
        ("disk:2.5", disk_kernel(2.5)),
    ],
)
def test_kernels_by_name(text, expected):
    assert torch.equal(parse_kernel(text).weights, expected)


def test_margins_of_zeros_are_cut_and_the_centre_stays():
    assert parse_kernel("motion:9,0").weights.shape == (1, 9)
    upright = parse_kernel("motion:9,90").weights
    assert upright.shape == (9, 1)
    assert torch.allclose(upright, torch.full((9, 1), 1 / 9, dtype=torch.float64), atol=0.01)


def test_an_eccentric_file_keeps_its_centre(tmp_path):
    weights = np.zeros((7, 9))
    weights[2, 3], weights[3, 8] = 1, 3
    np.save(tmp_path / "k.npy", weights)
    kernel = parse_kernel(str(tmp_path / "k.npy"))
    assert kernel.weights.shape == (3, 9)
    assert kernel.weights[0, 3] == 0.25
    assert kernel.weights[1, 8] == 0.75
    assert "divided by its sum 4" in kernel.notes[0]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("gauss:2", "no such kernel or file"),
        ("nowhere.png", "no such kernel or file"),
        ("gaussian", "no such kernel or file"),
        ("gaussian:0", "a standard deviation above 0"),
        ("gaussian:-1", "a standard deviation above 0"),
        ("gaussian:nan", "a standard deviation above 0"),
        ("gaussian:inf", "a standard deviation above 0"),
        ("gaussian:1,2", "a standard deviation above 0"),
        ("gaussian:", "a standard deviation above 0"),
        ("gaussian:1e9", "at most 301"),
        ("box:4", "an odd number"),
        ("box:3.5", "an odd number"),
        ("box:-3", "an odd number"),
        ("box:303", "at most 301"),
        ("motion:5", "an angle in degrees"),
        ("motion:0.5,10", "a length of at least 1"),
        ("motion:5,nan", "an angle in degrees"),
        ("disk:0", "a radius above 0"),
        ("disk:x", "a radius above 0"),
    ],
)
def test_refuses(text, part):
    with pytest.raises(InputError) as error:
        parse_kernel(text)
    assert str(error.value).startswith(f"--kernel {text}: ")
    assert "expected" in str(error.value)
    assert part in str(error.value)
