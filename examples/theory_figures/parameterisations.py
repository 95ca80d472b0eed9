"""Parameterisations: how large each output is at each level, and what a weighting looks at."""

from __future__ import annotations

import torch

from restore.training.objectives.levels import LogNormal
from restore.training.objectives.parameterisations import OUTPUTS, Parameterisation
from restore.training.objectives.weightings import WEIGHTINGS, weighting

from .chart import COLOURS, Axis, Chart
from .data import falling, normal, on_the_line


def figure(short: bool) -> list[Chart]:
    """Root mean square of the best output F; weight of the error of EDM's F."""
    data, sigmas = on_the_line(), falling(40, 0.02, 50.0)
    count = 1000 if short else 20_000
    clean, noise = data.sample(count, torch.Generator().manual_seed(0)), normal((count, 1), 0)
    horizontal = Axis(0.02, 50, "σ", log=True)
    left = Chart(horizontal, Axis(0.01, 10, "size of the output", log=True), "What is asked for")
    # v last and dashed: it lies on EDM's F.
    named = zip(OUTPUTS, COLOURS, strict=False)
    for output, colour in sorted(named, key=lambda pair: pair[0] == "v"):
        rule, sizes = Parameterisation(output=output), []
        for sigma in sigmas:
            noisy = clean + sigma * noise
            best = rule.target(data(noisy, float(sigma)), noisy, sigma)
            sizes.append(float(best.square().mean().sqrt()))
        dashes = "5 3" if output == "v" else ""
        left.line(sigmas, sizes, colour, label=output, dashes=dashes)

    right = Chart(horizontal, Axis(1e-3, 1e3, "", log=True), "Weight of the error of EDM's F")
    c_out = Parameterisation().coefficients(sigmas)[2]
    levels = LogNormal(0.5, 1.2)
    for name, colour in zip(WEIGHTINGS, COLOURS, strict=True):
        weight = weighting(name, levels.density, 1.0)(sigmas) * c_out.square()
        right.line(sigmas, weight, colour, label=name, dashes="2 3", width=2.4)
    return [left, right]
