"""No operator reads anything back from an accelerator: each runs on a pretended one."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
import torch
from pretended import DEVICE, DOUBLE, DefaultDevice, accelerator
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
    """Refuses double precision on the accelerator, or made there: those of Apple have none."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, results)) if isinstance(t, Tensor)]
        if any(t.device.type == DEVICE.type for t in tensors):
            made = [t for t in tree_leaves(results) if isinstance(t, Tensor)]
            assert not any(t.dtype in DOUBLE for t in made), func
        return results


@pytest.fixture
def without_device(device: torch.device) -> None:
    if device.type != "cpu":
        pytest.skip("the pretended device is for machines without one")


@pytest.mark.usefixtures("without_device")
@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_runs_on_a_pretended_accelerator(
    one_case: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if one_case.name.startswith("non-cartesian"):
        pytest.skip("the library of this transform takes real memory only")
    A = one_case.operator()
    A.svd_or_none()
    monkeypatch.setattr("operators.matrix_free._POWER_ITERATIONS", 2)
    trap(monkeypatch)
    with FakeTensorMode(allow_non_fake_inputs=True), SinglePrecision():
        B = A._mapped(lambda t: torch.empty(t.shape, dtype=t.dtype, device=kind), None, {})
        x = torch.empty((2, *A.domain.shape), dtype=A.domain.dtype, device=kind)
        y = torch.empty((2, *A.codomain.shape), dtype=A.domain.dtype, device=kind)
        results = [B(x), B.adjoint(y), B.normal(x), B.norm()]
        results += [B.pinv(y, max_iterations=3), B.pinv(y, 1e-3, max_iterations=3)]
        results += [B.solve_normal(x, 0.1, max_iterations=3)]
        rho = torch.empty(2, device=kind)
        results += [B.solve_normal(x, rho, max_iterations=3)]
        if one_case.has_svd:
            svd = B.svd().truncated(1e-3)
            c = svd.vt(x)
            results += [c, svd.v(c), svd.u(svd.singular_values * c), svd.ut(y), svd.pinv(y)]
        assert all(result.device.type == kind for result in results)


@pytest.mark.usefixtures("without_device")
def test_a_pretended_accelerator_has_the_results_of_the_cpu(
    one_case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values are looked at here, and the SVD is made on the device."""
    x = one_case.draw((2, *one_case.operator().domain.shape))
    y = one_case.draw((2, *one_case.operator().codomain.shape), 1)

    def results(target: str | torch.device) -> list[Tensor]:
        A = one_case.operator().to(target)
        found = [A(x.to(target)), A.adjoint(y.to(target)), A.solve_normal(x.to(target), 0.5)]
        if one_case.has_svd:
            svd = A.svd()
            found += [svd.singular_values, svd.v(svd.vt(x.to(target)))]
        assert all(result.device.type == torch.device(target).type for result in found)
        return [result.cpu() for result in found]

    there = results("cpu")
    with accelerator(monkeypatch):
        here = results(DEVICE)
    for a, b in zip(here, there, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * float(b.abs().max()))


@pytest.mark.usefixtures("without_device")
def test_a_default_device_changes_no_operator(
    one_case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies where it is told to, with all that it makes for itself."""
    x = one_case.draw((2, *one_case.operator().domain.shape))

    def results() -> list[Tensor]:
        A = one_case.operator()
        y = A(x)
        found = [y, A.adjoint(y)]
        if one_case.has_svd:
            svd = A.svd()
            found += [svd.singular_values, svd.v(svd.vt(x)), svd.u(svd.vt(x))]
        return found

    there = results()
    # Cases have parts of their own in double precision, which land on the default device.
    monkeypatch.setattr("pretended.DOUBLE", ())
    with accelerator(monkeypatch), DefaultDevice():
        here = results()
    assert all(map(torch.equal, here, there))


def test_the_traps_work(monkeypatch: pytest.MonkeyPatch) -> None:
    trap(monkeypatch)
    with FakeTensorMode(), pytest.raises(AssertionError, match="read back"):
        float(torch.empty((), device="cuda"))
    with FakeTensorMode(), SinglePrecision(), pytest.raises(AssertionError, match="to_copy"):
        torch.empty(1, device=DEVICE).double()
