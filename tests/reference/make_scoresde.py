"""Write scoresde.npz: runs of the authors' inpainting and colorization on an analytic denoiser.

    git clone https://github.com/yang-song/score_sde_pytorch
    python tests/reference/make_scoresde.py score_sde_pytorch

The stored file is from commit cb1f359f4aadf0ff9a5e122fe8fffc9451fd6e44. The script runs the other
repository's functions and contains none of its code. What it changes at run time: `torch.randn` and
`torch.randn_like` give stored noise, in the order of the calls.

It runs in double precision; the vectors are stored in single precision.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scoresde_cases import CASES, LEVELS, SIGMA_MAX, SIGMA_MIN, SNR, Case, Network, operator
from torch import Tensor, nn

NAMES = {
    "reverse-diffusion": "reverse_diffusion",
    "ancestral": "ancestral_sampling",
    "langevin-paper": "langevin",
    "none": "none",
}


class Score(nn.Module):
    """The score of the shared denoiser; keeps the states that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.seen.append(x)
        level = float(sigma[0])
        return (Network()(x, level) - x) / level**2


def run(code: Any, sampling: Any, sde: Any, case: Case, noise: Tensor, truth: Tensor) -> Tensor:
    """The states that the network saw, and the result, [calls + 1, 3, 8, 8]."""
    draws = iter(noise[:, None])
    original = torch.randn, torch.randn_like
    torch.randn = lambda *shape: next(draws)
    torch.randn_like = lambda like: next(draws)
    made = code.get_pc_inpainter if case.operator == "inpaint" else code.get_pc_colorizer
    sampler = made(
        sde,
        sampling.get_predictor(NAMES[case.predictor]),
        sampling.get_corrector(NAMES[case.corrector]),
        lambda x: x,
        SNR,
        continuous=True,
        # The levels of the marginals and of the predictor, equal to 1e-9.
        eps=1e-9,
    )
    score = Score()
    try:
        if case.operator == "inpaint":
            mask = operator("inpaint")(torch.ones_like(truth))
            x = sampler(score, truth * mask, mask)
        else:
            x = sampler(score, truth.mean(1, keepdim=True).expand_as(truth))
    finally:
        torch.randn, torch.randn_like = original
    return torch.cat([*score.seen, x])


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    sys.path.insert(0, str(clone))
    import controllable_generation  # type: ignore[import-not-found]
    import sampling  # type: ignore[import-not-found]
    import sde_lib  # type: ignore[import-not-found]

    sde = sde_lib.VESDE(SIGMA_MIN, SIGMA_MAX, LEVELS)
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(1 + 4 * LEVELS, 3, 8, 8, generator=generator).float()
    truth = torch.rand(1, 3, 8, 8, generator=generator).float()
    arrays = {"noise": noise.numpy(), "truth": truth.numpy()}
    for case in CASES:
        states = run(controllable_generation, sampling, sde, case, noise.double(), truth.double())
        arrays[f"{case.key}/x"] = states.float().numpy()
    np.savez_compressed(Path(__file__).with_name("scoresde.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
