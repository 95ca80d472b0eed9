"""Iterative reconstruction without a prior."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import LinearOperator


def sirt(operator: LinearOperator, y: Tensor, iterations: int = 100) -> Tensor:
    """Return x after steps x ← x + C Aᵀ R (y − A x), from 0; R, C: one over A's row, column sums.

    Source: Gregor, Benson, "Computational analysis and improvement of SIRT", 2008.
    """
    domain, codomain = operator.domain, operator.codomain
    rows = operator(torch.ones(domain.shape, dtype=domain.dtype, device=y.device))
    columns = operator.adjoint(torch.ones(codomain.shape, dtype=domain.dtype, device=y.device))
    r = torch.where(rows > 0, 1 / rows, 0)
    c = torch.where(columns > 0, 1 / columns, 0)
    x = c * operator.adjoint(r * y)
    for _ in range(iterations - 1):
        x = x + c * operator.adjoint(r * (y - operator(x)))
    return x
