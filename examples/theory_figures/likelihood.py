"""Likelihood: the change of variables along the ODE, with the trace exact or estimated."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from restore import GaussianMixture

from .chart import BLUE, GREY, ORANGE, Axis, Chart
from .data import HIGH, LOW, falling, normal, on_the_line

Divergence = Callable[[Tensor, Tensor], Tensor]


def exact(x: Tensor, value: Tensor) -> Tensor:
    """tr ∂value/∂x of each row, one backward pass a coordinate."""
    rows = [
        torch.autograd.grad(value[:, i].sum(), x, retain_graph=True)[0][:, i]
        for i in range(x.shape[1])
    ]
    return torch.stack(rows).sum(0)


def along(directions: Tensor) -> Divergence:
    """Hutchinson's estimate vᵀ(∂value/∂x)v, one backward pass."""

    def divergence(x: Tensor, value: Tensor) -> Tensor:
        (product,) = torch.autograd.grad((value * directions).sum(), x, retain_graph=True)
        return (product * directions).sum(1)

    return divergence


def log_likelihood(data: GaussianMixture, x: Tensor, divergence: Divergence, steps: int) -> Tensor:
    """log p(x) in nats: log of the normal density of x(σ_max), plus ∫ tr ∂f/∂x d ln σ.

    f = x − D(x, σ) is the field over ln σ; the path and the integral are solved together by Heun.
    """
    levels = falling(steps + 1).flip(0)
    size = math.log(HIGH / LOW) / steps

    def field(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        value = x - data(x, sigma)
        return value.detach(), divergence(x, value).detach()

    total = x.new_zeros(len(x))
    for low, high in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        first, trace = field(x, low)
        second, trace_ahead = field(x + size * first, high)
        x = x + size * (first + second) / 2
        total = total + size * (trace + trace_ahead) / 2
    variance = data.covariance.diagonal().mean() + HIGH**2
    normal_density = -0.5 * (x.square() / variance + (2 * math.pi * variance).log()).sum(1)
    return normal_density + total


def figure(short: bool) -> list[Chart]:
    """Log-density on the line, and the error of Hutchinson's estimate in 16 dimensions."""
    data, steps = on_the_line(), 40 if short else 200
    left = Chart(Axis(-2.4, 2.2, "x"), Axis(-20, 2, "log p(x), nats"), "By the ODE, and exact")
    fine = torch.linspace(-2.4, 2.2, 200, dtype=torch.float64)[:, None]
    left.line(fine, data.log_prob(fine, LOW), GREY, label="closed form", width=4.0, opacity=0.6)
    places = torch.linspace(-2.3, 2.1, 45, dtype=torch.float64)[:, None]
    left.points(places, log_likelihood(data, places, exact, steps), BLUE,
                label="change of variables along the ODE", radius=2.2)  # fmt: skip

    size, repeats = 16, 20 if short else 200
    wide = GaussianMixture([0.5, 0.5], 0.6 * normal((2, size), 0), torch.linspace(0.3, 1.2, size)
                           .double().expand(2, size))  # fmt: skip
    point = wide.sample(1, torch.Generator().manual_seed(2))
    truth = log_likelihood(wide, point, exact, 40)
    probes = (1, 4) if short else (1, 2, 4, 8, 16, 32)
    right = Chart(Axis(0.9, 36, "random directions", log=True), Axis(0.03, 40, "nats", log=True),
                  "Error of the estimated trace, 16 dimensions")  # fmt: skip
    for name, colour in (("normal directions", BLUE), ("signs ±1", ORANGE)):
        errors = []
        for count in probes:
            directions = normal((repeats * count, size), count)
            if name.startswith("signs"):
                directions = directions.sign()
            found = log_likelihood(wide, point.expand(repeats * count, size), along(directions), 40)
            error = found.reshape(repeats, count).mean(1) - truth
            errors.append(float(error.square().mean().sqrt()))
        right.line(probes, errors, colour, label=name, marks=True)
    return [left, right]
