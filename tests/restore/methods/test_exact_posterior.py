"""Every method against the exact posterior: all operators, noises and priors, and planted errors.

The figures that a method must reproduce are stored with their spread (tests/reference), so a
method's known bias is held as tightly as another's exactness. See `exact_cases` for the numbers of
samples and the rate of false alarms.
"""

from __future__ import annotations

import json
from pathlib import Path

import exact_cases as cases
import pytest
from torch import Tensor

from restore.methods import methods
from restore.prior.denoiser import Wrapped
from restore.tasks.exact import ExactProblem

STORED = json.loads(Path(cases.__file__).with_name("exact_posterior.json").read_text())
# The problems here have Gaussian noise, and no intervals.
LINEAR = {name: method for name, method in methods().items() if "intervals" not in method.needs}
SAMPLERS = [name for name, method in LINEAR.items() if method.samples]


def _stored(key) -> dict[str, list[float]]:
    return STORED["/".join(map(str, key))]


@pytest.mark.parametrize("name", LINEAR)
def test_keeps_to_its_figures(name):
    keys = list(cases.keys(name))
    assert sum(key.startswith(f"{name}/") for key in STORED) == len(keys) > 0
    far = {
        key: deviation
        for key in keys
        if (deviation := cases.deviation(cases.figures(name, cases.run(key)), _stored(key)))
        > cases.LIMIT
    }
    assert not far


@pytest.mark.parametrize("prior", ["three", "far"])
@pytest.mark.parametrize("name", ["snips", "tds", "mcgdiff"])
def test_the_asymptotically_exact_reach_the_spread_of_mixtures(name, prior):
    """At their own steps and particles, to 10 %, seen and unseen.

    2 × 200 samples: the geometric mean over 32 directions of their standard deviations has an
    error of 0.9 %.
    """
    row = ExactProblem("mask", 0.05, prior, 2).run(methods()[name](), 200)
    assert row.std_ratio_observed == pytest.approx(1, abs=0.1)
    assert row.std_ratio_null == pytest.approx(1, abs=0.1)


class HalfScore(Wrapped):
    """D whose step x̂ - x is half of what it should be."""

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return (x + self._prior(x, sigma)) / 2


def _noisy(name: str) -> tuple[str, str, str, float]:
    return name, "gaussian", "downsample", 0.05


class TestOfTheTest:
    """A planted factor must be noticed."""

    @pytest.mark.parametrize("name", SAMPLERS)
    def test_root_two_on_the_noise(self, name):
        key = _noisy(name)
        found = cases.figures(name, cases.run(key, scale=2**0.5))
        assert cases.deviation(found, _stored(key)) > cases.LIMIT

    @pytest.mark.parametrize("name", LINEAR)
    def test_half_a_step(self, name):
        key = _noisy(name)
        prior = HalfScore(ExactProblem("downsample", 0.05, "gaussian", 1).prior)
        found = cases.figures(name, cases.run(key, prior=prior))
        assert cases.deviation(found, _stored(key)) > cases.LIMIT


@pytest.mark.parametrize("noise_std", [0.0, 0.2])
@pytest.mark.parametrize("prior", ["gaussian", "three", "far"])
def test_exact_samples_score_as_exact(prior, noise_std):
    """2 measurements, 2000 samples each: a std ratio within 5 standard errors, 5/√4000 = 0.08."""
    row = ExactProblem("downsample", noise_std, prior, 2).exact(2000)
    assert row.mean_error < 0.06
    assert abs(row.std_ratio_null - 1) < 0.08
    assert abs(row.weight - row.exact_weight) < 5 * (0.25 / 4000) ** 0.5
    assert (row.std_ratio_observed is None) == (noise_std == 0)
    if noise_std:
        assert abs(row.residual - 1) < 0.1
    else:
        assert row.residual < 2e-5


@pytest.mark.parametrize(("operator", "prior"), [("nothing", "far"), ("mask", "nobody")])
def test_refuses_unknown_names(operator, prior):
    with pytest.raises(ValueError, match="expected one of"):
        ExactProblem(operator, 0.0, prior)
