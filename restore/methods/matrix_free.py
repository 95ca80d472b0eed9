"""What a method without an SVD asks of conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators import Blur, LinearOperator
from operators.valid_blur import ValidConvolution
from restore.methods.likelihood import damped_pinv
from restore.problem import Problem

# Largest ‖A‖/c of a system AᴴA + c²I that is asked for: it takes 1.5 to 2 times as many iterations.
REACH = 50.0
# Tolerance that is enough by FFT, where the border alone is not solved exactly: 1e-3 takes half as
# many iterations again and restores no better, 1e-2 loses up to 0.2 dB of 144 pixels.
BORDER_TOLERANCE = 3e-3
# ‖A‖/c of a system that stands for the pseudo-inverse, of a result without noise.
LAST_REACH = 1000.0
# Keeps the shift of an operator that measures nothing above 0.
TINY = 1e-12
# Least σ_y, of an operator of norm 1 or more, that a method takes whose weights need some.
LEAST_NOISE = 1e-3


def norm_of(operator: LinearOperator) -> Tensor:
    """Return ‖A‖, one per image `[*batch_shape]`."""
    norm = operator.norm()
    return norm.reshape(norm.shape[: norm.ndim - operator.domain.ndim]).clamp_min(TINY)


def least_damping(operator: LinearOperator) -> Tensor:
    """Return the least c that a system AᴴA + c²I should have: 0 where the SVD solves it."""
    if operator.svd_or_none() is None:
        return norm_of(operator) / REACH
    return torch.zeros((), dtype=operator.domain.real_dtype, device=operator.device)


def noise_of(problem: Problem) -> Tensor:
    """Return σ_y, at least `LEAST_NOISE`; of operators below norm 1 at least so much of ‖A‖."""
    least: Tensor = LEAST_NOISE * norm_of(problem.operator).clamp_max(1)
    return least.clamp_min(problem.noise_std)


def reachable(operator: LinearOperator, reach: float = REACH) -> Callable[[float], float | Tensor]:
    """Return what raises a ρ to (‖A‖/reach)² where conjugate gradients have to solve it."""
    if operator.svd_or_none() is not None:
        return float
    return (norm_of(operator) / reach).square().clamp_min


def least_pull(operator: LinearOperator) -> Tensor:
    """Return the least ρ that `pull` should have: 0 where the FFT or the SVD solves it."""
    if _by_fft(operator) is not None:
        return torch.zeros((), dtype=operator.domain.real_dtype, device=operator.device)
    return least_damping(operator).square()


def pull(operator: LinearOperator, y: Tensor, rho: Tensor, tolerance: float) -> Tensor:
    """Return Aᴴ(AAᴴ + ρI)⁻¹ y as `damped_pinv`, by FFT for every blur with the border "valid".

    There the FFT needs a third of the transforms and no large matrices: of a separable kernel at
    twelve megapixels it takes half the time of the SVD's products.

    Args:
        operator: A.
        y: [*batch, *codomain.shape].
        rho: ρ > 0, a scalar or one per image.
        tolerance: of conjugate gradients; that of a border need not be below `BORDER_TOLERANCE`.

    Raises:
        ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
    """
    valid = _by_fft(operator)
    if valid is None:
        return damped_pinv(operator, y, rho, tolerance=tolerance)
    return valid.damped_pinv(y, rho, tolerance=max(tolerance, BORDER_TOLERANCE))


def _by_fft(operator: LinearOperator) -> ValidConvolution | None:
    real = not operator.domain.dtype.is_complex
    return operator.valid if real and isinstance(operator, Blur) else None
