"""Every loaded network with every method on every photo operator, at 32x32.

The networks are random, so a picture is not asked for: it is finite, and where a method ends on the
measurement it agrees with that.
"""

from __future__ import annotations

import pytest
import torch
from checkpoints_cases import CASES
from torch import Tensor

import operators
import restore
from operators import Jpeg
from restore.prior.checkpoints.loader import find_checkpoint
from restore.prior.network_denoiser import CheckpointDenoiser
from restore.problem import Problem
from restore.quantised import QuantisedProblem

SHAPE = (3, 32, 32)
OPERATORS = {
    "inpaint": lambda: operators.Mask(_uniform(32, 32) > 0.4, SHAPE),
    "super-resolve": lambda: operators.Downsample(SHAPE, 4),
    "super-resolve-odd": lambda: operators.Downsample(SHAPE, size=(20, 24)),
    "denoise": lambda: operators.Identity(SHAPE),
    "colorize": lambda: operators.Colorize(SHAPE),
    "deblur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
}
EXACT = ("ddrm", "pnp", "scoresde", "ilvr", "ccdf", "ddrm-cg", "ddnm", "pigdm", "daps")
NOISY = ("diffpir", "snips", "dps", "reddiff", "tds", "mcgdiff")
QUANTISED = ("ddrm-jpeg", "snips-interval", "ddrm-interval", "pnp-interval")
FEW = {
    "snips": {"steps": 8, "inner": 1, "theta": 1.1, "sigma_min": 0.05, "sigma_max": 1.0},
    "tds": {"steps": 2, "particles": 2},
    "mcgdiff": {"steps": 2, "particles": 2},
    "daps": {"steps": 2, "ode_steps": 1},
}
# The SVD of a blur inverts it only as far as its cut-off; CG as far as its tolerance.
LOOSE = 2e-2
# Rounding of a state whose noise is 50, which the gradient of pigdm takes to the last level.
ROUNDING = 3e-4


def _uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def _method(name: str) -> dict[str, object]:
    return FEW.get(name, {"steps": 2})


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def prior(request: pytest.FixtureRequest) -> CheckpointDenoiser:
    checkpoint = find_checkpoint(request.param.path, request.param.settings)
    assert checkpoint is not None
    return checkpoint.load("cpu", torch.float32)


def test_all_methods_are_here():
    assert {*EXACT, *NOISY, *QUANTISED} == set(restore.methods())


@pytest.mark.parametrize("name", [*EXACT, *NOISY])
def test_runs(name, prior):
    for chosen, make in OPERATORS.items():
        operator = make()
        y = operator(_uniform(1, *SHAPE))
        problem = Problem(operator, y, 0.0 if name in EXACT else 0.05)
        x = restore.solve(problem, prior, name, **_method(name))[0]
        assert torch.isfinite(x).all(), chosen
        if name in EXACT:
            tolerance = LOOSE if chosen == "deblur" or name == "ddrm-cg" else ROUNDING
            assert (operator(x) - y).abs().max() <= tolerance * max(1, x.abs().max()), chosen


@pytest.mark.parametrize("name", QUANTISED)
def test_runs_on_a_jpeg(name, prior):
    # The published method needs the lowest level of DDPM, 0.005.
    if name == "ddrm-jpeg" and prior.sigma_min > 0.00501:
        name = "ddrm-interval"
    operator = Jpeg(SHAPE, "4:2:0", torch.full((3, 8, 8), 12.0))
    shift = operator.level_shift()
    y = (operator(_uniform(1, *SHAPE)) - shift).round() + shift
    problem = QuantisedProblem(operator, y, decoder=operator.decoder)
    x = restore.solve(problem, prior, name, steps=2)[0]
    assert torch.isfinite(x).all()
    if name != "ddrm-jpeg":
        assert problem.inside(x).all()
