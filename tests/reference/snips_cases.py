"""What the SNIPS agreement test and the script of its vectors share.

Nothing here is from the other repository. Pictures are [1, 3, 8, 8] in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import ddrm_cases
import torch

import operators

LEVELS, INNER, C = 12, 3, 0.2
SIGMA_MAX, SIGMA_MIN = 2.0, 0.01
KEPT = (0, 1, 10, 20, 30, 36)  # states that are stored, by the steps made; 36 is before D(x, σ_L)


@dataclass(frozen=True)
class Case:
    """One run: operator and noise."""

    operator: str
    noise_std: float

    @property
    def key(self) -> str:
        return f"{self.operator}-{self.noise_std:g}"


# Operators with a null space and no s < 1e-3 (see make_snips.py).
OPERATORS = ("inpaint", "super-resolve", "blur")
CASES = [Case(name, noise) for name in OPERATORS for noise in (0.0, 0.02, 0.1)]


def operator(
    name: str, channels: int = 3, device: torch.device | str = "cpu"
) -> operators.LinearOperator:
    shape, dtype = (channels, 8, 8), torch.float64
    if name == "inpaint":
        return operators.Mask(ddrm_cases.mask(), shape, dtype=dtype, device=device)
    if name == "super-resolve":
        return operators.Downsample(shape, 4, kernel="bicubic", dtype=dtype, device=device)
    return operators.Blur(shape, torch.tensor([0.2, 0.5, 0.3]), "valid", dtype=dtype, device=device)
