"""Operators of ODL as ours: the plain transpose whatever their cells weigh."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from operators import OdlOperator, ParallelBeamCT, ShapeError, check_adjoint
from restore.tasks.total_variation import import_odl

odl = import_odl()


class Summed(odl.Operator):  # type: ignore[misc,name-defined]
    """Sums of pairs of columns: from cells of 0.4 to cells of 0.3; ODL's adjoint of it."""

    def __init__(self, domain: Any, codomain: Any) -> None:
        super().__init__(domain, codomain, linear=True)

    def _call(self, x: Any) -> Any:
        return self.range.element(x.data[:, ::2] + x.data[:, 1::2])

    @property
    def adjoint(self) -> Any:
        return Spread(self)


class Spread(odl.Operator):  # type: ignore[misc,name-defined]
    def __init__(self, of: Summed) -> None:
        super().__init__(of.range, of.domain, linear=True)
        self.ratio = of.range.weighting.const / of.domain.weighting.const

    def _call(self, y: Any) -> Any:
        return self.range.element(self.ratio * np.repeat(y.data, 2, axis=1))


def summed(dtype: str) -> OdlOperator:
    domain = odl.uniform_discr([0, 0], [4, 2.4], (5, 12), dtype=dtype)
    return OdlOperator(Summed(domain, odl.uniform_discr([0, 0], [3, 3], (5, 6), dtype=dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adjoint_is_the_transpose(dtype: str) -> None:
    check_adjoint(summed(dtype))


def test_gradient_and_batch() -> None:
    A = summed("float64")
    x = torch.rand(2, 3, *A.domain.shape, dtype=torch.float64, requires_grad=True)
    y = A(x)
    torch.testing.assert_close(y, x.unflatten(-1, (6, 2)).sum(-1))
    (gradient,) = torch.autograd.grad(y.square().sum() / 2, x)
    torch.testing.assert_close(gradient, A.adjoint(y.detach()))
    assert A(x[:0].detach()).shape == (0, 3, 1, 5, 6)


def test_scans_of_astra_are_ours() -> None:
    if importlib.util.find_spec("astra") is None:
        pytest.skip("astra-toolbox is not installed")
    from odl.applications import tomo

    space = odl.uniform_discr([-16, -16], [16, 16], (64, 64), dtype="float32")
    angles = np.arange(40) * np.pi / 40
    cells = odl.uniform_partition(-24, 24, 96)
    geometry = tomo.Parallel2dGeometry(odl.nonuniform_partition(angles), cells)
    A = OdlOperator(tomo.RayTransform(space, geometry, impl="astra_cpu"))
    check_adjoint(A)
    x = (torch.arange(64) - 31.5) / 2
    blob = torch.exp(-((x - 3).square() + (-x[:, None] + 2).square()) / 18)[None]
    ours = ParallelBeamCT((1, 64, 64), torch.from_numpy(angles), 96, 0.5, 0.5)(blob)
    difference = A(blob.mT.flip(-1).contiguous()) - ours
    assert difference.norm() < 1e-4 * ours.norm()


def test_what_does_not_fit_is_refused() -> None:
    space = odl.rn(4)
    with pytest.raises(TypeError, match="linear operator of ODL"):
        OdlOperator(odl.ConstantOperator(space.one(), space, space))
    with pytest.raises(TypeError, match="float32 or of float64"):
        OdlOperator(odl.IdentityOperator(odl.cn(4)))
    weighted = odl.rn(4, weighting=np.arange(1.0, 5.0))
    with pytest.raises(ShapeError, match="not one constant"):
        OdlOperator(odl.IdentityOperator(weighted))


def test_another_precision_is_not_pretended():
    space = odl.uniform_discr([0, 0], [1, 1], (4, 6), dtype="float32")
    one = OdlOperator(odl.IdentityOperator(space))
    with pytest.raises(TypeError, match=r"runs in torch.float32, as ODL was told"):
        one.to(dtype=torch.float64)
    x = torch.rand(1, 4, 6)
    assert torch.equal(one.to(dtype=torch.float32)(x), one(x))
