"""Write ddnm.npz: runs of the authors' DDNM (its simplified SVD code) on an analytic denoiser.

    git clone https://github.com/wyhuai/DDNM
    python tests/reference/make_ddnm.py DDNM

The stored file is from commit 00b58eac7843a4c99114fd8fa42da7aa2b6808af. The script runs the other
repository's functions and contains none of its code. What it changes at run time:

- torchvision, tqdm and cv2, which are imported and not needed, are empty modules;
- `.to("cuda")` does nothing;
- `torch.randn_like` gives stored noise pictures, one for each evaluation of the denoiser: the code
  also draws for steps that a journey back in time then discards, and for each level on the way
  back, of which only the last counts;
- the start is ours, N(ȳ, σ² - σ_y²/s²) where something is measured (theirs is plain noise), in
  units where the picture has the power that the code's own steps give it;
- with noise, where `Lambda_noise` takes noise z in an orthonormal basis Q, it is given Qᵀz.

One difference is avoided, not repaired: for super-resolution and colorization `Lambda_noise` takes
the predicted noise ε̂, too, for coefficients in Q, of which it is none; the paper's is V diag Vᵀε̂.
So these have η = 1, which takes no ε̂.

It runs in double precision; the vectors are stored in single precision.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from clones import open_clone
from ddnm_cases import CASES, DRAWS, KEPT, STEPS, Case, operator
from ddrm_cases import SHAPE, alphas_bar, epsilon, mask
from torch import Tensor

from restore.methods.spectral import Spectrum
from restore.prior.schedule import linear_beta_levels, native
from restore.problem import Problem

BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)


def load(clone: Path) -> tuple[Any, Any]:
    """Import the sampler and the operators of the clone."""
    open_clone(clone, "cv2")
    from functions import svd_ddnm, svd_operators  # type: ignore[import-not-found]

    return svd_ddnm, svd_operators


def made(svd: Any, name: str) -> Any:
    """The authors' operator of a case."""
    channels, size = SHAPE[0], SHAPE[1]
    if name == "inpaint":
        # Pixel by pixel, the channels of a pixel together.
        missing = torch.where(~mask().flatten())[0]
        index = (missing[:, None] * channels + torch.arange(channels)).flatten()
        return svd.Inpainting(channels, size, index, "cpu")
    if name == "super-resolve":
        return svd.SuperResolution(channels, size, 4, "cpu")
    return svd.Colorization(size, "cpu")


def draws(noise: Tensor, times: list[int]) -> Iterator[Tensor]:
    """The noise of each draw: one picture an evaluation, nothing where it is discarded."""
    pictures = iter(noise[1:, None])
    back = [lower > upper for upper, lower in pairwise(times)]
    for back_follows in [*back[1:], False]:
        yield torch.zeros(1, *SHAPE) if back_follows else next(pictures)


def run(ddnm: Any, svd: Any, case: Case, noise: Tensor, y: Tensor) -> list[Tensor]:
    """The states in picture units; the first is the start."""
    ours, theirs = operator(case.operator), made(svd, case.operator)
    sigma = native(linear_beta_levels(), STEPS)[0]
    start, _ = Spectrum(Problem(ours, y, case.noise_std), 1e-6).begin(
        0.5, sigma, lambda like: noise[:1]
    )
    measured = 2 * y - ours(torch.ones(1, *SHAPE))
    if case.operator == "inpaint":
        # They keep the known pixels alone.
        measured = theirs.A(measured)
    config = SimpleNamespace(
        diffusion=SimpleNamespace(num_diffusion_timesteps=1000),
        time_travel=SimpleNamespace(
            T_sampling=STEPS, travel_length=case.travel[0], travel_repeat=case.travel[1]
        ),
    )
    levels = alphas_bar()
    seen = []

    def model(x: Tensor, t: Tensor) -> Tensor:
        level = levels[int(t[0])]
        seen.append((x / level.sqrt() + 1) / 2)
        return epsilon(x, level)

    if case.noise_std:
        size = noise[0].numel()
        unit = torch.eye(size)
        basis = theirs.Lambda_noise(unit.clone(), 0.0, 0.0, 1.0, 1.0, 0 * unit)
        noise = (noise.reshape(-1, size) @ basis.T).reshape(noise.shape)
    z = draws(noise, ddnm.get_schedule_jump(STEPS, *case.travel))
    randn_like, torch.randn_like = torch.randn_like, lambda like: next(z).reshape(like.shape)
    first = (2 * start - 1) * levels[1000 - 1000 // STEPS].sqrt()
    sampler = ddnm.ddnm_plus_diffusion if case.noise_std else ddnm.ddnm_diffusion
    noisy = (2 * case.noise_std,) if case.noise_std else ()
    try:
        (x,), _ = sampler(
            first, model, BETAS, case.eta, theirs, measured.reshape(1, -1), *noisy, config=config
        )
    finally:
        torch.randn_like = randn_like
    return [*seen, (x + 1) / 2]


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    ddnm, svd = load(clone)
    generator = torch.Generator().manual_seed(9)
    noise = torch.randn(DRAWS, *SHAPE, generator=generator).float()
    truth = torch.rand(1, *SHAPE, generator=generator)
    arrays = {"noise": noise.numpy()}
    for case in CASES:
        y = operator(case.operator)(truth)
        y = (y + case.noise_std * torch.randn(y.shape, generator=generator)).float()
        states = run(ddnm, svd, case, noise.double(), y.double())
        arrays[f"{case.key}/y"] = y.numpy()
        kept = [states[k] for k in KEPT] + states[-1:]
        arrays[f"{case.key}/x"] = torch.cat(kept).float().numpy()
    np.savez_compressed(Path(__file__).with_name("ddnm.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
