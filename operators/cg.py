"""Conjugate gradients for (AᴴA + ρI) x = b, image by image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WATCHED_ITERATIONS = 10_000
UNWATCHED_ITERATIONS = 100
# What b − M x may be of ‖M‖‖x‖, in units of rounding: x then solves a system as near as M is known.
ROUNDING = 4


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
    watched: bool | None = None,
) -> Tensor:
    """Solve M x = b for a Hermitian positive (semi)definite M by conjugate gradients from zero.

    Every image of the batch has its own step lengths and stops at its own tolerance, so the
    result does not depend on what else is in the batch. Where it is watched, the residual that ends
    the iteration is the true one, b − M x, and one that is but rounding of M x ends it too.
    Elsewhere the number of iterations is fixed and nothing is read back from the device, so there
    is no error either; an image that reached the tolerance stays as it is.

    Args:
        apply: x ↦ M x, linear, for `[*batch, *shape]`.
        b: Right-hand side `[*batch, *shape]`.
        axes: The dimensions of one image, counted from the end.
        name: What is solved, for the error.
        tolerance: Relative residual ‖b − M x‖/‖b‖ (default 1e-5, in double precision 1e-10).
        max_iterations: Most iterations where it is watched (default 10000), the number of
            iterations elsewhere (default 100).
        precondition: r ↦ P r, Hermitian positive definite and near M⁻¹.
        watched: Whether to look at the residual, for which an accelerator has to be waited for
            (default: on the CPU alone).

    Returns:
        x, which is NaN for an image whose ‖b‖² is not finite.

    Raises:
        ConvergenceError: Where it is watched, if the tolerance is not reached.

    Source: Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.
    """
    if b.numel() == 0:  # transforms of no picture, as a preconditioner has, are refused by torch
        return torch.zeros_like(b)
    if watched is None:
        watched = b.device.type == "cpu"
    if tolerance is None:
        tolerance = default_tolerance(b.dtype)
    if max_iterations is None:
        max_iterations = WATCHED_ITERATIONS if watched else UNWATCHED_ITERATIONS

    def dot(p: Tensor, q: Tensor) -> Tensor:
        product = (p.conj() * q).real if p.is_complex() else p * q
        return product.sum(axes, keepdim=True)

    def pulled(residual: Tensor, squared: Tensor) -> tuple[Tensor, Tensor]:
        """P r and ⟨r, P r⟩."""
        if precondition is None:
            return residual, squared
        pull = precondition(residual)
        return pull, dot(residual, pull)

    def known(x: Tensor) -> Tensor:
        """The square of what ‖b − M x‖ cannot be told from 0 by."""
        rounding = ROUNDING * torch.finfo(b.dtype).eps
        return torch.maximum(4 * goal, (rounding * norm).square() * dot(x, x))

    x, residual = torch.zeros_like(b), b
    squared = dot(b, b)
    direction, energy = pulled(residual, squared)
    unknown = torch.logical_not(squared < torch.inf)
    goal = torch.where(unknown, torch.inf, tolerance**2 * squared)
    norm = torch.zeros_like(squared)
    for _ in range(max_iterations):
        active = squared > goal
        if watched and not bool(active.any()):
            # The recursive residual drifts from the true one in floating point: look at that.
            residual = b - apply(x)
            squared = dot(residual, residual)
            squared = torch.where(squared > known(x), squared, 0)
            active = squared > goal
            direction, energy = pulled(residual, squared)
            if not bool(active.any()):
                break
        image = apply(direction)
        curvature = dot(direction, image)
        if watched:
            length = dot(direction, direction)
            norm = torch.where(length > 0, torch.maximum(norm, curvature / length), norm)
        step = torch.where(active & (curvature > 0), energy / curvature, 0)
        x = torch.addcmul(x, step, direction)
        residual = torch.addcmul(residual, step, image, value=-1)
        del image
        squared = torch.where(active, dot(residual, residual), squared)
        previous = energy
        pull, energy = pulled(residual, squared)
        direction = torch.addcmul(pull, torch.where(active, energy / previous, 0), direction)
    else:
        if watched:
            residual = b - apply(x)
            left = dot(residual, residual)
            missed = (left > known(x)) & ~unknown
            if bool(missed.any()):
                size = dot(b, b).clamp_min(torch.finfo(goal.dtype).tiny)
                reached = float(torch.where(missed, left / size, 0).max().sqrt())
                raise ConvergenceError(
                    f"{name}: conjugate gradients came to a relative residual of {reached:.1e} in "
                    f"{max_iterations} iterations, not to {tolerance:.1e}; raise max_iterations or "
                    "tolerance, or damp it: solve_normal with a larger rho, pinv with rcond"
                )
    return torch.where(unknown, torch.nan, x)
