from __future__ import annotations

import numpy as np
import pytest
import torch

from restore.noise import CELL, NoiseSource, PlacedNoise
from restore.tasks.windows import MARGIN, windows_around


def hole_at(*places: tuple[int, int], size: tuple[int, int] = (700, 1000)) -> np.ndarray:
    hole = np.zeros(size, np.bool_)
    for row, column in places:
        hole[row : row + 10, column : column + 20] = True
    return hole


def test_every_hole_has_its_margin_and_windows_do_not_meet() -> None:
    hole = hole_at((0, 0), (300, 500), (330, 540), (690, 980), (300, 900))
    windows = windows_around(hole)
    covered = np.zeros(hole.shape, int)
    for window in windows:
        covered[tuple(window)] += 1
        assert window.origin[0] % CELL == window.origin[1] % CELL == 0
    assert covered.max() == 1
    for row, column in np.argwhere(hole):
        around = covered[
            max(0, row - MARGIN) : row + MARGIN, max(0, column - MARGIN) : column + MARGIN
        ]
        assert around.all()
    # Two of the holes are close and share a window.
    assert len(windows) == 4
    assert covered.mean() < 0.35


def test_surroundings_that_meet_share_a_window() -> None:
    ring = np.zeros((800, 800), np.bool_)
    ring[100:700, 100] = ring[100:700, 700] = ring[100, 100:700] = ring[700, 100:700] = True
    ring[400, 400] = True
    assert len(windows_around(ring)) == 1


def test_a_pixel_has_the_same_noise_in_every_window() -> None:
    whole = PlacedNoise(3, [(0, 0), (1, 0)])
    window = PlacedNoise(3, [(0, 0), (1, 0)], (64, 32))
    for _ in range(2):
        a, b = whole(torch.empty(2, 3, 150, 130)), window(torch.empty(2, 3, 50, 90))
        assert torch.equal(a[..., 64:114, 32:122], b)


def test_placed_noise_is_standard_normal_and_fresh() -> None:
    source = PlacedNoise(0, [(0, 0), (1, 0)])
    first, second = source(torch.empty(2, 3, 200, 200)), source(torch.empty(2, 3, 200, 200))
    # Five standard deviations of a mean, and of a variance, of 120,000 numbers.
    for one in (*first, *second):
        assert abs(float(one.mean())) < 5 / 120_000**0.5
        assert abs(float(one.var()) - 1) < 5 * (2 / 120_000) ** 0.5
    for a, b in ((first[0], first[1]), (first[0], second[0]), (first[0, 0], first[0, 1])):
        assert abs(float((a * b).mean())) < 5 / 40_000**0.5
    neighbours = first[0, :, :, :-CELL] * first[0, :, :, CELL:]
    assert abs(float(neighbours.mean())) < 5 / 90_000**0.5
    assert not torch.equal(first[:1], NoiseSource(0)(torch.empty(1, 3, 200, 200)))


def test_placed_noise_refuses() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        PlacedNoise(0, origin=(0, 8))
    with pytest.raises(ValueError, match="at least 0"):
        PlacedNoise(-1)
    with pytest.raises(ValueError, match="the batch is 2"):
        PlacedNoise(0)(torch.empty(2, 1, 4, 4))
