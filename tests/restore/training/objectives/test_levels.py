import math

import pytest
import torch

from restore.prior.schedule import linear_betas, vp_levels
from restore.training.objectives.levels import LogNormal, LogUniform, Timesteps, VPTime

CONTINUOUS = [LogUniform(0.05, 20.0), LogNormal(0.3, 1.2), VPTime(), VPTime(0.5, 8.0, 1e-2)]


@pytest.mark.parametrize("levels", CONTINUOUS, ids=repr)
def test_the_density_is_the_derivative_of_the_quantile_function(levels):
    share = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    step = 1e-6
    rise = (levels.quantile(share + step) / levels.quantile(share - step)).log() / (2 * step)
    torch.testing.assert_close(levels.density(levels.quantile(share)), 1 / rise, rtol=1e-6, atol=0)


def test_no_level_lies_outside():
    sigma = torch.tensor([0.01, 100.0, 1e4])
    assert LogUniform(0.05, 20.0).density(sigma).count_nonzero() == 0
    assert VPTime().density(sigma).tolist()[2] == 0


def test_a_batch_has_one_level_of_each_stratum():
    generator = torch.Generator().manual_seed(0)
    levels = LogUniform(0.1, 10.0)
    sigma = levels.sample(50, generator)
    strata = (sigma / 0.1).log() / math.log(100) * 50
    assert strata.long().sort().values.tolist() == list(range(50))
    assert strata.long().tolist() != list(range(50))


def test_timesteps_are_each_as_often_and_their_density_is_that_of_continuous_time():
    """The DDPM timesteps are the VP SDE with β from 0.1 to 20, to first order in β."""
    discrete = Timesteps(vp_levels(linear_betas()))
    drawn = discrete.sample(1000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.sort().values, torch.tensor(discrete.levels))
    sigma = torch.tensor(discrete.levels[50:-50], dtype=torch.float64)
    torch.testing.assert_close(
        discrete.density(sigma), VPTime(t_min=0.0).density(sigma), rtol=0.015, atol=0
    )
