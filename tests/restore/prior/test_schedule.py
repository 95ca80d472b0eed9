from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from restore.prior.denoiser import Denoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.schedule import (
    GRIDS,
    geometric,
    karras,
    linear_beta_levels,
    native,
    quad,
    sigma_grid,
)


class Plain(Denoiser):
    sigma_min, sigma_max = 0.01, 40.0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x


class Network(Plain):
    def native_sigmas(self, steps: int) -> list[float]:
        return native(linear_beta_levels(), steps)


@pytest.mark.parametrize("spaced", [karras, geometric])
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_ends_are_exact_and_levels_fall(spaced, steps):
    levels = spaced(steps, 0.01, 40.0)
    assert len(levels) == steps + 1
    assert levels[0] == 40.0
    assert levels[-1] == 0.0
    assert steps == 1 or levels[-2] == 0.01
    assert all(upper > lower for upper, lower in pairwise(levels))


def test_a_state_cleaner_than_the_prior_knows_starts_where_it_is():
    assert sigma_grid(Plain(), 1, sigma_max=0.003) == [0.003, 0.0]
    assert sigma_grid(Plain(), 3, "geometric", sigma_max=0.003)[-2:] == [0.003, 0.0]


def test_spacing():
    powers = [level ** (1 / 7) for level in karras(6, 0.01, 40.0)[:-1]]
    logs = [math.log(level) for level in geometric(6, 0.01, 40.0)[:-1]]
    for values in (powers, logs):
        gaps = torch.tensor([upper - lower for upper, lower in pairwise(values)])
        torch.testing.assert_close(gaps, gaps.mean().expand_as(gaps), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("steps", "first"), [(20, 48.55), (100, 71.9), (1000, 78.7)])
def test_native_grid_of_ddpm(steps, first):
    levels = native(linear_beta_levels(), steps)
    assert len(levels) == steps + 1
    assert levels[0] == pytest.approx(first, rel=1e-3)
    assert levels[-2:] == pytest.approx([0.0050, 0.0], abs=1e-5)


def test_native_grid_starts_below_the_last_timestep():
    assert native(range(10), 5) == [8, 6, 4, 2, 0, 0]
    assert native(range(10), 4) == [9, 6, 3, 0, 0]
    assert all(len(native(range(39), steps)) <= steps + 1 for steps in range(1, 40))
    assert native(linear_beta_levels(), 20)[-4:] == pytest.approx(
        [0.171, 0.088, 0.005, 0], abs=6e-4
    )


def test_grid_of_a_prior():
    assert sigma_grid(Network(), 20) == native(linear_beta_levels(), 20)
    assert sigma_grid(Plain(), 20) == karras(20, 0.01, 40.0)
    assert sigma_grid(Network(), 20, sigma_max=0.5) == karras(20, 0.01, 0.5)
    assert sigma_grid(Network(), 20, "karras") == karras(20, 0.01, 40.0)
    assert sigma_grid(Network(), 20, "geometric", 2.0) == geometric(20, 0.01, 2.0)
    assert set(GRIDS) == {"native", "karras", "geometric", "quad"}


def test_quad_grid():
    """Timesteps 1000 - 1000 √(i/4), but for the ends."""
    levels = linear_beta_levels()
    assert quad(range(1000), 5) == [999, 499, 292, 133, 0, 0]
    assert quad(range(10), 10)[-3:] == [1, 0, 0]
    assert quad(range(10), 1) == [9, 0]
    inside = [level for level in levels if 0.01 <= level <= 40.0]
    assert sigma_grid(Plain(), 20, "quad") == quad(inside, 20)
    assert max(sigma_grid(Network(), 20, "quad", 0.5)) == pytest.approx(0.5, rel=0.02)
    assert all(upper > lower for upper, lower in pairwise(quad(levels, 1000)))
    assert sigma_grid(Plain(), 1000, "quad") == quad(inside, len(inside))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: karras(0, 0.01, 1.0),
        lambda: geometric(3, 2.0, 1.0),
        lambda: karras(3, 0.0, 1.0),
        lambda: native(range(10), 11),
        lambda: quad(range(10), 11),
        lambda: sigma_grid(Plain(), 0),
        lambda: sigma_grid(Plain(), 5, "linear"),
        lambda: sigma_grid(Plain(), 5, sigma_max=41.0),
        lambda: sigma_grid(Plain(), 5, sigma_max=0.0),
    ],
)
def test_refuses(wrong):
    with pytest.raises(ValueError, match=r"steps|sigma_m|grid"):
        wrong()


@pytest.mark.parametrize("grid", ["karras", "geometric", "quad", "native"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_first_level_that_is_not_above_the_last_is_the_only_one(grid, share):
    prior = GaussianMixture([1.0], torch.zeros(1, 1, 2, 2), 0.2, sigma_min=0.002)
    assert sigma_grid(prior, 4, grid, share * 0.002) == [share * 0.002, 0.0]


def test_no_level_is_above_the_one_before_by_rounding():
    for spaced in (karras, geometric):
        levels = spaced(50, 0.1234567, 0.1234567)
        assert max(levels) == levels[0] == min(levels[:-1])
