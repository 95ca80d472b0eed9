"""Filtered back-projection of fans: a smooth blob comes back at its height, whatever the arc."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from operators import FanBeamCT
from restore.ct import FILTERS, fan_fbp
from restore.ct.redundancy import Arc, ray_weights

ROW, COLUMN = torch.arange(40).double()[:, None], torch.arange(48).double()
IMAGE = torch.exp(-((ROW - 15).square() + (COLUMN - 28).square()) / 50)
# The fan reaches 0.4 from its middle, so a short scan is π + 0.8.
FAN: dict[str, Any] = {"source_origin": 90.0, "source_detector": 140.0}
FULL = torch.arange(180).double() * (2 * math.pi / 180)
SHORT = torch.linspace(0.3, 0.3 + math.pi + 0.85, 120, dtype=torch.float64)
ARCS = {
    "full": FULL,
    "clockwise": -FULL + 1,
    "short": SHORT,
    "short clockwise": -SHORT,
    "three quarters": torch.linspace(5, 5 + 1.5 * math.pi, 140, dtype=torch.float64),
    "any order": FULL[torch.randperm(180, generator=torch.Generator().manual_seed(0))],
    "two turns": torch.cat([FULL, FULL + 2 * math.pi + 0.01]),
    "a turn twice": torch.cat([FULL, FULL]),
    "denser here": torch.cat([FULL[:90], FULL[:90] / 2, FULL[90:]]),
}


def error(angles: Tensor, curved: bool, **settings: Any) -> float:
    A = FanBeamCT(
        (1, 40, 48), angles, 96, 1.3, 1.0, 46.2, **FAN, curved=curved, dtype=torch.float64
    )
    lines = A(IMAGE[None])
    x = fan_fbp(lines, angles, (40, 48), 1.3, 1.0, 46.2, **FAN, curved=curved, **settings)
    return float(torch.linalg.vector_norm(x[0] - IMAGE) / torch.linalg.vector_norm(IMAGE))


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("arc", ARCS)
def test_arcs(arc: str, curved: bool) -> None:
    assert error(ARCS[arc], curved) < 0.02


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize(("cells", "center"), [(54, 9.0), (54, 44.0), (70, 20.5)])
def test_a_turn_whose_axis_is_near_an_end_of_the_detector(
    cells: int, center: float, curved: bool
) -> None:
    A = FanBeamCT(
        (1, 40, 48), FULL, cells, 1.3, 1.0, center, **FAN, curved=curved, dtype=torch.float64
    )
    x = fan_fbp(A(IMAGE[None]), FULL, (40, 48), 1.3, 1.0, center, **FAN, curved=curved)
    assert float((x[0] - IMAGE).norm() / IMAGE.norm()) < 0.03


@pytest.mark.parametrize("window", FILTERS)
def test_filters(window: str) -> None:
    assert error(FULL, False, window=window) < 0.05


def test_less_than_a_short_scan_is_worse_but_bounded() -> None:
    assert 0.02 < error(torch.linspace(0, 2.8, 120, dtype=torch.float64), False) < 0.5


def test_weights_of_a_line_sum_to_one() -> None:
    gamma = torch.linspace(-0.4, 0.4, 41, dtype=torch.float64)
    step = 0.005
    angles = torch.arange(0, math.pi + 0.85, step, dtype=torch.float64)
    weights = ray_weights(Arc.of(angles), angles, gamma, 41, 20.0) / step
    for view, t in enumerate(angles.tolist()):
        for cell in (5, 20, 32):
            place = (t - 2 * float(gamma[cell]) + math.pi) / step
            if place < len(angles) - 2:
                low, share = int(place), place - int(place)
                other = weights[low : low + 2, 40 - cell]
                total = weights[view, cell] + (1 - share) * other[0] + share * other[1]
                assert abs(float(total) - 1) < 5e-3


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="within the circle"):
        fan_fbp(torch.zeros(3, 4), torch.zeros(3), (40, 40), source_origin=20, source_detector=40)
    with pytest.raises(ValueError, match="3 views, but angles"):
        fan_fbp(torch.zeros(3, 4), torch.zeros(2), (4, 4), source_origin=20, source_detector=40)
