"""Write ddrm_jpeg.npz: runs of the authors' DDRM-JPEG on an analytic denoiser.

    git clone https://github.com/bahjat-kawar/ddrm-jpeg
    python tests/reference/make_ddrm_jpeg.py ddrm-jpeg

The stored file is from commit
e3704ce0afdda700f4072c58727630de4541580f. The script runs the other repository's functions and
contains none of its code. What it changes at run time: torchvision and tqdm, which are imported and
not needed, are empty modules; `.to("cuda")` does nothing; `torch.randn_like` gives stored pictures.

It runs in double precision, in which the test repeats it: a coefficient that is rounded the other
way would be a step apart. The vectors are stored in single precision.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clones import open_clone
from ddrm_cases import alphas_bar, epsilon
from ddrm_jpeg_cases import CASES, KEPT, SHAPE, STEPS, TIMESTEPS, Case
from torch import Tensor


def load(clone: Path) -> tuple[Any, Any]:
    """Import the sampler and the codec of the clone."""
    open_clone(clone)
    from functions import denoising, jpeg_torch  # type: ignore[import-not-found]

    return denoising, jpeg_torch


def run(denoising: Any, case: Case, noise: Tensor, decoded: Tensor) -> list[Tensor]:
    """States x_0 … x_STEPS of the authors' sampler in [0, 1].

    Args:
        noise: start and steps, [STEPS + 1, *SHAPE].
        decoded: the decoded picture in [-1, 1], [1, *SHAPE].
    """
    levels = alphas_bar()
    timesteps = range(0, TIMESTEPS, TIMESTEPS // STEPS)
    draws = iter(noise[:, None])
    original, torch.randn_like = torch.randn_like, lambda like: next(draws)
    try:
        states, _ = denoising.jpeg_steps(
            decoded,
            timesteps,
            lambda x, t: epsilon(x, levels[int(t)]),
            torch.linspace(1e-4, 0.02, 1000),
            decoded,
            etaB=case.eta_b,
            etaA=case.eta,
            etaC=case.eta,
            jpeg_qf=case.quality,
        )
    finally:
        torch.randn_like = original
    signal = [levels[t] for t in reversed(timesteps)] + [torch.ones(())]
    return [(x / kept.sqrt() + 1) / 2 for x, kept in zip(states, signal, strict=True)]


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    denoising, codec = load(clone)
    generator = torch.Generator().manual_seed(11)
    noise = torch.randn(STEPS + 1, *SHAPE, generator=generator).float()
    coarse = torch.rand(1, 3, 8, 8, generator=generator)
    truth = torch.nn.functional.interpolate(coarse, SHAPE[1:], mode="bicubic").clamp(0, 1)
    arrays = {"noise": noise.numpy()}
    for case in CASES:
        luma, chroma = codec.jpeg_encode(2 * truth - 1, case.quality)
        arrays[f"{case.key}/luma"] = luma[0, 0].to(torch.int16).numpy()
        arrays[f"{case.key}/chroma"] = chroma[0].to(torch.int16).numpy()
        tables = codec.quantization_matrix(case.quality)
        arrays[f"{case.key}/tables"] = torch.stack([t.reshape(8, 8) for t in tables]).numpy()
        decoded = codec.jpeg_decode([luma, chroma], case.quality)
        states = run(denoising, case, noise.double(), decoded)
        arrays[f"{case.key}/x"] = torch.cat([states[k] for k in KEPT]).float().numpy()
    np.savez_compressed(Path(__file__).with_name("ddrm_jpeg.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
