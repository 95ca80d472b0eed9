"""Conjugate gradients for (AᴴA + ρI) x = b, image by image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CPU_ITERATIONS = 1000
ACCELERATOR_ITERATIONS = 100


class ConvergenceError(RuntimeError):
    """Conjugate gradients did not reach their tolerance; the text says how far they came."""


def default_tolerance(dtype: torch.dtype) -> float:
    """Return the relative residual asked for: 1e-5 in single precision, 1e-10 in double."""
    return 1e-5 if dtype in (torch.float32, torch.complex64) else 1e-10


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    axes: tuple[int, ...],
    *,
    name: str,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    precondition: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Solve M x = b for a Hermitian positive (semi)definite M by conjugate gradients from zero.

    Every image of the batch has its own step lengths and stops at its own tolerance, so the
    result does not depend on what else is in the batch. On the CPU the residual that ends the
    iteration is the true one, b − M x. Elsewhere the number of iterations is fixed and nothing is
    read back from the device, so there is no error either; an image that reached the tolerance
    stays as it is.

    Args:
        apply: x ↦ M x, linear, for `[*batch, *shape]`.
        b: Right-hand side `[*batch, *shape]`.
        axes: The dimensions of one image, counted from the end.
        name: What is solved, for the error.
        tolerance: Relative residual ‖b − M x‖/‖b‖ (default 1e-5, in double precision 1e-10).
        max_iterations: Most iterations on the CPU (default 1000), the number of iterations
            elsewhere (default 100).
        precondition: r ↦ P r, Hermitian positive definite and near M⁻¹.

    Raises:
        ConvergenceError: On the CPU, if the tolerance is not reached.

    Source: Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.
    """
    on_cpu = b.device.type == "cpu"
    if tolerance is None:
        tolerance = default_tolerance(b.dtype)
    if max_iterations is None:
        max_iterations = CPU_ITERATIONS if on_cpu else ACCELERATOR_ITERATIONS

    def dot(p: Tensor, q: Tensor) -> Tensor:
        product = (p.conj() * q).real if p.is_complex() else p * q
        return product.sum(axes, keepdim=True)

    def pulled(residual: Tensor, squared: Tensor) -> tuple[Tensor, Tensor]:
        """P r and ⟨r, P r⟩."""
        if precondition is None:
            return residual, squared
        pull = precondition(residual)
        return pull, dot(residual, pull)

    x, residual = torch.zeros_like(b), b
    squared = dot(b, b)
    direction, energy = pulled(residual, squared)
    goal = tolerance**2 * squared
    for _ in range(max_iterations):
        active = squared > goal
        if on_cpu and not bool(active.any()):
            # The recursive residual drifts from the true one in floating point: look at that.
            residual = b - apply(x)
            squared = dot(residual, residual)
            squared = torch.where(squared > 4 * goal, squared, 0)
            active = squared > goal
            direction, energy = pulled(residual, squared)
            if not bool(active.any()):
                return x
        image = apply(direction)
        curvature = dot(direction, image)
        step = torch.where(active & (curvature > 0), energy / curvature, 0)
        x = torch.addcmul(x, step, direction)
        residual = torch.addcmul(residual, step, image, value=-1)
        del image
        squared = torch.where(active, dot(residual, residual), squared)
        previous = energy
        pull, energy = pulled(residual, squared)
        direction = torch.addcmul(pull, torch.where(active, energy / previous, 0), direction)
    if on_cpu:
        residual = b - apply(x)
        size = dot(b, b).clamp_min(torch.finfo(goal.dtype).tiny)
        reached = float((dot(residual, residual) / size).max().sqrt())
        if reached > 2 * tolerance:
            raise ConvergenceError(
                f"{name}: conjugate gradients came to a relative residual of {reached:.1e} in "
                f"{max_iterations} iterations, not to {tolerance:.1e}; raise max_iterations or "
                "tolerance, or damp it: solve_normal with a larger rho, pinv with rcond"
            )
    return x
