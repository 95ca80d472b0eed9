"""Checks of the contract that every operator has to pass."""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.space import Space


def default_tolerance(space: Space) -> float:
    """Return the relative error that rounding excuses: 1e-4, in double precision 1e-10."""
    return 1e-4 if space.real_dtype == torch.float32 else 1e-10


class _Draw:
    """Standard normal arrays, the same on every device."""

    def __init__(self, operator: LinearOperator, batch: tuple[int, ...] | None, seed: int) -> None:
        self.batch = (operator.batch_shape or (2,)) if batch is None else batch
        self.device = operator.device
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, space: Space) -> Tensor:
        shape = (*self.batch, *space.shape)
        return torch.randn(shape, generator=self.generator, dtype=space.dtype, device="cpu").to(
            self.device
        )


def _error(a: Tensor, b: Tensor) -> float:
    scale = torch.maximum(torch.linalg.vector_norm(a), torch.linalg.vector_norm(b))
    return float(torch.linalg.vector_norm(a - b) / scale.clamp_min(torch.finfo(scale.dtype).tiny))


def check_adjoint(
    operator: LinearOperator,
    *,
    batch: tuple[int, ...] | None = None,
    seed: int = 0,
    tolerance: float | None = None,
) -> float:
    """Check ⟨Ax, y⟩ = ⟨x, Aᴴy⟩ for random x and y, image by image.

    Args:
        operator: A.
        batch: Batch dimensions of x and y (those of the operator, or two images).
        seed: Seed of x and y.
        tolerance: Largest error relative to ‖Ax‖‖y‖ (1e-4, in double precision 1e-10).

    Returns:
        The largest error.

    Raises:
        AssertionError: If it exceeds the tolerance; the text names the operator.
    """
    return probe_adjoint(operator, batch=batch, seed=seed, tolerance=tolerance)[1]


def probe_adjoint(
    operator: LinearOperator,
    *,
    batch: tuple[int, ...] | None = None,
    seed: int = 0,
    tolerance: float | None = None,
) -> tuple[Tensor, float]:
    """Return A x of the random x, and the largest error; else as `check_adjoint`."""
    draw = _Draw(operator, batch, seed)
    x, y = draw(operator.domain), draw(operator.codomain)
    image, back = operator(x), operator.adjoint(y)
    for what, found, space in (
        ("A x", image, operator.codomain),
        ("A^H y", back, operator.domain),
    ):
        if not space.holds(found) or found.shape[: -space.ndim] != x.shape[: -operator.domain.ndim]:
            raise AssertionError(
                f"{operator.name}: {what} is {list(found.shape)} of {found.dtype}; expected "
                f"[*batch, {', '.join(map(str, space.shape))}] of {space.dtype}"
            )
    left = (image.conj() * y).sum(operator.codomain.axes)
    right = (x.conj() * back).sum(operator.domain.axes)
    scale = torch.linalg.vector_norm(image, dim=operator.codomain.axes) * torch.linalg.vector_norm(
        y, dim=operator.codomain.axes
    )
    error = float(((left - right).abs() / scale.clamp_min(torch.finfo(scale.dtype).tiny)).max())
    limit = default_tolerance(operator.domain) if tolerance is None else tolerance
    if not error <= limit:
        raise AssertionError(
            f"{operator.name}: <Ax, y> and <x, A^H y> differ by {error:.1e} > {limit:.1e}"
        )
    return image, error


def check_svd(
    operator: LinearOperator,
    *,
    batch: tuple[int, ...] | None = None,
    seed: int = 0,
    tolerance: float | None = None,
) -> float:
    """Check the SVD: A = U s Vᴴ, Aᴴ = V s Uᴴ, VᴴV = I, UᴴU = I, s ≥ 0, and the two adjoints.

    UᴴU = I is asked for where s > 0: a direction that is not observed has no image in y.

    Args:
        operator: A, with a fast SVD.
        batch: Batch dimensions of the random arrays (those of the operator, or two images).
        seed: Their seed.
        tolerance: Largest relative error (1e-4, in double precision 1e-10).

    Returns:
        The largest relative error.

    Raises:
        AssertionError: If an identity fails; the text names the operator and the identity.
        NoFastSVD: If the operator has no SVD.
    """
    svd = operator.svd()
    draw = _Draw(operator, batch, seed)
    x, y = draw(operator.domain), draw(operator.codomain)
    c = draw(Space(svd.spectral_shape, operator.domain.dtype))
    s = svd.singular_values
    observed = c * (s > 0)
    errors = {
        "A = U s V^H": _error(operator(x), svd.u(s * svd.vt(x))),
        "A^H = V s U^H": _error(operator.adjoint(y), svd.v(s * svd.ut(y))),
        "V^H V = I": _error(svd.vt(svd.v(c)), c),
        "U^H U = I": _error(svd.ut(svd.u(observed)), observed),
        "<V c, x> = <c, V^H x>": check_adjoint(svd.right, seed=seed, tolerance=tolerance),
        "<U c, y> = <c, U^H y>": check_adjoint(svd.left, seed=seed, tolerance=tolerance),
        "s >= 0": float(s.min() < 0),
    }
    limit = default_tolerance(operator.domain) if tolerance is None else tolerance
    for identity, error in errors.items():
        if not error <= limit:
            raise AssertionError(f"{operator.name}: {identity} fails by {error:.1e} > {limit:.1e}")
    return max(errors.values())
