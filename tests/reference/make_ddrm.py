"""Write ddrm.npz: runs of the authors' DDRM on an analytic denoiser.

    git clone https://github.com/bahjat-kawar/ddrm
    python tests/reference/make_ddrm.py ddrm

The stored file is from commit 32b6b3ccfda532ba01c9cc5b6e7456c3a06a6ca2. The script runs the other
repository's functions and contains none of its code. What it changes at run time:

- torchvision and tqdm, which are imported and not needed, are empty modules;
- `.to("cuda")` does nothing;
- `torch.randn_like` gives Vᵀz of a stored noise picture z. (The singular vectors are free up to
  signs and rotations, so equal noise means an equal picture.) A step draws three times: for all
  coefficients, for those noisier than x, for the measured ones;
- the start, which the code divides by σ₁ where its own later steps multiply by √ᾱ = 1/√(1 + σ₁²),
  is scaled to the latter: 5e-5 of it, which would hide everything else in the first states (and is
  gone in the last ones: they agree to 1e-4 without this);
- the singular values of the three-channel blur, which the class repeats channel by channel while
  its transforms run pixel by pixel, are put into the order of the transforms.

One difference is avoided, not repaired: where an operator keeps a singular value 0, the code takes
it for a small one (0·σ' < σ_y) and moves by Uᵀy/σ_y; the paper and `restore` treat it as missing.
So the blur here has none.

It runs in double precision; the vectors are stored in single precision.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clones import open_clone
from ddrm_cases import (
    BLUR_LINE,
    CASES,
    COLOR_WEIGHTS,
    KEPT,
    SHAPE,
    STEPS,
    Case,
    alphas_bar,
    epsilon,
    mask,
)
from torch import Tensor

BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)


def load(clone: Path) -> tuple[Any, Any]:
    """Import the sampler and the operators of the clone."""
    open_clone(clone)
    from functions import denoising, svd_replacement  # type: ignore[import-not-found]

    return denoising, svd_replacement


def operator(svd: Any, name: str) -> Any:
    """The authors' operator of a case."""
    channels, size = SHAPE[0], SHAPE[1]
    if name == "inpaint":
        # Pixel by pixel, the channels of a pixel together.
        missing = torch.where(~mask().flatten())[0]
        index = (missing[:, None] * channels + torch.arange(channels)).flatten()
        return svd.Inpainting(channels, size, index, "cpu")
    if name == "super-resolve":
        return svd.SuperResolution(channels, size, 4, "cpu")
    if name == "colorize":
        made = svd.Colorization(size, "cpu")
        weights = made.H(torch.eye(3).reshape(3, 3, 1, 1).expand(3, 3, size, size))[:, 0]
        assert torch.allclose(weights, torch.tensor(COLOR_WEIGHTS))
        return made
    # Its loop takes the taps from -size//2 to size//2 - 1, so a zero in front centres the line.
    made = svd.Deblurring(torch.tensor([0.0, *BLUR_LINE]), channels, size, "cpu")
    values = made.singulars().reshape(channels, -1)[0]
    made.singulars = lambda: values.repeat_interleave(channels)
    return made


def to_picture(made: Any, y: Tensor, name: str) -> Tensor:
    """A measurement vector in the layout of `restore`."""
    if name == "inpaint":
        return made.V(made.add_zeros(y)).reshape(1, *SHAPE)
    channels, side = {"super-resolve": (3, 2), "colorize": (1, 8), "blur": (3, 8)}[name]
    return y.reshape(1, channels, side, side)


def run(denoising: Any, made: Any, case: Case, noise: Tensor, y: Tensor) -> list[Tensor]:
    """States x_0 … x_STEPS of the authors' sampler in [0, 1], [1, 3, 8, 8] each.

    Args:
        noise: start and steps, [STEPS + 1, 3, 8, 8].
        y: measurement vector in [-1, 1] units.
    """
    noise_std = 2 * case.noise_std
    z_bar = made.Vt(noise)
    timesteps = range(0, 1000, 1000 // STEPS)
    levels = alphas_bar()
    sigmas = [((1 - levels[t]) / levels[t]).sqrt() for t in reversed(timesteps)]
    lower = [*sigmas[1:], 0.0]
    draws = iter(
        (z, draw, sigma)
        for z, sigma in zip(z_bar[1:, None], lower, strict=True)
        for draw in range(3)
    )

    def randn_like(like: Tensor) -> Tensor:
        z, draw, sigma = next(draws)
        measured = made.singulars()
        if draw == 1:
            noisier = torch.zeros(z.shape[1], dtype=torch.bool)
            noisier[: len(measured)] = measured * sigma < noise_std
            z = z[:, noisier]
        elif draw == 2:
            z = z[:, : like.shape[1]]
        assert z.shape == like.shape
        return z

    v, signal_of_start = made.V, levels[timesteps[-1]]

    def scaled_start(coefficients: Tensor) -> Tensor:
        made.V = v
        return v(coefficients) * (1 - signal_of_start).sqrt()

    made.V = scaled_start
    original, torch.randn_like = torch.randn_like, randn_like
    try:
        states, _ = denoising.efficient_generalized_steps(
            z_bar[:1].reshape(1, *SHAPE),
            timesteps,
            lambda x, t: epsilon(x, levels[int(t)]),
            BETAS,
            made,
            y,
            noise_std,
            etaA=case.eta,
            etaB=case.eta_b,
            etaC=case.eta,
        )
    finally:
        torch.randn_like = original
    signal = [levels[t] for t in reversed(timesteps)] + [torch.ones(())]
    return [(x / kept.sqrt() + 1) / 2 for x, kept in zip(states, signal, strict=True)]


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    denoising, svd = load(clone)
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(STEPS + 1, *SHAPE, generator=generator).float()
    truth = torch.rand(1, *SHAPE, generator=generator)
    arrays = {"noise": noise.numpy()}
    for case in CASES:
        made = operator(svd, case.operator)
        ones = made.H(torch.ones(1, *SHAPE))
        y = made.H(truth)
        y = (y + case.noise_std * torch.randn(y.shape, generator=generator)).float().double()
        states = run(denoising, made, case, noise.double(), 2 * y - ones)
        arrays[f"{case.key}/y"] = to_picture(made, y, case.operator).float().numpy()
        arrays[f"{case.key}/x"] = torch.cat([states[k] for k in KEPT]).float().numpy()
    np.savez_compressed(Path(__file__).with_name("ddrm.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
