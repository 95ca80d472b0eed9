"""What the DDNM agreement test and the script of its vectors share.

Nothing here is from the other repository. Denoiser, schedule and operators are those of ddrm_cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import ddrm_cases
import torch

import operators

STEPS = 20
KEPT = (0, 1, 10, 19)  # states that are stored, by the evaluations made; the result is stored too
DRAWS = 64


@dataclass(frozen=True)
class Case:
    """One run: operator, noise in [0, 1] units, hyperparameters."""

    operator: str
    noise_std: float
    eta: float = 0.85
    travel: tuple[int, int] = (1, 1)

    @property
    def key(self) -> str:
        return f"{self.operator}-{self.noise_std:g}-{self.eta:g}-{self.travel[0]}x{self.travel[1]}"


OPERATORS = ("inpaint", "super-resolve", "colorize")
CASES = [Case(name, 0.0) for name in OPERATORS]
CASES.append(Case("super-resolve", 0.0, 0.3, (4, 3)))
# With noise and null space the code is right for inpainting, or for η = 1 (see make_ddnm.py).
CASES += [Case(name, 0.05, 1.0) for name in OPERATORS]
CASES += [Case("inpaint", 0.05), Case("inpaint", 0.05, 0.6, (3, 2))]


def operator(name: str, device: torch.device | str = "cpu") -> operators.LinearOperator:
    shape, dtype = ddrm_cases.SHAPE, torch.float64
    if name == "inpaint":
        return operators.Mask(ddrm_cases.mask(), shape, dtype=dtype, device=device)
    if name == "super-resolve":
        return operators.Downsample(shape, 4, kernel="box", dtype=dtype, device=device)
    return operators.Colorize(shape, ddrm_cases.COLOR_WEIGHTS, dtype=dtype, device=device)
