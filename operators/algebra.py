"""Adjoint, composition, sum and multiples of operators, and the SVD that they inherit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.colorize import Colorize
from operators.diagonal import Diagonal
from operators.identity import Identity
from operators.space import ShapeError, shape_text
from operators.svd import INSTEAD, NoFastSVD, ThinSVD

if TYPE_CHECKING:
    from operators.separable import Separable


def _joint_batch(one: LinearOperator, other: LinearOperator) -> tuple[int, ...]:
    try:
        return tuple(torch.broadcast_shapes(one.batch_shape, other.batch_shape))  # type: ignore[no-untyped-call]
    except RuntimeError:
        raise ShapeError(
            f"{one.name} is one of a batch of {shape_text(one.batch_shape)}, {other.name} of "
            f"{shape_text(other.batch_shape)}; expected the same"
        ) from None


def _bracketed(operator: LinearOperator) -> str:
    several = isinstance(operator, (Composition, Scaled))
    return f"({operator.name})" if several else operator.name


class Adjoint(LinearOperator):
    """Aᴴ as an operator; its SVD is that of A with U and V exchanged.

    There is none where A's leaves columns of U with s = 0 out (`ThinSVD`): V is to have them all.
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.codomain, operator.domain)
        self.operator = operator

    @property
    def name(self) -> str:
        """Name of A with `.H`."""
        return f"{_bracketed(self.operator)}.H"

    @property
    def H(self) -> LinearOperator:
        """A itself."""
        return self.operator

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of A."""
        return self.operator.batch_shape

    def _take(self, index: Tensor) -> LinearOperator:
        return Adjoint(self.operator.take(index))

    def _domain_text(self) -> str:
        return self.operator._codomain_text()

    def _codomain_text(self) -> str:
        return self.operator._domain_text()

    def _as_separable(self) -> Separable | None:
        separable = self.operator._as_separable()
        return None if separable is None else separable.transposed()

    @property
    def _isometry(self) -> float | None:
        return self.operator._coisometry

    @property
    def _coisometry(self) -> float | None:
        return self.operator._isometry

    def _apply(self, x: Tensor) -> Tensor:
        return self.operator.adjoint(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.operator(y)

    def _factorise(self) -> ThinSVD:
        svd = self.operator.svd()
        unseen = (svd.singular_values == 0).to(self.domain.dtype)
        length, kept = (torch.linalg.vector_norm(c) for c in (unseen, svd.u(unseen)))
        if bool(kept < 0.99 * length):
            raise NoFastSVD(
                f"{self.name}: no SVD, since that of {self.operator.name} has no directions of y "
                f"where s = 0. {INSTEAD}"
            )
        return ThinSVD(svd.right, svd.singular_values, svd.left)


class Gram(LinearOperator):
    """AᴴA as an operator; its SVD is V, s², V."""

    _real_matrix: ClassVar[bool] = False

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.domain, operator.domain)
        self.operator = operator

    @property
    def name(self) -> str:
        """Name of A with `.N`."""
        return f"{_bracketed(self.operator)}.N"

    @property
    def H(self) -> LinearOperator:
        """Itself."""
        return self

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of A."""
        return self.operator.batch_shape

    def _take(self, index: Tensor) -> LinearOperator:
        return Gram(self.operator.take(index))

    def _apply(self, x: Tensor) -> Tensor:
        return self.operator.normal(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.operator.normal(y)

    def _factorise(self) -> ThinSVD:
        svd = self.operator.svd()
        return ThinSVD(svd.right, svd.singular_values.square(), svd.right)


class Scaled(LinearOperator):
    """A number times A; its SVD has |number|·s, and the sign or phase goes to U."""

    _real_matrix: ClassVar[bool] = False

    def __init__(self, operator: LinearOperator, scalar: complex) -> None:
        if isinstance(scalar, complex) and not operator.domain.dtype.is_complex:
            raise TypeError(f"{operator.name}: a real operator cannot be multiplied by {scalar}")
        super().__init__(operator.domain, operator.codomain)
        self.operator = operator
        self.scalar = scalar

    @property
    def name(self) -> str:
        """The number and the name of A."""
        return f"{self.scalar:g} * {self.operator.name}"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of A."""
        return self.operator.batch_shape

    def _take(self, index: Tensor) -> LinearOperator:
        return Scaled(self.operator.take(index), self.scalar)

    @property
    def _isometry(self) -> float | None:
        scale = self.operator._isometry
        return None if scale is None else abs(self.scalar) * scale

    @property
    def _coisometry(self) -> float | None:
        scale = self.operator._coisometry
        return None if scale is None else abs(self.scalar) * scale

    def _as_separable(self) -> Separable | None:
        separable = self.operator._as_separable()
        if separable is None or isinstance(self.scalar, complex):
            return None
        return separable.scaled(self.scalar)

    def _with_channels(self, channels: int) -> LinearOperator | None:
        operator = self.operator._with_channels(channels)
        return None if operator is None else Scaled(operator, self.scalar)

    def _apply(self, x: Tensor) -> Tensor:
        return self.scalar * self.operator(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.scalar.conjugate() * self.operator.adjoint(y)

    def _factorise(self) -> ThinSVD:
        svd = self.operator.svd()
        size = abs(self.scalar)
        left = svd.left if size in (0, self.scalar) else Scaled(svd.left, self.scalar / size)
        return ThinSVD(left, size * svd.singular_values, svd.right)


class Sum(LinearOperator):
    """A + B; it has no fast SVD."""

    _real_matrix: ClassVar[bool] = False

    def __init__(self, first: LinearOperator, second: LinearOperator) -> None:
        for side, one, other in (
            ("domain", first.domain, second.domain),
            ("codomain", first.codomain, second.codomain),
        ):
            if one.shape != other.shape:
                raise ShapeError(
                    f"{first.name} + {second.name}: the {side} of {first.name} is {one}; "
                    f"that of {second.name} is {other}"
                )
        _same_type(first, second, "+")
        _joint_batch(first, second)
        super().__init__(first.domain, first.codomain)
        self.first = first
        self.second = second

    @property
    def name(self) -> str:
        """Both names."""
        return f"({self.first.name} + {self.second.name})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of the term that differs from image to image."""
        return _joint_batch(self.first, self.second)

    def _take(self, index: Tensor) -> LinearOperator:
        return Sum(self.first.take(index), self.second.take(index))

    def _apply(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.first.adjoint(y) + self.second.adjoint(y)


class Composition(LinearOperator):
    """A∘B: x ↦ A(B x).

    The SVD is inherited where, after operators that are a matrix per axis have been multiplied
    together and `Colorize` has been moved past operators that treat every channel alike, one
    factor has an SVD, those after it are multiples of isometries (QᴴQ = c²I: U' = QU/c) and those
    before it multiples of co-isometries (QQᴴ = c²I: V' = QᴴV/c).
    """

    _real_matrix: ClassVar[bool] = False

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        if outer.domain.shape != inner.codomain.shape:
            raise ShapeError(
                f"{outer.name} @ {inner.name}: {outer.name} takes {outer.domain}; "
                f"{inner.name} gives {inner.codomain}"
            )
        _same_type(outer, inner, "@")
        _joint_batch(outer, inner)
        super().__init__(inner.domain, outer.codomain)
        self.outer = outer
        self.inner = inner

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.outer.name} @ {self.inner.name}"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """That of the factor that differs from image to image."""
        return _joint_batch(self.outer, self.inner)

    def _take(self, index: Tensor) -> LinearOperator:
        return Composition(self.outer.take(index), self.inner.take(index))

    @property
    def _isometry(self) -> float | None:
        outer, inner = self.outer._isometry, self.inner._isometry
        return None if outer is None or inner is None else outer * inner

    @property
    def _coisometry(self) -> float | None:
        outer, inner = self.outer._coisometry, self.inner._coisometry
        return None if outer is None or inner is None else outer * inner

    @property
    def _nearly_a_blur(self) -> bool:
        # What weights rays leaves the kernel of AᴴA about what it was.
        return isinstance(self.outer, Diagonal) and self.inner._nearly_a_blur

    def _with_channels(self, channels: int) -> LinearOperator | None:
        outer, inner = self.outer._with_channels(channels), self.inner._with_channels(channels)
        return None if outer is None or inner is None else Composition(outer, inner)

    def _apply(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def _factorise(self) -> ThinSVD:
        factors = _simplified(_flat(self))
        for position, factor in enumerate(factors):
            after = [operator._isometry for operator in factors[:position]]
            before = [operator._coisometry for operator in factors[position + 1 :]]
            svd = factor.svd_or_none()
            if svd is not None and all(after) and all(before):
                return _inherited(svd, factors[:position], factors[position + 1 :])
        raise NoFastSVD(
            f"{self.name}: the composition has no fast SVD, since neither factor is orthogonal "
            f"(up to a scale) on the side of the other. {INSTEAD}"
        )


def _same_type(first: LinearOperator, second: LinearOperator, sign: str) -> None:
    if first.domain.dtype != second.codomain.dtype:
        raise TypeError(
            f"{first.name} {sign} {second.name}: {first.name} is {first.domain.dtype}; "
            f"{second.name} is {second.codomain.dtype}"
        )


def _flat(operator: LinearOperator) -> list[LinearOperator]:
    if isinstance(operator, Composition):
        return _flat(operator.outer) + _flat(operator.inner)
    return [operator]


def _simplified(factors: list[LinearOperator]) -> list[LinearOperator]:
    """Merge neighbours until nothing changes; the product stays the same."""
    factors = [factor for factor in factors if not isinstance(factor, Identity)] or factors[:1]
    for position in range(len(factors) - 1):
        outer, inner = factors[position : position + 2]
        merged: list[LinearOperator] = []
        rows, columns = outer._as_separable(), inner._as_separable()
        if rows is not None and columns is not None:
            merged = [rows.times(columns)]
        elif isinstance(outer, Colorize):
            single = inner._with_channels(1)
            if single is not None:
                merged = [single, outer.resized(inner.domain.shape)]
        if merged:
            return _simplified(factors[:position] + merged + factors[position + 2 :])
    return factors


def _inherited(svd: ThinSVD, after: list[LinearOperator], before: list[LinearOperator]) -> ThinSVD:
    left, right, scale = svd.left, svd.right, 1.0
    for operator in reversed(after):
        left = operator @ left
        scale *= operator._isometry or 0.0
    left = left * (1 / scale) if after else left
    co_scale = 1.0
    for operator in before:
        right = operator.H @ right
        co_scale *= operator._coisometry or 0.0
    right = right * (1 / co_scale) if before else right
    return ThinSVD(left, math.fabs(scale * co_scale) * svd.singular_values, right)
