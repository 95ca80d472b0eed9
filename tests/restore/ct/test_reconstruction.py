"""FBP and SIRT give a smooth blob back from its projections."""

from __future__ import annotations

import math

import pytest
import torch
from own_memory import OwnMemory

from operators import ParallelBeamCT
from restore.ct import FILTERS, fan_fbp, parallel_fbp, sirt
from restore.ct.fbp import filtered_lines
from restore.ct.redundancy import Arc, ray_weights

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


@pytest.mark.parametrize(
    ("window", "share"),
    [("shepp-logan", 8**0.5 / math.pi), ("cosine", 0.5**0.5), ("hann", 0.5)],
)
def test_what_a_filter_leaves_half_way_to_the_finest(window: str, share: float) -> None:
    line = (torch.arange(400).double() * math.pi / 2).cos()
    left, ramp = (filtered_lines(line, name)[150:250] for name in (window, "ramp"))
    assert float(left.std() / ramp.std()) == pytest.approx(share, rel=1e-3)


DEGREE = math.pi / 180
SCANS = {
    "denser here": torch.cat([torch.arange(60) * 1.5, 90 + torch.arange(30) * 3.0]),
    "denser here, any order": torch.cat(
        [90 + torch.arange(30) * 3.0, torch.arange(60) * -1.5 - 90]
    ),
    "both ends": torch.linspace(0, 180, 61),
    "more than half a turn": torch.arange(100) * 2.0,
    "three quarters": torch.arange(135) * 2.0,
    "a turn": torch.arange(180) * 2.0,
    "an odd turn": torch.arange(91) * 360 / 91,
    "two turns": torch.arange(360) * 2.0,
    "golden": torch.arange(100) * 111.246,
}


@pytest.mark.parametrize("scan", SCANS)
def test_views_count_as_much_as_the_angles_that_they_stand_for(scan: str) -> None:
    angles = SCANS[scan].double() * DEGREE
    operator = ParallelBeamCT((1, 40, 48), angles, 80, 0.8, 1.0, 38.7, dtype=torch.float64)
    assert error(parallel_fbp(operator(IMAGE[None]), angles, (40, 48), 0.8, 1.0, 38.7)[0]) < 0.03


@pytest.mark.parametrize("turn", [120, 180, 360])
@pytest.mark.parametrize("views", [1, 2, 45])
def test_even_views_count_as_much_as_each_other(turn: int, views: int) -> None:
    angles = torch.arange(views).double() * turn / views * DEGREE
    arc = Arc.of(angles)
    weights = ray_weights(arc, angles, torch.zeros(9).double(), 9, 4.0)
    expected = torch.full((views, 9), math.pi / views, dtype=torch.float64)
    torch.testing.assert_close(weights * max(1, math.pi / arc.length), expected)


@pytest.mark.parametrize(("cells", "center"), [(50, 9.0), (50, 40.0), (60, 0.0), (90, 30.5)])
def test_a_turn_whose_axis_is_near_an_end_of_the_detector(cells: int, center: float) -> None:
    """Most lines are seen once: the blob reaches some 25 cells from the axis."""
    angles = torch.arange(180).double() * 2 * DEGREE
    operator = ParallelBeamCT((1, 40, 48), angles, cells, 0.8, 1.0, center, dtype=torch.float64)
    assert error(parallel_fbp(operator(IMAGE[None]), angles, (40, 48), 0.8, 1.0, center)[0]) < 0.03


@pytest.mark.parametrize("middle", [-2.0, 0.0, 3.0, 4.0, 5.5, 8.0])
def test_a_line_of_a_turn_is_counted_once(middle: float) -> None:
    """Views half a turn apart see it, in cells that are mirror images, where there are both."""
    angles = torch.arange(40).double() * 9 * DEGREE
    weights = ray_weights(Arc.of(angles), angles, torch.zeros(9).double(), 9, middle)
    for cell in range(9):
        mirror = round(2 * middle) - cell
        other = float(weights[20, mirror]) if 0 <= mirror < 9 else 0.0
        assert float(weights[0, cell]) + other == pytest.approx(2 * math.pi / 40)


@pytest.mark.parametrize("fan", [False, True])
def test_no_view_of_a_large_image_makes_arrays_of_its_size(fan: bool) -> None:
    sinogram, size = torch.ones(len(ANGLES), 30), (700, 600)
    with OwnMemory() as taken:
        if fan:
            fan_fbp(sinogram, ANGLES, size, source_origin=2000.0, source_detector=3000.0)
        else:
            parallel_fbp(sinogram, ANGLES, size)
    assert sum(numbers >= math.prod(size) for numbers in taken.numbers) == 1  # the image


def test_sirt() -> None:
    assert error(sirt(A, A(IMAGE[None]), 40)[0]) < 0.1


def test_two_steps_of_sirt_by_hand() -> None:
    matrix = A(torch.eye(1920, dtype=torch.float64).reshape(1920, 1, 40, 48)).flatten(1).T
    y = A(IMAGE[None])
    by_rows, by_columns = matrix.sum(1), matrix.sum(0)

    def step(x: torch.Tensor) -> torch.Tensor:
        rest = torch.where(by_rows > 0, (y.flatten() - matrix @ x) / by_rows, 0)
        return x + matrix.T @ rest / by_columns

    expected = step(step(torch.zeros(1920, dtype=torch.float64)))
    assert torch.allclose(sirt(A, y, 2).flatten(), expected, atol=1e-9)


def test_unknown_filter() -> None:
    with pytest.raises(ValueError, match="filter is one of"):
        parallel_fbp(A(IMAGE[None]), ANGLES, (40, 48), window="box")
