"""Denoising score matching: the score as the mean of many noisy guesses."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.prior.denoiser import FunctionDenoiser
from restore.training.objectives.denoising import denoising_loss
from restore.training.objectives.levels import LogUniform
from restore.training.objectives.parameterisations import Parameterisation
from restore.training.objectives.weightings import inverse_variance
from restore.training.vectors import VectorNetwork, fit

from .chart import BLUE, GREY, ORANGE, Axis, Chart
from .data import normal, on_the_line


def figure(short: bool) -> list[Chart]:
    """Targets −n/σ, their mean and what a network learns of them, at two levels."""
    data, levels = on_the_line(), LogUniform(0.1, 3.0)
    generator = torch.Generator().manual_seed(0)
    network = VectorNetwork(1).double()
    denoiser = Parameterisation(output="epsilon").denoiser(network)

    def loss() -> Tensor:
        clean = data.sample(512, generator)
        noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        sigma = levels.sample(512, generator).double()
        return denoising_loss(denoiser, inverse_variance, clean, noise, sigma)

    fit(network, loss, 60 if short else 1000)
    return [_at(sigma, denoiser, 300 if short else 1500) for sigma in (0.3, 1.0)]


def _at(sigma: float, denoiser: FunctionDenoiser, count: int) -> Chart:
    data, noise = on_the_line(), normal((count, 1), 5)
    noisy = data.sample(count, torch.Generator().manual_seed(4)) + sigma * noise
    reach = 2.2 + sigma
    tall = 3 / sigma
    chart = Chart(
        Axis(-reach, reach, "x"), Axis(-tall, tall, "−n/σ and its mean"), f"σ = {sigma:g}"
    )
    chart.points(noisy, -noise / sigma, GREY, label="−n/σ of one sample", radius=1.1, opacity=0.45)
    axis = torch.linspace(-reach, reach, 200, dtype=torch.float64)[:, None]
    with torch.no_grad():
        learned = (denoiser(axis, sigma) - axis) / sigma**2
    chart.line(axis, data.score(axis, sigma), BLUE, label="exact score", width=3.0)
    chart.line(axis, learned, ORANGE, label="learned", dashes="5 3")
    return chart
