"""What the agreement test of DPS and the script of its vectors share; see ddrm_cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ddrm_cases import epsilon as bounded
from torch import Tensor

STEPS = 20
KEPT = (0, 1, 10, 19, 20)  # states that are stored; 0 is the start


@dataclass(frozen=True)
class Case:
    """One run: operator, noise in [0, 1] units, hyperparameters."""

    operator: str
    noise_std: float
    zeta: float
    clip: bool

    @property
    def key(self) -> str:
        return f"{self.operator}-{self.noise_std:g}-{self.zeta:g}-{self.clip:d}"


CASES = [
    Case(operator, noise_std, zeta, clip)
    for operator, zeta in (("inpaint", 0.5), ("super-resolve", 0.3))
    for noise_std in (0.0, 0.05)
    for clip in (False, True)
]


def epsilon(x: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """The noise prediction of ddrm_cases whose x̂ is 1.3 times as large: it leaves [-1, 1]."""
    noise = torch.as_tensor(1 - alpha_bar, dtype=x.dtype).sqrt()
    signal = x - noise * bounded(x, alpha_bar)
    return (x - 1.3 * signal) / noise
