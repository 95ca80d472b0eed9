"""DPS against the authors' code (vectors of make_dps.py): same denoiser, schedule and noise."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

import operators
from restore.methods import DPS
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import linear_beta_levels, native
from restore.problem import Problem

HERE = Path(__file__).parent
TOLERANCE = 1e-4


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclass looks
    spec.loader.exec_module(module)
    return module


network, cases = _module("ddrm_cases"), _module("dps_cases")


class Network(Denoiser):
    """The shared noise prediction as D(x, σ) in [0, 1] units; it keeps what it is given."""

    sigma_min, sigma_max = 0.005, 80.0

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append(x.detach())
        x, sigma = 2 * x - 1, 2 * sigma
        x_hat = x - sigma * cases.epsilon(x / (1 + sigma**2) ** 0.5, 1 / (1 + sigma**2))
        return (x_hat + 1) / 2

    def native_sigmas(self, steps: int) -> list[float]:
        return native(linear_beta_levels(), steps)


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    with np.load(HERE / "dps.npz") as stored:
        return dict(stored)


def _largest_error(case, vectors, device, **changed) -> float:
    resize = torch.from_numpy(vectors["resize"])
    operator = (
        operators.Mask(network.mask(), network.SHAPE, device=device)
        if case.operator == "inpaint"
        else operators.Separable(network.SHAPE, resize, resize, device=device)
    )
    y = torch.from_numpy(vectors[f"{case.key}/y"]).to(device)
    noise = iter(torch.from_numpy(vectors["noise"]).to(device)[:, None])
    prior = Network()
    method = DPS(**{"steps": cases.STEPS, "zeta": case.zeta, "clip": case.clip, **changed})
    x = method(Problem(operator, y, case.noise_std), prior, noise=lambda like: next(noise))
    states = torch.cat([*prior.seen, x])[list(cases.KEPT)].cpu()
    return float((states - torch.from_numpy(vectors[f"{case.key}/x"])).abs().max())


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device):
    assert _largest_error(case, vectors, device) <= TOLERANCE


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_of_the_test(case, vectors, device):
    """One hundredth on the step, or the other clipping, is noticed."""
    assert _largest_error(case, vectors, device, zeta=1.01 * case.zeta) > 5 * TOLERANCE
    assert _largest_error(case, vectors, device, clip=not case.clip) > 10 * TOLERANCE
