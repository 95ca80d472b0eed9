"""A measurement that falls apart into windows, solved window by window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from restore.methods.base import Method, StepCallback, part_of_steps
from restore.noise import PlacedNoise
from restore.prior.counted import Counted
from restore.prior.denoiser import Denoiser
from restore.solve import solve
from restore.tasks.task import Measurement, Part


def solve_parts(
    measurement: Measurement,
    method: Callable[[Part], Method],
    prior: Callable[[Part], Denoiser],
    *,
    seed: int,
    samples: int,
    mean: bool = False,
    batch_size: int | None = None,
    on_step: StepCallback | None = None,
) -> tuple[Tensor, int]:
    """The samples of a measurement that has parts, and the evaluations of the denoiser for all.

    A pixel gets the same noise whatever its window. All windows once are one evaluation of the
    picture.

    Args:
        measurement: whose `start` stays outside the windows.
        method: of a window, which begins at the start of that.
        prior: of a window.
        seed: of the noise.
        samples: how many.
        mean: keep their mean alone, window by window, as one sample.
        batch_size: samples at a time.
        on_step: called after each evaluation, counted over all windows.

    Returns:
        [samples or 1, C, H, W], not yet finished, and the number.
    """
    x = measurement.start.repeat(1 if mean else samples, 1, 1, 1)
    calls, parts = 0, measurement.parts
    for number, part in enumerate(parts):
        counted = Counted(prior(part))
        solved = solve(
            part.problem,
            counted,
            method(part),
            seed=seed,
            samples=samples,
            batch_size=batch_size,
            on_step=on_step and part_of_steps(on_step, number, len(parts)),
            noise=partial(PlacedNoise, origin=part.window.origin),
        )[:, 0].clamp_(0, 1)
        x[(..., *part.window)] = solved.mean(dim=0, keepdim=True) if mean else solved
        calls += counted.calls
    return x, calls // len(parts)
