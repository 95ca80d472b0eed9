"""Denoising score matching: the score learned by guessing the clean picture from the noisy one."""

from __future__ import annotations

from torch import Tensor

from restore.prior.denoiser import Denoiser, sigma_column
from restore.training.objectives.weightings import Weight


def denoising_loss(
    denoiser: Denoiser, weight: Weight, clean: Tensor, noise: Tensor, sigma: Tensor
) -> Tensor:
    """w(σ) ‖D(x₀ + σ n, σ) − x₀‖² of each picture, [B].

    Its minimiser is E[x₀ | x], hence (D − x)/σ² the score of the noisy density (Vincent, Neural
    Computation 2011). At one σ, with w = 1/(2σ⁴), its mean is that of `implicit_loss` of the score
    plus d/(2σ²), d being the number of pixels.

    Args:
        denoiser: D, of a network that learns.
        weight: w, on the squared error of D.
        clean: x₀ [B, …].
        noise: n, standard normal, as x₀.
        sigma: σ [B].
    """
    error = denoiser(clean + sigma_column(sigma, clean) * noise, sigma) - clean
    return weight(sigma) * error.square().flatten(1).sum(1)
