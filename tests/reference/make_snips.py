"""Write snips.npz: runs of the authors' SNIPS on an analytic denoiser.

    git clone https://github.com/bahjat-kawar/snips_torch
    python tests/reference/make_snips.py snips_torch

The stored file is from commit 39678339e8ca2c359e061b96cc2db89c2c4639f1. The script runs the other
repository's function and contains none of its code. What it changes at run time:

- tqdm, which shows progress, is an identity;
- `torch.randn_like` gives Vᵀz of a stored noise picture z, V being the one that `torch.svd` gave;
- the start is ours (the authors start uniformly on [0, 1]).

Differences that are avoided, not repaired: an operator without a null space (the code then takes
every direction for unmeasured), singular values below 1e-3 (it sets them to 0). The code ends
without the last denoising, so the states before it are compared.

It runs in double precision; the vectors are stored in single precision.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from network import Network
from snips_cases import CASES, INNER, KEPT, LEVELS, SIGMA_MAX, SIGMA_MIN, C, Case, operator
from torch import Tensor

from restore.methods.spectral import Spectrum
from restore.prior.gaussian_mixture import dense
from restore.prior.schedule import geometric
from restore.problem import Problem

SHAPE = (3, 8, 8)


def load(clone: Path) -> Any:
    """Import the sampler of the clone."""
    sys.modules["tqdm"] = types.ModuleType("tqdm")
    sys.modules["tqdm"].tqdm = lambda iterable, **_: iterable  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location("snips", clone / "models" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(snips: Any, case: Case, noise: Tensor, y: Tensor) -> list[Tensor]:
    """The states in picture units; the first is the start."""
    problem = Problem(operator(case.operator), y, case.noise_std)
    z = iter(noise[:, None])
    start, _ = Spectrum(problem, 1e-6).begin(0.5, SIGMA_MAX, lambda like: next(z))
    sigmas = torch.tensor(geometric(LEVELS, SIGMA_MIN, SIGMA_MAX)[:-1])
    network = Network()
    basis: list[Tensor] = []
    svd, randn_like = torch.svd, torch.randn_like

    def kept_svd(matrix: Tensor, some: bool) -> Any:
        factors = svd(matrix, some=some)
        basis.append(factors[2])
        assert 0 < int((factors[1] > 2e-3).sum()) == int((factors[1] > 1e-9).sum()) < 64
        return factors

    torch.svd = kept_svd
    torch.randn_like = lambda like: (next(z).reshape(like.shape) @ basis[0]).reshape(like.shape)
    try:
        states = snips.general_anneal_Langevin_dynamics(
            dense(operator(case.operator, 1)).double(),
            y.reshape(1, 3, -1),
            start,
            lambda x, label: (network(x, s := float(sigmas[label[0]])) - x) / s**2,
            sigmas,
            n_steps_each=INNER,
            step_lr=C * SIGMA_MIN**2,
            sigma_0=case.noise_std,
        )
    finally:
        torch.svd, torch.randn_like = svd, randn_like
    return [start, *states]


def main(clone: Path) -> None:
    torch.set_default_dtype(torch.float64)
    snips = load(clone)
    generator = torch.Generator().manual_seed(8)
    noise = torch.randn(1 + LEVELS * INNER, *SHAPE, generator=generator).float()
    truth = torch.rand(1, *SHAPE, generator=generator)
    arrays = {"noise": noise.numpy()}
    for case in CASES:
        y = operator(case.operator)(truth)
        y = (y + case.noise_std * torch.randn(y.shape, generator=generator)).float()
        states = run(snips, case, noise.double(), y.double())
        arrays[f"{case.key}/y"] = y.numpy()
        arrays[f"{case.key}/x"] = torch.cat([states[k] for k in KEPT]).float().numpy()
    np.savez_compressed(Path(__file__).with_name("snips.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
