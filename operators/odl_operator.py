"""Any linear operator of ODL as one of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators.base import LinearOperator, Memo
from operators.linear_function import transformed
from operators.space import ShapeError, Space

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class OdlOperator(LinearOperator):
    """y = A x for A of ODL, its axes as ODL has them, and a channel: `(1, *A.domain.shape)`.

    An image of ODL's tomography is [x, y] with y upwards: one of ours, of rows from the top, is
    `x.mT.flip(-1)` there. It runs where ODL runs it; on the CPU arrays go in and out uncopied.
    Cone beams and helices need ODL's ASTRA back end and an NVIDIA GPU.

    ODL's adjoint is that of inner products weighted by cells; ours is the transpose of the matrix.

    Args:
        operator: A linear `odl.Operator` between spaces of real arrays, with an adjoint.

    Raises:
        TypeError: If it is not linear, or not of arrays of float32 or float64.
        ShapeError: If the weights of a space are not the same everywhere.
    """

    def __init__(self, operator: Any) -> None:
        if not getattr(operator, "is_linear", False):
            raise TypeError(f"{self.name}: needs a linear operator of ODL, not {operator!r}")
        spaces = operator.domain, operator.range
        kinds = [str(getattr(space, "dtype_identifier", "")) for space in spaces]
        if kinds[0] not in _DTYPES or kinds[0] != kinds[1]:
            raise TypeError(
                f"{self.name}: needs spaces of float32 or of float64, not of {' and '.join(kinds)}"
            )
        dtype = _DTYPES[kinds[0]]
        domain, codomain = (Space((1, *space.shape), dtype) for space in spaces)
        super().__init__(domain, codomain)
        self._operator = operator
        self._ratio = self._cell(operator.domain) / self._cell(operator.range)

    def _apply(self, x: Tensor) -> Tensor:
        y = transformed(x.reshape(-1, *self.domain.shape[1:]), self, adjoint=False)
        return y.reshape(*x.shape[: -self.domain.ndim], *self.codomain.shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        x = transformed(y.reshape(-1, *self.codomain.shape[1:]), self, adjoint=True)
        return x.reshape(*y.shape[: -self.codomain.ndim], *self.domain.shape)

    def _mapped(
        self, fn: Callable[[Tensor], Tensor], dtype: torch.dtype | None, memo: Memo
    ) -> OdlOperator:
        if dtype not in (None, self.domain.dtype):
            raise TypeError(
                f"{self.name}: runs in {self.domain.dtype}, as ODL was told; expected its operator "
                f"made anew for {dtype}"
            )
        return super()._mapped(fn, dtype, memo)

    def transform(self, values: Tensor, *, adjoint: bool) -> Tensor:
        """A of arrays `[N, *domain]`, or the transpose of `[N, *codomain]`, one by one."""
        operator = self._operator.adjoint if adjoint else self._operator
        rows = [_applied(operator, value) for value in values.detach()]
        if not rows:
            return values.new_zeros(0, *(self.domain if adjoint else self.codomain).shape[1:])
        out = torch.stack(rows)
        return out * self._ratio if adjoint else out

    def _cell(self, space: Any) -> float:
        weight = getattr(getattr(space, "weighting", None), "const", None)
        if weight is None:
            raise ShapeError(f"{self.name}: the weights of {space!r} are not one constant")
        return float(weight)


def _applied(operator: Any, value: Tensor) -> Tensor:
    space = operator.domain
    if space.impl == "pytorch":
        out: Tensor = operator(space.element(value.to(space.device))).data
        return out.to(value.device)
    array = np.asarray(operator(space.element(value.cpu().contiguous().numpy())).data)
    return torch.from_numpy(np.ascontiguousarray(array)).to(value.device)
