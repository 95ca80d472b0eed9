"""Score matching: the field of a density learned from its samples alone."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.training.objectives.implicit import implicit_loss
from restore.training.objectives.sliced import sliced_loss
from restore.training.vectors import VectorNetwork, fit

from .chart import BLUE, GREY, ORANGE, Axis, Chart
from .data import in_the_plane


def learned(kind: str, steps: int) -> tuple[VectorNetwork, list[tuple[int, float]]]:
    """A network trained by the implicit or the sliced loss, and its error by steps."""
    data, generator = in_the_plane(), torch.Generator().manual_seed(0)
    network = VectorNetwork(2).double()
    test = data.sample(2000, torch.Generator().manual_seed(1))
    exact = (data(test, 0.05) - test) / 0.05**2
    errors: list[tuple[int, float]] = []

    def score(x: Tensor) -> Tensor:
        return network(x, x.new_zeros(len(x)))

    def loss() -> Tensor:
        x = data.sample(256, generator)
        x = x + 0.05 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        if kind == "implicit":
            return implicit_loss(score, x)
        signs = torch.randint(0, 2, x.shape, generator=generator) * 2.0 - 1
        return sliced_loss(score, x, signs)

    def follow(step: int, _: Tensor) -> None:
        if step % (steps // 20) == 0:
            with torch.no_grad():
                difference = score(test) - exact
            errors.append((step, float((difference.square().sum() / exact.square().sum()).sqrt())))

    fit(network, loss, steps, on_step=follow)
    return network, errors


def figure(short: bool) -> list[Chart]:
    """Exact and learned arrows, and the error as training goes on."""
    steps = 60 if short else 1000
    implicit, errors = learned("implicit", steps)
    _, sliced_errors = learned("sliced", steps)

    data = in_the_plane()
    axis = torch.linspace(-2.4, 2.4, 80, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis).flip(1)
    left = Chart(Axis(-2.4, 2.4), Axis(-2.4, 2.4), "The score of three modes")
    left.heat(data.log_prob(plane).exp().reshape(80, 80) ** 0.5)
    coarse = torch.linspace(-2.2, 2.2, 15, dtype=torch.float64)
    places = torch.cartesian_prod(coarse, coarse)
    places = places[data.log_prob(places) > -5.5]
    with torch.no_grad():
        found = implicit(places, places.new_zeros(len(places)))
    fields = {
        "exact score": (data.score(places, 0.05), GREY, 2.6),
        "learned": (found, ORANGE, 1.2),
    }
    for label, (field, colour, width) in fields.items():
        left.arrows(*places.T, *(0.035 * field).T, colour, label=label, width=width)

    right = Chart(Axis(0, steps, "updates"), Axis(0.02, 1.2, "relative error", log=True),
                  "Error of the learned score")  # fmt: skip
    for label, found, colour in (
        ("implicit, exact trace", errors, ORANGE),
        ("sliced, one direction", sliced_errors, BLUE),
    ):
        right.line(*torch.tensor(found).T, colour, label=label, marks=True)
    return [left, right]
