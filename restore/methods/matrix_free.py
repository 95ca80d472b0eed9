"""What a method without an SVD asks of conjugate gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import Blur, LinearOperator
from restore.methods.likelihood import damped_pinv

# Largest ‖A‖/c of a system AᴴA + c²I that is asked for: it takes 1.5 to 2 times as many iterations.
REACH = 50.0
# Keeps the shift of an operator that measures nothing above 0.
TINY = 1e-12


def norm_of(operator: LinearOperator) -> Tensor:
    """Return ‖A‖, one per image `[*batch_shape]`."""
    norm = operator.norm()
    return norm.reshape(norm.shape[: norm.ndim - operator.domain.ndim]).clamp_min(TINY)


def least_damping(operator: LinearOperator) -> Tensor:
    """Return the least c that a system AᴴA + c²I should have: 0 where the SVD solves it."""
    if operator.svd_or_none() is None:
        return norm_of(operator) / REACH
    return torch.zeros((), dtype=operator.domain.real_dtype, device=operator.device)


def pull(operator: LinearOperator, y: Tensor, rho: Tensor, tolerance: float) -> Tensor:
    """Return Aᴴ(AAᴴ + ρI)⁻¹ y as `damped_pinv`, by FFT for a blur "valid" without an SVD.

    There a third of the transforms do.

    Args:
        operator: A.
        y: [*batch, *codomain.shape].
        rho: ρ > 0, a scalar or one per image.
        tolerance: of conjugate gradients.

    Raises:
        ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
    """
    valid = operator.valid if isinstance(operator, Blur) and not operator.has_svd else None
    if valid is None or y.is_complex():
        return damped_pinv(operator, y, rho, tolerance=tolerance)
    return valid.damped_pinv(y, rho, tolerance=tolerance)
