"""Reverse: Anderson's SDE takes noise back to the data, with nothing but the score."""

from __future__ import annotations

import torch
from torch import Tensor

from .chart import BLUE, ORANGE, Axis, Chart
from .data import falling, normal, on_the_line
from .forward import densities


def reversed_paths(levels: Tensor, count: int) -> Tensor:
    """Euler–Maruyama on dx = −s d(σ²) + √d(σ²) dw̄, from noise: [levels, count]."""
    data = on_the_line()
    noise = normal((len(levels), count, 1), 1)
    x = levels[0] * noise[0]
    path = [x]
    for i in range(len(levels) - 1):
        removed = levels[i].square() - levels[i + 1].square()
        x = x + removed * data.score(x, float(levels[i])) + removed.sqrt() * noise[i + 1]
        path.append(x)
    return torch.stack(path)[..., 0]


def figure(short: bool) -> list[Chart]:
    """Paths from noise to data, and where they end."""
    columns, count = (60, 300) if short else (300, 6000)
    levels = falling(columns, high=5.0)
    path = reversed_paths(levels, count)

    axis = torch.linspace(-6, 6, 40 if short else 160, dtype=torch.float64)
    left = Chart(Axis(1, 0, "t, backwards"), Axis(-6, 6, "x"), "From noise to the data")
    left.heat(densities(axis, levels) ** 0.5)
    time = torch.linspace(1, 0, columns)
    for row in path[:, :12].T:
        left.line(time, row, ORANGE, width=1.0)

    right = Chart(Axis(-2.2, 2.2, "x"), Axis(0, 1.4, "density"), "Where the paths end")
    bins = torch.linspace(-2.2, 2.2, 45, dtype=torch.float64)
    share = torch.histogram(path[-1].contiguous(), bins).hist / count / (bins[1] - bins[0])
    right.line(bins.repeat_interleave(2)[1:-1], share.repeat_interleave(2), ORANGE,
               label=f"histogram of {count} paths")  # fmt: skip
    fine = torch.linspace(-2.2, 2.2, 200, dtype=torch.float64)
    right.line(fine, on_the_line().log_prob(fine[:, None]).exp(), BLUE, label="density of the data")
    return [left, right]
