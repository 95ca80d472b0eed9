"""The figures of `compare --exact`, one measurement at a time."""

import numpy as np
import pytest
import torch

from restore.noise import seeded_generator
from restore.tasks.exact import ExactProblem


def test_errors_are_of_each_measurement_and_means_over_them() -> None:
    problem = ExactProblem("masked-blur", 0.05, "told", 4)
    drawn = [one.sample(5, seeded_generator(i)) for i, one in enumerate(problem.posteriors)]
    row = problem.score("drawn", torch.cat(drawn), 1)
    assert row.samples == 20
    level = float(problem.prior.std.square().mean().sqrt())
    errors, weights, exact = (
        np.array(values, float)
        for values in zip(
            *(
                (
                    (x.mean(0) - one.mean).square().mean().sqrt() / level,
                    one.responsibilities(x)[:, 0].mean(),
                    one.weights[0],
                )
                for x, one in zip(drawn, problem.posteriors, strict=True)
            ),
            strict=True,
        )
    )
    assert row.mean_error == pytest.approx(errors.mean())
    assert row.mean_error_se == pytest.approx(errors.std(ddof=1) / 2)
    assert row.weight_error == pytest.approx(np.abs(weights - exact).mean())
    assert row.weight_error > abs(row.weight - row.exact_weight) + 0.01
    # Of what is measured: half of the pixels are not, where A x and y are 0.
    rest = torch.cat([problem.operator(x) - y for x, y in zip(drawn, problem.y, strict=True)])
    assert row.residual == pytest.approx(
        float(rest[rest.abs() > 1e-6].square().mean().sqrt()) / 0.05
    )
