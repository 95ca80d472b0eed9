"""Forward: noise added little by little, in the coordinates of the VE and of the VP SDE."""

from __future__ import annotations

import torch
from torch import Tensor

from .chart import ORANGE, Axis, Chart
from .data import falling, normal, on_the_line


def densities(x: Tensor, levels: Tensor) -> Tensor:
    """p_σ(x) [rows of x, levels]."""
    data = on_the_line()
    return torch.stack([data.log_prob(x[:, None], float(s)).exp() for s in levels], dim=1)


def figure(short: bool) -> list[Chart]:
    """Density and paths over time, t = 0 being the data and t = 1 the noise."""
    paths, columns = (4, 40) if short else (12, 160)
    levels = falling(columns, high=5.0).flip(0)
    time = torch.linspace(0, 1, columns)

    # x(t) = x₀ + a Brownian motion with variance σ(t)²: independent increments.
    steps = levels.square().diff(prepend=levels.new_zeros(1)).sqrt()
    start = on_the_line().sample(paths, torch.Generator().manual_seed(3))
    exploding = start + (steps * normal((paths, columns), 0)).cumsum(1)
    # The same paths, divided by √(1 + σ²), solve the VP SDE.
    scale = (1 + levels.square()).rsqrt()

    axis = torch.linspace(-6, 6, 40 if short else 160, dtype=torch.float64)
    left = Chart(Axis(0, 1, "t"), Axis(-6, 6, "x"), "VE: x = x₀ + σ(t) n")
    left.heat(densities(axis, levels) ** 0.5)
    narrow = axis / 2
    right = Chart(Axis(0, 1, "t"), Axis(-3, 3), "VP: the same, divided by √(1 + σ²)")
    right.heat((densities_of_scaled(narrow, levels, scale)) ** 0.5)
    for path in exploding:
        left.line(time, path, ORANGE, width=1.0)
        right.line(time, scale * path, ORANGE, width=1.0)
    return [left, right]


def densities_of_scaled(x: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
    """Density of scale · x_σ at x, [rows of x, levels]."""
    data = on_the_line()
    columns = [
        data.log_prob((x / a)[:, None], float(s)).exp() / a
        for s, a in zip(levels, scale, strict=True)
    ]
    return torch.stack(columns, dim=1)
