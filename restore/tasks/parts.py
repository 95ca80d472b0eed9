"""A measurement solved as a whole, or window by window where it falls apart."""

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


def solve_measurement(
    measurement: Measurement,
    method: Callable[[Tensor], Method],
    prior: Callable[[Part | None], Denoiser],
    *,
    seed: int,
    samples: int,
    mean: bool = False,
    batch_size: int | None = None,
    on_step: StepCallback | None = None,
) -> tuple[Tensor, int]:
    """The samples of a measurement, and the evaluations of the denoiser for all of them.

    In windows a pixel gets the same noise whatever its window, and all windows once are one
    evaluation of the picture.

    Args:
        measurement: whose `start` stays outside the windows.
        method: one that begins at the start of the whole, or of a window.
        prior: of the whole (None), or of a window.
        seed: of the noise.
        samples: how many.
        mean: keep the mean alone of samples in windows, window by window, as one sample.
        batch_size: samples at a time.
        on_step: called after each evaluation, counted over all windows.

    Returns:
        [samples or 1, C, H, W], not yet finished, and the number.
    """
    parts = measurement.parts
    drawn = partial(solve, seed=seed, samples=samples, batch_size=batch_size)
    if not parts:
        counted = Counted(prior(None))
        x = drawn(measurement.problem, counted, method(measurement.start), on_step=on_step)
        return x[:, 0], counted.calls
    x = measurement.start.repeat(1 if mean else samples, 1, 1, 1)
    calls = 0
    for number, part in enumerate(parts):
        counted = Counted(prior(part))
        solved = drawn(
            part.problem,
            counted,
            method(part.start),
            on_step=on_step and part_of_steps(on_step, number, len(parts)),
            noise=partial(PlacedNoise, origin=part.window.origin),
        )[:, 0].clamp_(0, 1)
        x[(..., *part.window)] = solved.mean(dim=0, keepdim=True) if mean else solved
        calls += counted.calls
    return x, calls // len(parts)
