"""The loops of the guided and the particle methods under fake tensors, gradients included.

What waits for the device, or leaves it, raises. Autograd looks up the streams of a CUDA device,
which aborts where torch is built without: so the guided methods run on fake "meta" tensors, whose
data can no more be read nor mixed with the CPU's.
"""

from __future__ import annotations

import contextlib

import pytest
import torch
from plain_denoisers import Half
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import operators
from operators import cg
from restore.methods import DAPS, DPS, TDS, MCGDiff, Method, PiGDM, REDDiff
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.solve import misfit

SHAPE = (3, 8, 8)


def _mask(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) > 0.5


OPERATORS = {
    "masks": lambda: operators.Mask(_mask(2, 1, 8, 8), SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 4),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
    "no-svd": lambda: operators.Blur(SHAPE, operators.motion_kernel(4, 0.5), "zero"),
    "complex": lambda: operators.Mask(_mask(8, 8), SHAPE, dtype=torch.complex64),
}
METHODS = [
    PiGDM(steps=3),
    PiGDM(steps=3, variant="paper", eta=0.0),
    DPS(steps=3),
    DAPS(steps=3, ode_steps=2),
    REDDiff(steps=3),
    TDS(particles=4, steps=3),
    MCGDiff(particles=4, steps=3),
]


def _device(method: Method) -> str:
    return "meta" if "gradient" in method.needs else "cuda"


def _run(method: Method, problem: Problem, prior: Denoiser) -> Tensor:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the loop copies to the CPU")

    device = _device(method)
    with contextlib.suppress(operators.NoFastSVD):
        problem.operator.svd()
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True):
        patch.setattr(Tensor, "cpu", refuse)  # fake tensors allow it
        patch.setattr(cg, "UNWATCHED_ITERATIONS", 3)
        moved = problem.operator._mapped(
            lambda t: torch.empty(t.shape, dtype=t.dtype, device=device), None, {}
        )
        y = torch.empty(problem.y.shape, dtype=problem.y.dtype, device=device)
        return method(Problem(moved, y, problem.noise_std), prior, noise=torch.randn_like)


@pytest.mark.parametrize("noise_std", [0.0, 0.05])
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_runs(method, name, noise_std):
    operator = OPERATORS[name]()
    y = torch.zeros(2, *operator.codomain.shape, dtype=operator.codomain.dtype)
    problem = Problem(operator, y, noise_std)
    reason = misfit(method, problem)
    if reason is not None:
        assert method.needs == ("svd",) or not method.noiseless, reason
        return
    x = _run(method, problem, Half())
    assert x.device.type == _device(method)
    assert x.dtype == operator.domain.dtype
    assert x.shape == (2, *SHAPE)


@pytest.mark.parametrize(
    "slip",
    [
        lambda x: x * float(x.detach().mean()),
        lambda x: x[x > 0].mean() + x,
        lambda x: x + torch.zeros(SHAPE, device="cpu"),
        lambda x: x.cpu(),
    ],
)
@pytest.mark.parametrize("method", METHODS[3:6], ids=lambda method: method.name)
def test_of_the_test(method, slip):
    class Slip(Half):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return slip(x)

    operator = OPERATORS["downsample"]()
    problem = Problem(operator, torch.zeros(2, *operator.codomain.shape), 0.05)
    with pytest.raises(Exception, match=r"(?i)scalar|data.dependent|nonzero|dynamic|device|cpu"):
        _run(method, problem, Slip())
