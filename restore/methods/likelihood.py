"""The pull of a measurement through a Gaussian of isotropic covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import LinearOperator, ThinSVD
from operators.svd import per_image, unexpanded
from restore.methods.base import uniform
from restore.problem import Problem


def damped_pinv(
    operator: LinearOperator,
    y: Tensor,
    rho: float | Tensor,
    *,
    tolerance: float | None = None,
) -> Tensor:
    """Return Aᴴ(AAᴴ + ρI)⁻¹ y, the x of least ‖y - A x‖² + ρ‖x‖²; A†y for ρ = 0.

    By the SVD, where no direction outside of the row space can enter by rounding, otherwise as
    (AᴴA + ρI)⁻¹Aᴴy by conjugate gradients.

    Args:
        operator: A.
        y: [*batch, *codomain.shape].
        rho: ρ ≥ 0, the variance of the noise over that of the Gaussian; a tensor, a scalar or one
            per image `[*batch]`, has to be above 0.
        tolerance: of conjugate gradients (`LinearOperator.solve_normal`).

    Raises:
        ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
    """
    if not isinstance(rho, Tensor) and rho == 0:
        return operator.pinv(y, tolerance=tolerance)
    svd = operator.svd_or_none()
    if svd is None:
        return operator.solve_normal(operator.adjoint(y), rho, tolerance=tolerance)
    return svd.v(_damped(svd, rho) * svd.ut(y))


def pull(
    problem: Problem, x: Tensor, rho: float | Tensor, *, tolerance: float | None = None
) -> Tensor:
    """Return Aᴴ(AAᴴ + ρI)⁻¹ (y - A x), by which x comes to the measurement.

    By the SVD as V s/(s² + ρ) (Uᴴy - s Vᴴx), of two transforms, where A, Uᴴ and V have four.

    Args:
        problem: the measurement.
        x: [B, *domain.shape].
        rho: ρ, as of `damped_pinv`.
        tolerance: of conjugate gradients.

    Raises:
        ConvergenceError: on the CPU, if conjugate gradients miss their tolerance.
    """
    svd = problem.operator.svd_or_none()
    if svd is None or (not isinstance(rho, Tensor) and rho == 0):
        residual = problem.y - problem.operator(x)
        return damped_pinv(problem.operator, residual, rho, tolerance=tolerance)
    missing = problem.coefficients - unexpanded(svd.singular_values) * svd.vt(x)
    return svd.v(missing.mul_(_damped(svd, rho)))


def _damped(svd: ThinSVD, rho: float | Tensor) -> Tensor:
    s = unexpanded(svd.singular_values)
    return s / (s.square() + per_image(rho, svd.right.domain.ndim))


def share_towards(operator: LinearOperator, residual: Tensor, change: Tensor) -> Tensor:
    """Return the α in [0, 1] with which A(x̂ + α change) is nearest to y, [B, 1, ..., 1].

    Args:
        operator: A.
        residual: y - A x̂, [B, *codomain.shape].
        change: of each x̂, [B, *domain.shape].
    """
    seen, axes = operator(change), operator.codomain.axes
    along = (seen.conj() * residual).real.sum(axes)
    share = along / seen.abs().square().sum(axes).clamp_min(torch.finfo(along.dtype).tiny)
    return share.clamp(0, 1).reshape(-1, *(1,) * operator.domain.ndim)


def estimate(problem: Problem, centre: float, rho: float | Tensor) -> Tensor:
    """Return c + Aᴴ(AAᴴ + ρI)⁻¹ (y - A c), [B, *domain.shape], c being `centre` in every pixel."""
    space, shape = problem.operator.domain, (problem.batch, *problem.operator.domain.shape)
    flat = problem.y.new_full(shape, uniform(space, centre), dtype=space.dtype)
    return flat + pull(problem, flat, rho)
