"""What the DiffPIR agreement test and the script of its vectors share.

Nothing here is from the other repository. Denoiser and schedule are those of ddrm_cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import ddrm_cases
import torch

import operators

STEPS = 20
KEPT = (0, 1, 10, 18, 19)  # states that are stored, by the evaluations made; 19 is before the last
BLUR_LINE = (0.3, 0.5, 0.2)


@dataclass(frozen=True)
class Case:
    """One run: operator, noise in [0, 1] units, λ as in the authors' code, ζ."""

    operator: str
    noise_std: float
    weight: float
    zeta: float

    @property
    def key(self) -> str:
        return f"{self.operator}-{self.noise_std:g}-{self.weight:g}-{self.zeta:g}"


CASES = [
    Case(operator, noise, weight, zeta)
    for operator in ("deblur", "inpaint")
    for noise in (0.0, 0.05)
    for weight, zeta in ((1.0, 0.1), (7.0, 0.3))
]
CASES.append(Case("inpaint", 0.0, 1.0, 1.0))


def operator(name: str, device: torch.device | str = "cpu") -> operators.LinearOperator:
    shape, dtype = ddrm_cases.SHAPE, torch.float64
    if name == "inpaint":
        return operators.Mask(ddrm_cases.mask(), shape, dtype=dtype, device=device)
    line = torch.tensor(BLUR_LINE, dtype=dtype)
    return operators.Blur(shape, line, "circular", dtype=dtype, device=device)
