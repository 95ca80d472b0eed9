"""A linear inverse problem y = A x + noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from operators import LinearOperator, ShapeError


@dataclass(frozen=True, eq=False)
class Problem:
    """The measurement y = A x + σ_y n of a batch of pictures in [0, 1].

    Attributes:
        operator: A.
        y: measurements [B, *A.codomain.shape], of the operator's number type.
        noise_std: σ_y ≥ 0 in the units of y, per component where y is complex. It is taken as
            given: a measurement from an 8-bit file has at least the rounding, 1/(255·√12).

    Raises:
        ShapeError: if y does not fit the operator's codomain, or its batch the operator's.
        TypeError: if y is no tensor, or has another number type than the operator.
        ValueError: if noise_std is negative or not finite.
    """

    operator: LinearOperator
    y: Tensor
    noise_std: float = 0.0

    def __post_init__(self) -> None:
        space, batch = self.operator.codomain, self.operator.batch_shape
        if not isinstance(self.y, Tensor):
            raise TypeError(f"Problem: y is of type {type(self.y).__name__}; expected a tensor")
        if self.y.ndim != space.ndim + 1 or self.y.shape[1:] != space.shape:
            raise ShapeError(
                f"Problem: y is {list(self.y.shape)}; the operator {self.operator.name} gives "
                f"[B, {', '.join(map(str, space.shape))}]"
            )
        if batch not in ((), (1,), (self.batch,)):
            raise ShapeError(
                f"Problem: y is a batch of {self.batch}; the operator {self.operator.name} is one "
                f"of {list(batch)}"
            )
        if self.y.dtype != space.dtype:
            raise TypeError(
                f"Problem: y is {self.y.dtype}; the operator {self.operator.name} is {space.dtype}"
            )
        # What torch or NumPy has estimated: methods take a tensor for one value per image.
        object.__setattr__(self, "noise_std", float(self.noise_std))
        if not 0 <= self.noise_std < math.inf:
            raise ValueError(f"Problem: noise_std is {self.noise_std}; it must be at least 0")

    @property
    def batch(self) -> int:
        """Number of measured pictures."""
        return self.y.shape[0]

    @cached_property
    def coefficients(self) -> Tensor:
        """Uᴴy, [B, *spectral_shape].

        Raises:
            NoFastSVD: if the operator has no SVD.
        """
        return self.operator.svd().ut(self.y)

    def take(self, index: Tensor) -> Problem:
        """Return the problem of the pictures `index`, which may repeat."""
        return Problem(self.operator.take(index), self.y.index_select(0, index), self.noise_std)
