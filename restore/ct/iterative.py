"""Iterative reconstruction without a prior."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators import LinearOperator


def sirt(
    operator: LinearOperator,
    y: Tensor,
    iterations: int = 100,
    *,
    on_step: Callable[[int, int, Tensor], None] | None = None,
) -> Tensor:
    """Return x after steps x ← x + C Aᵀ R (y − A x), from 0; R, C: one over A's row, column sums.

    `on_step` is called with (step, iterations, x) after each but the last.

    Source: Gregor, Benson, "Computational analysis and improvement of SIRT", 2008.
    """
    domain, codomain = operator.domain, operator.codomain
    rows = operator(torch.ones(domain.shape, dtype=domain.dtype, device=y.device))
    columns = operator.adjoint(torch.ones(codomain.shape, dtype=domain.dtype, device=y.device))
    r = torch.where(rows > 0, 1 / rows, 0)
    c = torch.where(columns > 0, 1 / columns, 0)
    x = c * operator.adjoint(r * y)
    for step in range(1, iterations):
        if on_step is not None:
            on_step(step, iterations, x)
        x = x + c * operator.adjoint(r * (y - operator(x)))
    return x
