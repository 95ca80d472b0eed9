"""Weights w(σ) of the squared error ‖D(x, σ) − x₀‖².

At one σ a weight changes nothing: the minimiser is E[x₀ | x] for each. It says how much each σ
counts where one network serves all, and so differs only by what such a network cannot do at once.
The same weight on other errors: w σ⁴ on the score's, w σ² on the noise's, w c_out² on that of a
network's own output F (`parameterisations`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

Weight = Callable[[Tensor], Tensor]
Weighting = Literal["uniform", "variance", "inverse-variance", "likelihood", "edm", "min-snr"]
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)


def uniform(sigma: Tensor) -> Tensor:
    """w = 1: the error of the picture; σ⁴ on the score's."""
    return torch.ones_like(sigma)


def variance(sigma: Tensor) -> Tensor:
    """w = σ²: large levels count most; σ⁶ on the score's error. For comparison."""
    return sigma.square()


def inverse_variance(sigma: Tensor) -> Tensor:
    """w = 1/σ²: the plain error of the noise, and σ² on the score's.

    The choice of Song and Ermon (NeurIPS 2019, eq. 6) and the simple loss of Ho et al. (NeurIPS
    2020, eq. 14).
    """
    return sigma.square().reciprocal()


def likelihood(sigma: Tensor, density: Tensor) -> Tensor:
    """w = 1/(σ² p(ln σ)), p being the density by which levels are drawn: g² on the score's error.

    The average loss is then ½∫ E‖D − x₀‖² d(−1/σ²). Its excess over that of the exact denoiser is
    the Kullback–Leibler divergence from the data to the model, or a bound of it where the learned
    scores are those of no one density (Song et al., NeurIPS 2021, theorem 1; Kingma et al., NeurIPS
    2021, eq. 18). However the levels are drawn, the expected loss is the same; with ln σ uniform it
    is `inverse_variance` but for a constant.
    """
    return (sigma.square() * density).reciprocal()


def edm(sigma: Tensor, std: float) -> Tensor:
    """w = (σ² + σ_d²)/(σ σ_d)²: the plain error of EDM's F (Karras et al., NeurIPS 2022)."""
    return (sigma.square() + std**2) / (sigma * std).square()


def min_snr(sigma: Tensor, std: float, gamma: float = 5.0) -> Tensor:
    """w = min(σ_d²/σ², γ)/σ_d²: `inverse_variance`, held below a ceiling at small levels.

    Hang et al., ICCV 2023, sec. 3.4, with the signal-to-noise ratio in units of the data.
    """
    return (std / sigma).square().clamp(max=gamma) / std**2


def weighting(name: Weighting, density: Callable[[Tensor], Tensor], std: float) -> Weight:
    """The weight of a name.

    Args:
        name: one of `WEIGHTINGS`.
        density: of ln σ, as the levels are drawn (`levels.NoiseLevels.density`).
        std: standard deviation of the data.
    """
    weights: dict[Weighting, Weight] = {
        "uniform": uniform,
        "variance": variance,
        "inverse-variance": inverse_variance,
        "likelihood": lambda sigma: likelihood(sigma, density(sigma)),
        "edm": lambda sigma: edm(sigma, std),
        "min-snr": lambda sigma: min_snr(sigma, std),
    }
    return weights[name]
