"""What a network is asked for: the noise, the clean picture, v, the score, or EDM's F.

All five are affine in the clean picture, D(x, σ) = μ + c_skip (x − μ) + c_out F, so that a training
objective, the denoiser and the score are each written once. With ς = σ/σ_d, the level in units of
the data's standard deviation σ_d:

    output    c_skip        c_out               F at the optimum
    epsilon   1             −σ                  E[n | x], the noise (Ho et al., NeurIPS 2020)
    x0        0             σ_d                 E[x₀ | x] − μ, in units of σ_d
    v         1/(1 + ς²)    −σ/√(1 + ς²)        α ε − √(1 − α²) x₀, α = 1/√(1 + ς²) (Salimans and
                                                Ho, ICLR 2022), x₀ centred and in units of σ_d
    score     1             σ²/σ_d              σ_d ∇ log p_σ(x) (Song and Ermon, NeurIPS 2019)
    edm       1/(1 + ς²)    σ/√(1 + ς²)         −v: of unit variance at every σ (Karras et al.,
                                                NeurIPS 2022)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from restore.prior.denoiser import FunctionDenoiser, sigma_column
from restore.prior.preconditioning import EDMPreconditioning

Output = Literal["epsilon", "x0", "v", "score", "edm"]
OUTPUTS: tuple[Output, ...] = get_args(Output)

Network = Callable[[Tensor, Tensor], Tensor]
"""F(c_in (x − μ), ln σ / 4), from [B, …] and [B] to [B, …]."""


@dataclass(frozen=True)
class Parameterisation(EDMPreconditioning):
    """From a network F to D(x, σ), whatever F stands for.

    Attributes:
        mean: mean of the data, μ.
        std: standard deviation of the data, σ_d.
        output: what the network is asked for.
    """

    mean: float = 0.0
    std: float = 1.0
    output: Output = "edm"

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_in, c_skip and c_out at σ."""
        c_in, c_skip, c_out = super().coefficients(sigma)
        one = torch.ones_like(sigma)
        match self.output:
            case "epsilon":
                return c_in, one, -sigma
            case "x0":
                return c_in, 0 * one, self.std * one
            case "v":
                return c_in, c_skip, -c_out
            case "score":
                return c_in, one, sigma.square() / self.std
            case "edm":
                return c_in, c_skip, c_out

    def denoiser(self, network: Network) -> FunctionDenoiser:
        """D(x, σ) by a network, for x [B, …] and σ a number or [B]."""

        def denoised(x: Tensor, sigma: float | Tensor) -> Tensor:
            level = sigma_column(sigma, x)
            time = (level.log() / 4).flatten().expand(x.shape[0])
            return self.denoised(x, level, network(self.network_input(x, level), time))

        return FunctionDenoiser(denoised)
