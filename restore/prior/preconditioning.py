"""From a network F to the denoiser D(x, σ), and between the field's parameterisations.

Everything is written for x = x₀ + σ n in the network's own units; the adapter that owns a
network converts the data range (Karras et al., "Elucidating the Design Space of Diffusion-Based
Generative Models", NeurIPS 2022, table 1; Song et al., ICLR 2021; Salimans and Ho, ICLR 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class EDMPreconditioning:
    """D(x, σ) = μ + c_skip (x − μ) + c_out F(c_in (x − μ), ln σ / 4), unit-variance in and out.

    Attributes:
        mean: mean of the data, μ.
        std: standard deviation of the data, σ_d.
    """

    mean: float = 0.45
    std: float = 0.25

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_in, c_skip and c_out at σ."""
        total = sigma.square() + self.std**2
        return total.rsqrt(), self.std**2 / total, sigma * self.std * total.rsqrt()

    def network_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        """c_in (x − μ)."""
        return (x - self.mean) * self.coefficients(sigma)[0]

    def denoised(self, x: Tensor, sigma: Tensor, output: Tensor) -> Tensor:
        """D from the network's output F."""
        _, c_skip, c_out = self.coefficients(sigma)
        return self.mean + c_skip * (x - self.mean) + c_out * output

    def target(self, clean: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The F whose D is the clean picture; F-space errors have the same scale at every σ."""
        _, c_skip, c_out = self.coefficients(sigma)
        return (clean - self.mean - c_skip * (x - self.mean)) / c_out


def denoised_from_epsilon(x: Tensor, sigma: Tensor, epsilon: Tensor) -> Tensor:
    """D = x − σ ε."""
    return x - sigma * epsilon


def denoised_from_v(x: Tensor, sigma: Tensor, v: Tensor) -> Tensor:
    """D = x / (1 + σ²) − σ / √(1 + σ²) · v, for v = α ε − √(1−α²) x₀ with α = 1/√(1+σ²)."""
    total = 1 + sigma.square()
    return x / total - sigma * total.rsqrt() * v
