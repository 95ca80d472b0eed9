import pytest
import torch

from restore.prior.denoiser import FunctionDenoiser
from restore.prior.gaussian_mixture import GaussianMixture
from restore.prior.per_channel import PerChannel


def prior() -> GaussianMixture:
    return GaussianMixture([0.5, 0.5], torch.tensor([0.2, 0.9])[:, None, None, None], [0.1, 0.3])


@pytest.mark.parametrize(
    "sigma", [0.2, torch.tensor(0.2), torch.tensor([0.2]), torch.tensor([0.1, 0.4, 2.0])]
)
def test_each_channel_is_an_image_of_its_own(sigma):
    x = torch.randn(3, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    several = PerChannel(prior(), 2)
    assert several.channels == 2
    denoised = several(x, sigma)
    for channel in range(2):
        assert torch.allclose(denoised[:, channel : channel + 1], prior()(x[:, [channel]], sigma))


def test_levels_and_centre_are_those_of_the_inner_prior():
    inner = prior()
    several = PerChannel(inner, 3)
    assert (several.sigma_min, several.sigma_max) == (inner.sigma_min, inner.sigma_max)
    assert several.centre == inner.centre
    assert inner.channels == 1


def test_the_rows_keep_their_order():
    shown = PerChannel(FunctionDenoiser(lambda x, _: 2 * x), 2)
    x = torch.arange(12.0).reshape(3, 2, 1, 2)
    assert torch.equal(shown(x, 0.1), 2 * x)
