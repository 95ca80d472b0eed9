"""Whether a result explains its measurement: residuals against noise, coefficients in intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from operators import LinearOperator
from operators.checks import probe_adjoint
from restore.problem import Problem
from restore.quantised import QuantisedProblem

CONFIDENCE = 0.999
NOISELESS_BOUND = 1e-3
HALF_STEP = 0.5


@dataclass(frozen=True)
class Certificate:
    """Consistency of x with y = A x + σ_y n, in the n values that were measured.

    With noise, the root mean square of A x − y is compared with its 99.9 % bound, σ √(χ²/n). The
    test is one-sided: a posterior mean fits better than a sample does. σ includes the rounding of
    the written picture, and what a level that is itself measured may be wrong by. Without noise,
    the largest |A x − y| is compared with 1e-3.

    Attributes:
        residual: root mean square of A x − y, in the units of y.
        residual_max: largest |A x − y|.
        bound: of the residual, or of residual_max where there is no noise.
        adjoint_error: relative error of ⟨A x, y⟩ = ⟨x, Aᴴ y⟩ for random x and y.
        consistent: whether the bound is kept.
    """

    residual: float
    residual_max: float
    bound: float
    adjoint_error: float
    consistent: bool

    def as_dict(self) -> dict[str, Any]:
        """For the sidecar."""
        return asdict(self)


@dataclass(frozen=True)
class IntervalCertificate:
    """Consistency of x with a measurement that was rounded.

    Attributes:
        residual: root mean square of A x − y, in steps of the tables.
        residual_max: largest |A x − y|.
        inside: share of the coefficients that lie in their intervals.
        bound: that share of the decoder's own picture, rounded as x was written.
        adjoint_error: relative error of ⟨A x, y⟩ = ⟨x, Aᴴ y⟩ for random x and y.
        adjoint_shape: of that x: of the picture, or of the corner that stands for a large one.
        consistent: whether no more of them are outside than of the decoder's.
    """

    residual: float
    residual_max: float
    inside: float
    bound: float
    adjoint_error: float
    adjoint_shape: tuple[int, ...]
    consistent: bool

    def as_dict(self) -> dict[str, Any]:
        """For the sidecar."""
        return asdict(self)


def certify(
    problem: Problem, x: Tensor, rounding_std: float, noise_error: float = 0.0
) -> Certificate | IntervalCertificate:
    """Certify x [B, *domain.shape], a picture as it was written.

    Args:
        problem: what was measured.
        x: the result.
        rounding_std: standard deviation of the rounding of the written picture; 0 for floats. The
            rows of our operators have a norm of at most about one, so that it passes to y at most.
        noise_error: by what share the noise may be more than the problem says.
    """
    if isinstance(problem, QuantisedProblem):
        return _certify_intervals(problem, x, rounding_std)
    from scipy.special import chdtri

    misfits, errors, probed = list[_Misfit](), list[float](), None
    # Image by image, beside a measurement that may fill half of the memory.
    for number in torch.split(torch.arange(problem.batch, device=problem.y.device), 1):
        part = problem.take(number)
        if part.operator is not probed:  # that of another image is another one, or the same
            probed = part.operator
            measured, error = _probed(probed)
            errors.append(error)
        misfits.append(_misfit(part, x.index_select(0, number), measured))
    found, adjoint_error = _together(misfits), max(errors)
    noise = (((1 + noise_error) * problem.noise_std) ** 2 + rounding_std**2) ** 0.5
    residual, largest = found.residual, found.largest
    if noise == 0:
        return Certificate(
            residual, largest, NOISELESS_BOUND, adjoint_error, largest <= NOISELESS_BOUND
        )
    freedom = max(found.total, 1)
    bound = noise * float(chdtri(freedom, 1 - CONFIDENCE) / freedom) ** 0.5
    return Certificate(residual, largest, bound, adjoint_error, residual <= bound)


def rounded(x: Tensor, rounding_std: float) -> Tensor:
    """x in [0, 1] as a file shows it whose rounding has that standard deviation."""
    if rounding_std == 0:
        return x
    levels = round(1 / (rounding_std * math.sqrt(12)))
    return (x * levels).round_().div_(levels)


def _certify_intervals(
    problem: QuantisedProblem, x: Tensor, rounding_std: float
) -> IntervalCertificate:
    pairs = [
        (_misfit(part, rounded(decoded.clamp(0, 1), rounding_std)), _misfit(part, pixels))
        for part, decoded, pixels in problem.bands(x)
    ]
    shown, found = (_together(misfits) for misfits in zip(*pairs, strict=True))
    tested = problem.sampled
    return IntervalCertificate(
        residual=found.residual,
        residual_max=found.largest,
        inside=found.inside / found.total,
        bound=shown.inside / shown.total,
        adjoint_error=_probed(tested)[1],
        adjoint_shape=tested.domain.shape,
        consistent=found.inside >= shown.inside,
    )


class _Misfit(NamedTuple):
    """Of A x − y: the sum of the squares, the largest, how many are up to ½, and of how many."""

    squares: float
    largest: float
    inside: int
    total: int

    @property
    def residual(self) -> float:
        """The root mean square; 0 of nothing."""
        return math.sqrt(self.squares / max(self.total, 1))


def _together(parts: Iterable[_Misfit]) -> _Misfit:
    squares, largest, inside, total = zip(*parts, strict=True)
    return _Misfit(sum(squares), max(largest), sum(inside), sum(total))


def _misfit(problem: Problem, x: Tensor, measured: Tensor | None = None) -> _Misfit:
    difference = problem.operator(x) - problem.y
    if measured is not None and not bool(measured.all()):
        difference = difference[measured.expand_as(difference)]
    if difference.is_complex():
        difference = torch.view_as_real(difference)  # each component counts
    size = difference.abs_()
    total = size.numel()
    if total == 0:
        return _Misfit(0.0, 0.0, 0, 0)
    largest, inside = float(size.max()), int((size <= HALF_STEP).sum())
    return _Misfit(float(size.square_().mean()) * total, largest, inside, total)


def _probed(operator: LinearOperator) -> tuple[Tensor, float]:
    """Where A x of a random x is not 0, and the error of the adjoint.

    A masked value, or k-space that was not sampled, is 0 in any A x and would dilute the mean.
    """
    # Of one pair, since these arrays are as large as the picture.
    image, error = probe_adjoint(operator, batch=(1,))
    return image != 0, error
