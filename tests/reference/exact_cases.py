"""The runs of the exact-posterior suite: shared by the test and by the script of its figures.

Small on purpose: 2 measurements and 60 samples of each, so that all methods, operators, noises and
priors fit a test run. The figures of a method are its mean and standard deviation over REPLICATES
independent runs; a run agrees where each of its figures is within LIMIT standard deviations.

False alarms: with 8 replicates and LIMIT 8 a figure of a correct method with other random numbers
is out with probability 2e-4 (Student's t, 7 degrees of freedom, 8/√(9/8)), less where the floor of
the spread is larger than the measured one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from restore.methods import Method, methods
from restore.prior.denoiser import Denoiser
from restore.solve import misfit
from restore.tasks.exact import NOISES, OPERATORS, PRIORS, ExactProblem, ExactRow, normal_noise

MEASUREMENTS, SAMPLES = 2, 60
REPLICATES = 8
LIMIT = 8.0
BUDGET = 40
# The 16 particles of a chain share its evaluations: five steps.
BUDGETS = {"tds": 80, "mcgdiff": 80}
# Floors of the spread over the replicates: what these numbers of samples can tell at best.
FLOORS = {
    "mean_error": 0.01,
    "std_ratio_observed": 0.01,
    "std_ratio_null": 0.01,
    "sliced_w2": 0.01,
    "weight": 0.03,
    "weight_error": 0.03,
    "residual": 0.01,
}
SPREADS = ("std_ratio_observed", "std_ratio_null", "sliced_w2", "weight", "weight_error")

Key = tuple[str, str, str, float]


@functools.cache
def _problem(operator: str, noise_std: float, mixture: str) -> ExactProblem:
    return ExactProblem(operator, noise_std, mixture, MEASUREMENTS)


def method(name: str) -> Method:
    """The method of the suite: its defaults with 40 evaluations (or its own budget)."""
    return methods()[name]().within(BUDGETS.get(name, BUDGET))


def keys(name: str) -> Iterator[Key]:
    """(method, prior, operator, noise) of every run of a method."""
    for prior in PRIORS:
        for operator in OPERATORS:
            for noise_std in NOISES:
                problem = _problem(operator, noise_std, prior)
                if misfit(method(name), problem.repeated(1)) is None:
                    yield name, prior, operator, noise_std


def run(
    key: Key, replicate: int = 0, *, scale: float = 1.0, prior: Denoiser | None = None
) -> ExactRow:
    """One run; `scale` multiplies its noise and `prior` takes the place of the right one."""
    name, mixture, operator, noise_std = key
    return _problem(operator, noise_std, mixture).run(
        method(name), SAMPLES, prior=prior, noise=normal_noise(1 + replicate, scale)
    )


def figures(name: str, row: ExactRow) -> dict[str, float]:
    """What is compared of a row: an estimate has no spread."""
    left_out = () if methods()[name].samples else SPREADS
    values = {figure: getattr(row, figure) for figure in FLOORS if figure not in left_out}
    return {figure: value for figure, value in values.items() if value is not None}


def deviation(found: dict[str, float], stored: dict[str, list[float]]) -> float:
    """Largest deviation of a run's figures from the stored (mean, std), in standard deviations."""
    if found.keys() != stored.keys() or not all(map(math.isfinite, found.values())):
        return math.inf
    return max(
        abs(value - stored[figure][0]) / max(stored[figure][1], FLOORS[figure])
        for figure, value in found.items()
    )
