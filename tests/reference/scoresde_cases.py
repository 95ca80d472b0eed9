"""What the ScoreSDE agreement test and the script of its vectors share.

Nothing here is from the other repository. Pictures are [1, 3, 8, 8] in [0, 1], as the networks of
the variance-exploding kind have them.
"""

from __future__ import annotations

from dataclasses import dataclass

import ddrm_cases
import network
import torch
from torch import Tensor

import operators

LEVELS, SIGMA_MAX, SIGMA_MIN, SNR = 12, 5.0, 0.01, 0.16


@dataclass(frozen=True)
class Case:
    """One run: operator, predictor and corrector, by the names of `restore`."""

    operator: str
    predictor: str
    corrector: str

    @property
    def key(self) -> str:
        return f"{self.operator}-{self.predictor}-{self.corrector}"


CASES = [
    Case(name, predictor, corrector)
    for name in ("inpaint", "colorize")
    for predictor, corrector in (("reverse-diffusion", "langevin-paper"), ("ancestral", "none"))
]


class Network(network.Network):
    """The shared denoiser as a network whose data is not centred."""

    sigma_min, sigma_max, centre = SIGMA_MIN, SIGMA_MAX, 0.0


def operator(name: str, device: torch.device | str = "cpu") -> operators.LinearOperator:
    if name == "inpaint":
        return operators.Mask(
            ddrm_cases.mask(), ddrm_cases.SHAPE, dtype=torch.float64, device=device
        )
    return operators.Colorize(ddrm_cases.SHAPE, "mean", dtype=torch.float64, device=device)


def known_part(name: str, z: Tensor) -> Tensor:
    """Noise z as the authors take it for the known part, as noise of a picture.

    For colorization they draw it in a basis whose first channel is (1, 1, 1)/√3.
    """
    return z if name == "inpaint" else (z[:, :1] / 3**0.5).expand_as(z)
