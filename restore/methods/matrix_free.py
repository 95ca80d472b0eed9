"""What a method without an SVD asks of conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from operators import Blur, LinearOperator
from operators.svd import per_image
from operators.valid_blur import ValidConvolution
from restore.methods.likelihood import damped_pinv, pull
from restore.methods.spectral import clearness
from restore.noise import Noise
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
    """Return the least ρ that `quick_pull` should have: 0 where the FFT or the SVD solves it."""
    if _by_fft(operator) is not None:
        return torch.zeros((), dtype=operator.domain.real_dtype, device=operator.device)
    return least_damping(operator).square()


def quick_pull(problem: Problem, x: Tensor, rho: Tensor, tolerance: float) -> Tensor:
    """Return Aᴴ(AAᴴ + ρI)⁻¹ (y - A x), by FFT for every blur with the border "valid".

    There the FFT needs a third of the transforms and no large matrices: of a separable kernel at
    twelve megapixels it takes half the time of the SVD's products.

    Args:
        problem: the measurement.
        x: [B, *domain.shape].
        rho: ρ > 0, a scalar or one per image.
        tolerance: of conjugate gradients; that of a border need not be below `BORDER_TOLERANCE`.

    Raises:
        ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
    """
    valid = _by_fft(problem.operator)
    if valid is None:
        return pull(problem, x, rho, tolerance=tolerance)
    residual = problem.y - problem.operator(x)
    return valid.damped_pinv(residual, rho, tolerance=max(tolerance, BORDER_TOLERANCE))


def correction(
    problem: Problem,
    x_hat: Tensor,
    sigma: float,
    rcond: float,
    noise: Noise,
    *,
    tolerance: float | None = None,
) -> Tensor:
    """Return (AᴴA + c²)⁻¹Aᴴ(y + σ_y u - A x̂), c = max(σ_y/σ, rcond ‖A‖), for the last x̂.

    It is `Spectrum.correction`, smooth in the singular values. It grows from 0 where y is just
    `clearness` times clearer in the strongest of them to the whole where it is twice that; without
    noise it is A†(y - A x̂), damped.

    Args:
        problem: the measurement.
        x_hat: the last denoised picture.
        sigma: the level that it was denoised from.
        rcond: singular values well below rcond · max(s) stay as they are.
        noise: called once, for u, unless y has none.
        tolerance: of conjugate gradients.

    Raises:
        ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
    """
    operator, noise_std = problem.operator, problem.noise_std
    norm = norm_of(operator)
    residual = problem.y - operator(x_hat)
    if noise_std > 0:
        share = (norm * sigma / (clearness(sigma) * noise_std) - 1).clamp(0, 1)
        residual = residual + noise_std * noise(residual)
        residual = per_image(share, residual.ndim - 1) * residual
    damping = (rcond * norm).clamp_min(noise_std / sigma)
    return damped_pinv(operator, residual, damping.square(), tolerance=tolerance)


def _by_fft(operator: LinearOperator) -> ValidConvolution | None:
    real = not operator.domain.dtype.is_complex
    return operator.valid if real and isinstance(operator, Blur) else None
