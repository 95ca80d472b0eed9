"""A measurement that was rounded: every component is known to lie in an interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from operators import Jpeg, LinearOperator, ShapeError
from restore.problem import Problem

ROUNDING_STD = 12**-0.5
"""Standard deviation of the rounding to whole numbers."""

# A projection leaves a hundredth of a step to the rounding of floating-point numbers.
HALF = 0.49
_MOST = 100
_RELAXATION = 1.7
# Standard deviations up to which float32 has the tails of a normal variable.
_FARTHEST = 12.0
# And a standard deviation beyond which what lies within a step is even.
_WIDEST = 100.0
# A projection helps if it takes 2 % off the largest excess.
_HELPS, _PATIENCE = 0.98, 10


@dataclass(frozen=True, eq=False)
class QuantisedProblem(Problem):
    """y is A x, rounded to steps of 1 (a shift of the steps is in y): |A x − y| ≤ ½ everywhere.

    A method that knows nothing of intervals sees noise of the rounding's standard deviation.

    Attributes:
        noise_std: 1/√12, that of the rounding.
        decoder: H†, a linear map from y to a picture: what reads such measurements otherwise.
            None is A†.
        independent: whether A A† = I, so that every component of A x can be set by itself.

    Raises:
        ShapeError: as `Problem`, and if the decoder does not go from y to x.
    """

    noise_std: float = ROUNDING_STD
    decoder: LinearOperator | None = None
    independent: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        decoder, operator = self.decoder, self.operator
        if decoder is not None and (decoder.domain, decoder.codomain) != (
            operator.codomain,
            operator.domain,
        ):
            raise ShapeError(
                f"QuantisedProblem: the decoder goes from {decoder.domain} to {decoder.codomain}; "
                f"the operator {operator.name} from {operator.domain} to {operator.codomain}"
            )

    @property
    def sampled(self) -> LinearOperator:
        """A, or so much of it as stands for all: what a check with random arrays needs."""
        return self.operator

    def bands(self, x: Tensor) -> Iterator[tuple[QuantisedProblem, Tensor, Tensor]]:
        """The problem of each of the parts it falls into, its H† y and its part of x.

        Here there is one, the whole.
        """
        yield self, self.decode(self.y), x

    def take(self, index: Tensor) -> QuantisedProblem:
        """Return the problem of the pictures `index`, which may repeat."""
        if self.y.shape[0] == index.shape[0] == 1:
            return self
        return replace(
            self,
            operator=self.operator.take(index),
            y=self.y.index_select(0, index),
            decoder=self.decoder and self.decoder.take(index),
        )

    def decode(self, y: Tensor) -> Tensor:
        """H† y."""
        return self.operator.pinv(y) if self.decoder is None else self.decoder(y)

    def inside(self, x: Tensor) -> Tensor:
        """Which components of A x lie in their intervals."""
        return (self.operator(x) - self.y).abs() <= 0.5

    def excess(self, x: Tensor, half: float | Tensor = 0.5) -> Tensor:
        """How far each component of A x is beyond y ± half; 0 inside."""
        return _beyond(self.operator(x) - self.y, half)

    def projected(self, x: Tensor, half: float | Tensor = HALF) -> Tensor:
        """x with the components of A x that are outside of y ± half put to the nearer end.

        x - A† excess, which is all where A has full row rank. Where it has not (the blocks of a
        JPEG that reach over the border), the ends may not fit together, and A†A takes the nearest
        that do: see `settled`.
        """
        # x - A† excess in one pass over it.
        return self.operator.pinv(self.excess(x, half)).neg_().add_(x)

    def expected(self, x: Tensor, spread: float) -> Tensor:
        """x with each component of A x at its mean, given that it lies in its interval.

        Before that it is normal around A x, of independent errors of the pixels of x; without any
        it is `projected`.

        Args:
            x: [B, *domain.shape].
            spread: standard deviation of the errors.

        Raises:
            TypeError: if there are errors, and the operator does not know the norms of its rows.
        """
        if spread == 0:
            return self.projected(x)
        operator = self.operator
        if not isinstance(operator, Jpeg):
            raise TypeError(f"{operator.name} does not tell the norms of its rows; expected a Jpeg")
        difference = operator(x) - self.y
        means = interval_mean(difference, spread * operator.row_norms(), HALF)
        return operator.pinv(difference - means).neg_().add_(x)

    def settled(self, x: Tensor, half: float | Tensor = HALF) -> Tensor:
        """x projected again and again until every component of A x lies inside.

        Each picture as often as it takes, at most 100 times, and until that has not helped for 10
        times. The steps after the first are 1.7 times as long: alternating projections with
        over-relaxation (Gubin, Polyak, Raik, 1967). One projection does where the components are
        independent.
        """
        x = self.projected(x, half)
        if self.independent:
            return x
        least = x.new_full((x.shape[0],), torch.inf)
        stalled = torch.zeros_like(least)
        for _ in range(_MOST):
            difference = self.operator(x) - self.y
            beyond = _beyond(difference, half)
            worst = beyond.abs().flatten(1).amax(1)
            stalled = torch.where(worst < _HELPS * least, 0, stalled + 1)
            least = torch.minimum(least, worst)
            inside = difference.abs().flatten(1).amax(1) <= 0.5
            done = inside | (stalled > _PATIENCE)
            # An accelerator is not waited for.
            if x.device.type == "cpu" and bool(done.all()):
                break
            step = _RELAXATION * self.operator.pinv(beyond)
            x = torch.where(done.reshape(-1, *(1,) * (x.ndim - 1)), x, x - step)
        return x

    def settled_within(
        self, x: Tensor, half: float | Tensor = HALF, *, clippings: int = 0
    ) -> Tensor:
        """x settled and clipped to [0, 1], then so many times projected and clipped again.

        A picture that was not changed by clipping is not projected again. Which those are is read
        back from the device.
        """
        whole = self.settled(x, half)
        out = whole.clamp(0, 1)
        clipped = _differ(whole, out).nonzero().flatten()
        for _ in range(clippings):
            if not clipped.numel():
                break
            again = self.take(clipped).projected(out.index_select(0, clipped), half)
            within = again.clamp(0, 1)
            out.index_copy_(0, clipped, within)
            clipped = clipped[_differ(again, within)]
        return out


def interval_mean(mean: Tensor, std: Tensor, half: float) -> Tensor:
    """Mean of normal variables, given that they lie within ± half.

    Source: Johnson, Kotz, Balakrishnan, "Continuous univariate distributions" 1, 1994, 13.10.1.
    """
    # On one side of the middle: what is left in float32 of a tail is exact to its own last digit.
    away, std = mean.abs(), std.clamp_max(_WIDEST)
    low, high = (-half - away) / std, (half - away) / std
    share = (torch.erfc(-high * 0.5**0.5) - torch.erfc(-low * 0.5**0.5)) / 2
    density = (torch.exp(-low.square() / 2) - torch.exp(-high.square() / 2)) / math.tau**0.5
    # Farther than that from its mean a normal density falls exponentially.
    rate = (away - half).clamp_min(_FARTHEST * std) / std.square()
    end = half - 1 / rate + 2 * half / torch.expm1(2 * half * rate)
    inner = torch.where(high > -_FARTHEST, away + std * density / share, end)
    return mean.sign() * inner.clamp(-half, half)


def _differ(a: Tensor, b: Tensor) -> Tensor:
    """Which pictures of two batches differ, [B]."""
    return (a != b).flatten(1).any(1)


def _beyond(difference: Tensor, half: float | Tensor) -> Tensor:
    if not isinstance(half, Tensor):
        return torch.nn.functional.softshrink(difference, half)
    return difference - difference.clamp(-half, half)


def as_quantised(problem: Problem) -> QuantisedProblem:
    """Return the problem itself, for methods that need intervals.

    Raises:
        TypeError: if it has none.
    """
    if not isinstance(problem, QuantisedProblem):
        raise TypeError("the problem is not quantised: a QuantisedProblem has the intervals")
    return problem
