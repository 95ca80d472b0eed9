"""Inverses and the norm of an operator that has no SVD, by applying it again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators.cg import conjugate_gradient
from operators.circulant import near_inverse
from operators.svd import per_image

if TYPE_CHECKING:
    from operators.base import LinearOperator

_POWER_ITERATIONS = 30


def solve_normal(
    operator: LinearOperator,
    b: Tensor,
    rho: float | Tensor,
    tolerance: float | None,
    max_iterations: int | None,
) -> Tensor:
    """Return (AᴴA + ρI)⁻¹ b by conjugate gradients; see `LinearOperator.solve_normal`."""
    shift = per_image(rho, operator.domain.ndim)
    return conjugate_gradient(
        lambda x: operator.normal(x) + shift * x,
        b,
        operator.domain.axes,
        name=f"solve_normal of {operator.name}",
        tolerance=tolerance,
        max_iterations=max_iterations,
        precondition=None if b.is_complex() else near_inverse(operator, rho),
    )


def pinv(
    operator: LinearOperator,
    y: Tensor,
    rcond: float | None,
    tolerance: float | None,
    max_iterations: int | None,
) -> Tensor:
    """Return A†y by conjugate gradients on the normal equations; see `LinearOperator.pinv`."""
    shift = 0.0 if rcond is None else (rcond * operator.norm()).square()
    return conjugate_gradient(
        lambda x: operator.normal(x) + shift * x,
        operator.adjoint(y),
        operator.domain.axes,
        name=f"pinv of {operator.name}",
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def power_norm(operator: LinearOperator) -> Tensor:
    """Return ‖A‖ by 30 power iterations; see `LinearOperator.power_norm`."""
    space = operator.domain
    index = torch.arange(space.numel, device=operator.device, dtype=space.real_dtype)
    x = (1 + torch.sin(index * index.sqrt())).reshape(space.shape).to(space.dtype)
    x = x.expand(*operator.batch_shape, *space.shape)
    size = torch.linalg.vector_norm(x, dim=space.axes, keepdim=True)
    for _ in range(_POWER_ITERATIONS):
        x = operator.normal(x / size)
        size = torch.linalg.vector_norm(x, dim=space.axes, keepdim=True)
        size = size.clamp_min(torch.finfo(size.dtype).tiny)
    root: Tensor = size.sqrt()
    return root
