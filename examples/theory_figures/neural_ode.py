"""The neural-ODE view: one invertible map between data and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchdiffeq import odeint

from restore import GaussianMixture

from .chart import BLUE, GREEN, ORANGE, Axis, Chart
from .data import HIGH, LOW, in_the_plane


class Flow:
    """dx/dτ = x − D(x, e^τ) in τ = ln σ, solved to a tolerance; counts its evaluations."""

    def __init__(self, data: GaussianMixture, tolerance: float) -> None:
        self.data, self.tolerance, self.evaluations = data, tolerance, 0

    def __call__(self, time: Tensor, x: Tensor) -> Tensor:
        """The field."""
        self.evaluations += 1
        return x - self.data(x, time.exp())

    def solve(self, x: Tensor, begin: float, end: float) -> Tensor:
        """x at the level `end` of the path that is x at `begin`."""
        times = torch.tensor([math.log(begin), math.log(end)], dtype=x.dtype)
        found: Tensor = odeint(
            self, x, times, rtol=self.tolerance, atol=self.tolerance, method="dopri5"
        )
        return found[-1]


def figure(short: bool) -> list[Chart]:
    """Data, their codes, and what a round trip loses at each tolerance."""
    data, count = in_the_plane(), 120 if short else 900
    x = data.sample(count, torch.Generator().manual_seed(0))
    component = data.responsibilities(x).argmax(1)
    codes = Flow(data, 1e-6).solve(x, LOW, HIGH) / (1 + HIGH**2) ** 0.5
    charts = [
        Chart(Axis(-3, 3), Axis(-3, 3), "Samples of the data, coloured by mode"),
        Chart(Axis(-3, 3), Axis(-3, 3), "The same samples as noise"),
    ]
    for chart, points in zip(charts, (x, codes), strict=True):
        for k, colour in enumerate((BLUE, ORANGE, GREEN)):
            chart.points(*points[component == k].T, colour, radius=1.7, opacity=0.8)

    tolerances = (1e-3, 1e-5) if short else tuple(10.0**-k for k in range(2, 11))
    errors, evaluations = [], []
    for tolerance in tolerances:
        flow = Flow(data, tolerance)
        back = flow.solve(flow.solve(x, LOW, HIGH), HIGH, LOW)
        errors.append(float((back - x).square().mean().sqrt()))
        evaluations.append(flow.evaluations)
    last = Chart(
        Axis(50, 2000, "evaluations, there and back", log=True),
        Axis(1e-10, 1, "error of x → z → x", log=True),
        f"Tolerances {tolerances[0]:g} to {tolerances[-1]:g}",
    )
    last.line(evaluations, errors, BLUE, marks=True)
    return [*charts, last]
