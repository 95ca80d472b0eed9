"""SDE against ODE: the same densities by rough and by smooth paths."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .chart import BLUE, GREEN, ORANGE, Axis, Chart
from .data import HIGH, falling, normal, on_the_line
from .forward import densities

Step = Callable[[Tensor, float, float, Tensor], Tensor]


def slope(x: Tensor, sigma: float) -> Tensor:
    """dx/dσ = −σ s(x, σ) = (x − D)/σ of the probability-flow ODE."""
    return (x - on_the_line()(x, sigma)) / sigma


def euler_maruyama(x: Tensor, high: float, low: float, noise: Tensor) -> Tensor:
    """One step of the reverse SDE."""
    removed = high**2 - low**2
    return x - removed / high * slope(x, high) + removed**0.5 * noise


def euler(x: Tensor, high: float, low: float, _: Tensor) -> Tensor:
    """One step of the ODE: one evaluation, which is DDIM."""
    return x + (low - high) * slope(x, high)


def heun(x: Tensor, high: float, low: float, _: Tensor) -> Tensor:
    """One step of the ODE by the trapezium rule: two evaluations."""
    first = slope(x, high)
    ahead = x + (low - high) * first
    return x + (low - high) * (first + slope(ahead, low)) / 2


def run(step: Step, x: Tensor, levels: Tensor, seed: int = 0) -> Tensor:
    """All x on the way, [levels, *x.shape]."""
    path = [x]
    noise = normal((len(levels), *x.shape), seed)
    for i, (high, low) in enumerate(zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True)):
        path.append(step(path[-1], high, low, noise[i]))
    return torch.stack(path)


def quantiles(share: Tensor, sigma: float) -> Tensor:
    """x below which a share of p_σ lies, by bisection on its distribution function."""
    data = on_the_line()
    spread = (data.covariances[:, 0, 0] + sigma**2).sqrt()
    low, high = torch.full_like(share, -8 * (1 + sigma)), torch.full_like(share, 8 * (1 + sigma))
    for _ in range(70):
        middle = (low + high) / 2
        below = torch.special.ndtr((middle[:, None] - data.means.flatten()) / spread)
        less = below @ data.weights < share
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return (low + high) / 2


def figure(short: bool) -> list[Chart]:
    """Paths from the same starts, and the distance of the result from the data."""
    columns = 60 if short else 300
    levels = falling(columns, high=5.0)
    axis = torch.linspace(-6, 6, 40 if short else 160, dtype=torch.float64)
    left = Chart(Axis(1, 0, "t, backwards"), Axis(-6, 6, "x"), "Paths from the same starts")
    left.heat(densities(axis, levels) ** 0.5)
    time = torch.linspace(1, 0, columns)
    starts = quantiles((torch.arange(9, dtype=torch.float64) + 0.5) / 9, 5.0)[:, None]
    for step, colour, name in ((euler_maruyama, ORANGE, "SDE"), (heun, BLUE, "ODE")):
        paths = run(step, starts, levels)[..., 0].T
        for i, path in enumerate(paths):
            left.line(time, path, colour, width=1.2, label=name if i == 0 else "")

    count = 500 if short else 10_000
    share = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    begin, end = quantiles(share, HIGH)[:, None], quantiles(share, 0.01)
    right = Chart(
        Axis(4, 512, "evaluations of the score", log=True),
        Axis(1e-4, 1, "Wasserstein distance", log=True),
        "Distance of the samples from the data",
    )
    for step, cost, colour, name in (
        (euler_maruyama, 1, ORANGE, "SDE, Euler–Maruyama"),
        (euler, 1, BLUE, "ODE, Euler"),
        (heun, 2, GREEN, "ODE, Heun"),
    ):
        budgets = (8, 16) if short else (8, 16, 32, 64, 128, 256)
        errors = []
        for budget in budgets:
            x = run(step, begin, falling(budget // cost + 1))[-1].flatten().sort().values
            errors.append(float((x - end).abs().mean()))
        right.line(budgets, errors, colour, label=name, marks=True)
    return [left, right]
