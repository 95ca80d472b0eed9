"""What the agreement test and the script of its vectors share: denoiser, schedule and cases.

Nothing here is from the other repository. Pictures are [1, 3, 8, 8]; the network's units are
[-1, 1], those of `restore` [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SHAPE = (3, 8, 8)
STEPS = 20
KEPT = (0, 1, 10, 19, 20)  # states that are stored; 0 is the start
COLOR_WEIGHTS = (0.3333, 0.3334, 0.3333)
# With a zero border and 8 pixels, s from 0.95 down to 0.02: nothing is cut off in either code.
BLUR_LINE = (0.22, 0.56, 0.22)


@dataclass(frozen=True)
class Case:
    """One run: operator, noise in [0, 1] units, hyperparameters."""

    operator: str
    noise_std: float
    eta: float = 0.85
    eta_b: float = 1.0

    @property
    def key(self) -> str:
        return f"{self.operator}-{self.noise_std:g}-{self.eta:g}-{self.eta_b:g}"


OPERATORS = ("inpaint", "super-resolve", "colorize", "blur")
CASES = [Case(name, noise) for name in OPERATORS for noise in (0.0, 0.05)]
CASES.append(Case("blur", 0.05, eta=0.6, eta_b=0.7))


def alphas_bar() -> Tensor:
    """Signal power ᾱ_t of the linear DDPM schedule, [1000], double."""
    return (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)


def mask() -> Tensor:
    """Kept pixels, [8, 8] of bool: two thirds, in no regular order."""
    index = torch.arange(64).reshape(8, 8)
    return (index * 37 + index**2) % 11 < 7


def epsilon(x: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """A noise prediction ε(x_t): bounded, nonlinear, over neighbours and channels.

    x_t = √ᾱ x₀ + √(1 - ᾱ) ε with x₀ in [-1, 1]; it stands for a network.
    """
    alpha_bar = torch.as_tensor(alpha_bar, dtype=x.dtype)
    scaled = alpha_bar.sqrt() * x
    around = sum(scaled.roll(shift, axis) for shift in (1, -1) for axis in (-1, -2))
    mixed = 0.5 * scaled + 0.125 * around
    x_hat = 0.9 * torch.tanh(1.3 * mixed) + 0.1 * torch.sin(3 * mixed.mean(-3, keepdim=True))
    return (x - alpha_bar.sqrt() * x_hat) / (1 - alpha_bar).sqrt()
