"""Write dps.npz: runs of the authors' DPS on an analytic denoiser.

    git clone https://github.com/DPS2022/diffusion-posterior-sampling
    AUTHORS=. PYTHONPATH=REPOSITORY python REPOSITORY/tests/reference/make_dps.py

The stored file is from commit effbde7325b22ce8dc3e2c06c160c021e743a12d. The script runs the other
repository's sampler ("ddpm", fixed small variance), its conditioning ("ps") and its operators, and
contains none of their code. What it changes at run time:

- torchvision, tqdm, matplotlib and motionblur, which are imported and not needed, are empty
  modules (`benchmarks.peers.authors`);
- `torch.randn_like` gives a stored noise picture. A step draws twice: for the sample, and for a
  noised measurement that this conditioning does not use.

The batch is one picture: the code takes one norm over the batch, the paper one for each.

It runs in double precision (the authors' tables of coefficients in single); the vectors are stored
in single precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ddrm_cases import SHAPE, alphas_bar, mask
from dps_cases import CASES, KEPT, STEPS, Case, epsilon
from torch import Tensor

from benchmarks.peers.authors import DPS_CODE, TIMESTEPS, dps_sampler, load

FACTOR = 4


def operator(measurements: Any, name: str) -> Any:
    """The authors' operator of a case."""
    if name == "inpaint":
        made = measurements.get_operator("inpainting", device="cpu")
        forward = made.forward
        made.forward = lambda data, **_: forward(data, mask=mask())
        return made
    return measurements.get_operator(
        "super_resolution", in_shape=(1, *SHAPE), scale_factor=FACTOR, device="cpu"
    )


def line(made: Any) -> Tensor:
    """The authors' resize along one axis as a matrix, [2, 8]: at the border it is not MATLAB's."""
    side = SHAPE[1]
    rows = torch.eye(side).reshape(side, 1, side, 1).expand(side, *SHAPE)
    resized: Tensor = made.forward(rows)[:, 0, :, 0].T
    return resized


def run(measurements: Any, made: Any, case: Case, noise: Tensor, y: Tensor) -> Tensor:
    """States x_0 … x_STEPS of the authors' sampler in [0, 1], [STEPS + 1, 3, 8, 8].

    Args:
        noise: start and steps, [STEPS + 1, 3, 8, 8].
        y: measurement in [-1, 1] units.
    """
    conditioning = load(DPS_CODE, "guided_diffusion/condition_methods.py")
    sampler = dps_sampler(f"ddim{STEPS}", clip=case.clip)
    noiser = measurements.get_noise("gaussian", sigma=2 * case.noise_std)
    condition = conditioning.get_conditioning_method("ps", made, noiser, scale=case.zeta)
    signal, states = alphas_bar(), []

    def model(x: Tensor, t: Tensor) -> Tensor:
        kept = signal[int(t)]
        states.append((x.detach() / kept.sqrt() + 1) / 2)
        return epsilon(x, kept)

    draws = iter(draw for z in noise[1:, None] for draw in (z, torch.zeros_like(y)))
    original, torch.randn_like = torch.randn_like, lambda like: next(draws)
    try:
        start = noise[:1] * (1 - signal[TIMESTEPS - TIMESTEPS // STEPS]).sqrt()
        x = sampler.p_sample_loop(
            model, start, y, condition.conditioning, record=False, save_root=""
        )
    finally:
        torch.randn_like = original
    return torch.cat([*states, (x + 1) / 2])


def main() -> None:
    torch.set_default_dtype(torch.float64)
    measurements = load(DPS_CODE, "guided_diffusion/measurements.py")
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(STEPS + 1, *SHAPE, generator=generator).float()
    truth = torch.rand(1, *SHAPE, generator=generator)
    resize = line(operator(measurements, "super-resolve"))
    arrays = {"noise": noise.numpy(), "resize": resize.float().numpy()}
    for case in CASES:
        made = operator(measurements, case.operator)
        ones = made.forward(torch.ones(1, *SHAPE))
        y = made.forward(truth)
        y = (y + case.noise_std * torch.randn(y.shape, generator=generator)).float().double()
        states = run(measurements, made, case, noise.double(), 2 * y - ones)
        arrays[f"{case.key}/y"] = y.float().numpy()
        arrays[f"{case.key}/x"] = states[list(KEPT)].float().numpy()
    np.savez_compressed(Path(__file__).with_name("dps.npz"), **arrays)


if __name__ == "__main__":
    main()
