"""The probability-flow ODE in VE coordinates, solved with a step that adapts to a tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from operators.space import widest
from restore.methods.base import StepCallback
from restore.prior.denoiser import Denoiser

Solver = Literal["dopri5", "dopri8", "bosh3", "adaptive_heun"]

State = tuple[Tensor, ...]


class Transported(NamedTuple):
    """Where the flow took x.

    Attributes:
        x: [B, *shape].
        evaluations: of the denoiser, each of the whole batch.
    """

    x: Tensor
    evaluations: int


@torch.no_grad()
def transport(
    prior: Denoiser,
    x: Tensor,
    start: float,
    end: float,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    solver: Solver = "dopri5",
    on_step: StepCallback | None = None,
) -> Transported:
    """Take x along dx/d ln σ = x − D(x, σ) from the level `start` to the level `end`.

    The pictures of a batch share their steps; the tolerance holds for each of them.

    Args:
        prior: the denoiser D.
        x: real, [B, *shape].
        start: σ > 0 of x.
        end: σ > 0 of the result, below or above `start`.
        rtol: error of a step, relative to the values.
        atol: error of a step, in the units of x.
        solver: a method of torchdiffeq with adaptive steps.
        on_step: called with (n, n, x̂) after evaluation n; how many there will be is not known.

    Raises:
        ValueError: if a level or a tolerance is not above 0, the solver is unknown, or no step of
            it is short enough.

    Source: Song et al., ICLR 2021, section 4.3, for σ as the time; torchdiffeq of Chen et al.,
    NeurIPS 2018; dopri5: Dormand and Prince, 1980.
    """
    count = 0

    def slope(sigma: Tensor, state: State) -> State:
        nonlocal count
        count += 1
        (now,) = state
        x_hat = prior(now, sigma)
        if on_step is not None:
            on_step(count, count, x_hat)
        return (now - x_hat,)

    (moved,) = solve(slope, (x,), start, end, rtol=rtol, atol=atol, solver=solver)
    return Transported(moved, count)


def solve(
    slope: Callable[[Tensor, State], State],
    state: State,
    start: float,
    end: float,
    *,
    rtol: float,
    atol: float,
    solver: Solver,
) -> State:
    """Solve d state/d ln σ = slope(σ, state); every tensor of the state is [B, …].

    Raises:
        ValueError: as `transport`.
    """
    from torchdiffeq import odeint

    if not (start > 0 and end > 0):
        raise ValueError(f"the flow runs between levels above 0, not from {start:g} to {end:g}")
    if not (rtol > 0 and atol > 0):
        raise ValueError(f"rtol is {rtol:g} and atol is {atol:g}; both must be above 0")
    if solver not in get_args(Solver):
        raise ValueError(f"solver is {solver!r}; it is one of {', '.join(get_args(Solver))}")
    first = state[0]
    if start == end:
        return state
    exact = widest(first.device)
    span = torch.tensor([math.log(start), math.log(end)], dtype=exact, device=first.device)
    lowest, highest = sorted((start, end))

    def by_log(log_sigma: Tensor, now: State) -> State:
        # exp(ln σ) rounds; a prior's range is closed.
        return slope(log_sigma.exp().clamp(lowest, highest), now)

    options: dict[str, Any] = {"norm": _worst, "dtype": exact}
    try:
        with torch.no_grad():
            path = odeint(by_log, state, span, rtol=rtol, atol=atol, method=solver, options=options)
    except AssertionError as error:  # of torchdiffeq, where a step comes to nothing
        raise ValueError(
            f"no step is short enough ({error}); expected a prior without NaN or infinity, or a "
            "larger tolerance"
        ) from error
    return tuple(part[-1] for part in path)


def _worst(errors: Any) -> Tensor:
    """The largest root mean square over the pictures of a batch and the parts of a state."""
    parts = [errors] if isinstance(errors, Tensor) else errors
    return torch.stack([e.flatten(1).square().mean(1).amax() for e in parts]).amax().sqrt()
