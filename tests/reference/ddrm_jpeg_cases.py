"""What the agreement test of DDRM-JPEG and the script of its vectors share.

Nothing here is from the other repository. Pictures are [1, 3, 16, 16]; the denoiser is that of
`ddrm_cases`.
"""

from __future__ import annotations

from dataclasses import dataclass

SHAPE = (3, 16, 16)
STEPS, TIMESTEPS = 20, 300
KEPT = (0, 1, 2, 10, 19, 20)  # states that are stored; 0 is the start


@dataclass(frozen=True)
class Case:
    """One run: quality and hyperparameters."""

    quality: int
    eta: float = 1.0
    eta_b: float = 0.4

    @property
    def key(self) -> str:
        return f"{self.quality}-{self.eta:g}-{self.eta_b:g}"


CASES = [Case(10), Case(40), Case(10, eta=0.7, eta_b=0.9)]
