"""Weighted particles, K for each chain, without a look at the weights by the host."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import LinearOperator
from restore.methods.base import StepCallback, start_from
from restore.noise import Noise
from restore.problem import Problem

LEAST_STEPS = 5


class Particles:
    """The particles of a batch of chains: rows [B · K, *shape], those of a chain together.

    Attributes:
        problem: with every row repeated K times.
        log_weights: [B, K], up to a constant of the chain.

    Args:
        problem: a row for each chain.
        count: K.
        noise: a row for each chain: the noise of a chain's particles is one draw of K pictures.
    """

    def __init__(self, problem: Problem, count: int, noise: Noise) -> None:
        y = problem.y
        self._shape = (problem.batch, count)
        self._noise = noise
        self._first = count * torch.arange(problem.batch, device=y.device).unsqueeze(1)
        self._each = torch.arange(count, device=y.device)
        chains = torch.arange(problem.batch, device=y.device).repeat_interleave(count)
        self.problem = problem.take(chains)
        self.log_weights = y.new_zeros(self._shape, dtype=y.real.dtype)

    @property
    def operator(self) -> LinearOperator:
        """A of the rows."""
        return self.problem.operator

    def started(self, start: Tensor | float, sigma: float) -> Tensor:
        """Return start + σ z, one a row.

        Args:
            start: an estimate [B or 1, *domain.shape], or one value for all pixels.
            sigma: level of the noise.

        Raises:
            ShapeError: if start has another shape.
        """
        if isinstance(start, Tensor) and start.shape[0] > 1:
            start = start.repeat_interleave(self._shape[1], 0)
        return start_from(self.problem, start, sigma, self.normal)[0]

    def normal(self, like: Tensor, /) -> Tensor:
        """Standard normal noise of the shape of `like`, one row for each particle."""
        return self._noise(like.reshape(*self._shape, *like.shape[1:])).flatten(0, 1)

    def weigh(self, log_factors: Tensor) -> None:
        """Multiply the weights by factors, given by their logarithms [B · K]."""
        self.log_weights = self.log_weights + log_factors.reshape(self._shape)

    def resampled(self, *states: Tensor) -> tuple[Tensor, ...]:
        """Return the states [B · K, …] after resampling the chains that need it.

        A chain is resampled where its effective number of particles 1/Σw² is below K/2, and its
        weights are equal then; the others stay. (Systematic resampling.)
        """
        weights = self.log_weights.softmax(1)
        count = weights.shape[1]
        uneven = weights.square().sum(1, keepdim=True) * count > 2
        points = (self._uniform() + self._each) / count
        ancestors = torch.where(uneven, self._at(weights, points), self._each)
        self.log_weights = self.log_weights.masked_fill(uneven, 0)
        rows = (self._first + ancestors).flatten()
        return tuple(state.index_select(0, rows) for state in states)

    def drawn(self, x: Tensor) -> Tensor:
        """Return one particle of each chain, drawn by the weights: [B, *shape].

        The draw is fresh, so the order that resampling gives the particles does not matter.
        """
        index = self._at(self.log_weights.softmax(1), self._uniform())
        return x.index_select(0, (self._first + index).flatten())

    def reporting(self, on_step: StepCallback | None) -> StepCallback | None:
        """`on_step` for one picture a chain: the mean of x̂ over its particles."""
        if on_step is None:
            return None
        return lambda step, total, x_hat: on_step(
            step, total, x_hat.reshape(*self._shape, *x_hat.shape[1:]).mean(1)
        )

    def _uniform(self) -> Tensor:
        """One uniform number a chain, [B, 1]."""
        like = self.log_weights.new_empty(self._shape[0], 1)
        uniform: Tensor = torch.special.ndtr(self._noise(like))
        return uniform

    def _at(self, weights: Tensor, points: Tensor) -> Tensor:
        """The particles in whose share of [0, 1] the points lie."""
        index = torch.searchsorted(weights.cumsum(1), points)
        return index.clamp_max(weights.shape[1] - 1)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Re Σ āb of each row, [rows]."""
    return (a.conj() * b).real.flatten(1).sum(1)


def steps_within(name: str, evaluations: int, particles: int) -> int:
    """Steps for which `evaluations` suffice, one of K particles being K.

    Raises:
        ValueError: if that is less than 5.
    """
    if evaluations < LEAST_STEPS * particles:
        raise ValueError(
            f"{name} with {particles} particles needs at least {LEAST_STEPS * particles} "
            f"evaluations a picture, not {evaluations}"
        )
    return evaluations // particles
