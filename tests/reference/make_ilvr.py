"""Write ilvr.npz: runs of the authors' ILVR on an analytic denoiser.

    git clone https://github.com/jychoi118/ilvr_adm
    python tests/reference/make_ilvr.py ilvr_adm

The stored file is from commit 9b84f264f8d7b795f1b735bb38fd810f68387c1a. The script runs the other
repository's sampler and its resize and contains none of its code. What it changes at run time:
`torch.randn` and `torch.randn_like` give stored noise, in the order of the calls.

It runs in double precision; the vectors are stored in single precision.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ddrm_cases import alphas_bar, epsilon
from ilvr_cases import CASES, FACTOR, SIDE, STEPS, Case
from torch import Tensor


def run(diffusion: Any, resizers: Any, case: Case, noise: Tensor, guide: Tensor) -> Tensor:
    """The states in [0, 1] after each step, [STEPS, 3, 8, 8]."""
    draws = iter(noise[:, None])
    original = torch.randn, torch.randn_like
    torch.randn = lambda *shape, **_: next(draws)
    torch.randn_like = lambda like: next(draws)
    levels = alphas_bar()
    try:
        states = [
            out["sample"]
            for out in diffusion.p_sample_loop_progressive(
                lambda x, t, ref_img: epsilon(x, levels[int(t[0])]),
                (1, 3, 8, 8),
                device="cpu",
                model_kwargs={"ref_img": 2 * guide - 1},
                resizers=resizers,
                range_t=case.range_t,
            )
        ]
    finally:
        torch.randn, torch.randn_like = original
    times = list(reversed(range(0, 1000, 1000 // STEPS)))
    kept = [levels[t] for t in times[1:]] + [torch.ones(())]
    return torch.cat([(x / a.sqrt() + 1) / 2 for x, a in zip(states, kept, strict=True)])


def matrices(resizer: Any, side: int) -> tuple[Tensor, Tensor]:
    """Shrink and enlargement of a column of `side` pixels, as matrices."""
    down = resizer((side, 1, side, side), 1 / FACTOR)
    up = resizer((side // FACTOR, 1, side // FACTOR, side // FACTOR), FACTOR)

    def matrix(resize: Any, size: int) -> Tensor:
        # Pictures that do not change along a row.
        unit = torch.eye(size)[:, None, :, None].expand(size, 1, size, size)
        return resize(unit)[:, 0, :, 0].T

    return matrix(down, side), matrix(up, side // FACTOR)


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    sys.path.insert(0, str(clone))
    from guided_diffusion import gaussian_diffusion, respace  # type: ignore[import-not-found]
    from resizer import Resizer  # type: ignore[import-not-found]

    diffusion = respace.SpacedDiffusion(
        range(0, 1000, 1000 // STEPS),
        betas=np.linspace(1e-4, 0.02, 1000, dtype=np.float64),
        model_mean_type=gaussian_diffusion.ModelMeanType.EPSILON,
        model_var_type=gaussian_diffusion.ModelVarType.FIXED_SMALL,
        loss_type=gaussian_diffusion.LossType.MSE,
    )
    resizers = Resizer((1, 3, 8, 8), 1 / FACTOR), Resizer((1, 3, 8 // FACTOR, 8 // FACTOR), FACTOR)
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(1 + 2 * STEPS, 3, 8, 8, generator=generator).float()
    guide = torch.rand(1, 3, 8, 8, generator=generator).float()
    arrays = {"noise": noise.numpy(), "guide": guide.numpy()}
    for side in (8, SIDE):
        for name, matrix in zip(("down", "up"), matrices(Resizer, side), strict=True):
            arrays[f"{name}-{side}"] = matrix.float().numpy()
    for case in CASES:
        states = run(diffusion, resizers, case, noise.double(), guide.double())
        arrays[f"{case.key}/x"] = states.float().numpy()
    np.savez_compressed(Path(__file__).with_name("ilvr.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
