"""No operator reads anything back from an accelerator: each runs on a pretended one."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def refuse(*args: object, **kwargs: object) -> NoReturn:
    raise AssertionError("a tensor was read back from the device")


def trap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse what FakeTensorMode lets pass, a copy to the host above all."""
    for name in ("cpu", "numpy", "item", "tolist", "__float__", "__int__", "__bool__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)


class SinglePrecision(TorchDispatchMode):
    """Refuses double precision on the accelerator: those of Apple have none."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, Tensor) and result.device.type == "mps":
                assert result.dtype not in (torch.float64, torch.complex128), func
        return results


@pytest.mark.parametrize("accelerator", ["cuda", "mps"])
def test_runs_on_a_pretended_accelerator(
    one_case: Any, monkeypatch: pytest.MonkeyPatch, device: torch.device, accelerator: str
) -> None:
    if device.type != "cpu":
        pytest.skip("the pretended device is for machines without one")
    if one_case.name == "non-cartesian":
        pytest.skip("the library of this transform takes real memory only")
    A = one_case.operator()
    A.svd_or_none()
    monkeypatch.setattr("operators.matrix_free._POWER_ITERATIONS", 2)
    trap(monkeypatch)
    with FakeTensorMode(allow_non_fake_inputs=True), SinglePrecision():
        B = A._mapped(lambda t: torch.empty(t.shape, dtype=t.dtype, device=accelerator), None, {})
        x = torch.empty((2, *A.domain.shape), dtype=A.domain.dtype, device=accelerator)
        y = torch.empty((2, *A.codomain.shape), dtype=A.domain.dtype, device=accelerator)
        results = [B(x), B.adjoint(y), B.normal(x), B.norm()]
        results += [B.pinv(y, max_iterations=3), B.pinv(y, 1e-3, max_iterations=3)]
        results += [B.solve_normal(x, 0.1, max_iterations=3)]
        rho = torch.empty(2, device=accelerator)
        results += [B.solve_normal(x, rho, max_iterations=3)]
        if one_case.has_svd:
            svd = B.svd().truncated(1e-3)
            c = svd.vt(x)
            results += [c, svd.v(c), svd.u(svd.singular_values * c), svd.ut(y), svd.pinv(y)]
        assert all(result.device.type == accelerator for result in results)


def test_the_traps_work(monkeypatch: pytest.MonkeyPatch) -> None:
    trap(monkeypatch)
    with FakeTensorMode(), pytest.raises(AssertionError, match="read back"):
        float(torch.empty((), device="cuda"))
    with FakeTensorMode(), SinglePrecision(), pytest.raises(AssertionError, match="to_copy"):
        torch.empty(1, device="mps").double()
