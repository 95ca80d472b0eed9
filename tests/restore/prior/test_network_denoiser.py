import pytest
import torch

from restore.prior.denoiser import Denoiser
from restore.prior.network_denoiser import GreyDenoiser, NetworkDenoiser, mirrored
from restore.prior.networks.gated_unet import GatedUNet
from restore.prior.preconditioning import EDMPreconditioning
from restore.prior.schedule import linear_beta_levels, native
from restore.prior.tiled import TiledDenoiser


def small_denoiser(dtype: torch.dtype = torch.float32) -> NetworkDenoiser:
    torch.manual_seed(0)
    network = GatedUNet(3, widths=(8, 12, 16), blocks=(1, 1, 1)).to(dtype)
    return NetworkDenoiser(network, EDMPreconditioning(), channels=3, sigma_min=0.002, sigma_max=50)


def noisy(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (8, 8), (33, 50)])
def test_any_size(size):
    x = noisy(2, 3, *size)
    denoised = small_denoiser()(x, 0.1)
    assert denoised.shape == x.shape
    assert torch.isfinite(denoised).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_the_inputs(dtype):
    assert small_denoiser(dtype)(noisy(1, 3, 16, 16, dtype=dtype), 0.1).dtype == dtype


def test_no_noise_changes_nothing():
    x = noisy(2, 3, 10, 12)
    assert torch.equal(small_denoiser()(x, 0.0), x)


def test_below_its_least_level_the_score_stays_as_it_is():
    """D(x, σ) - x = σ² score, so half of the level is a quarter of the change."""
    x = noisy(1, 3, 16, 16, dtype=torch.float64)
    prior = small_denoiser(torch.float64)
    change = prior(x, 0.002) - x
    assert change.abs().max() > 0
    torch.testing.assert_close(prior(x, 0.001) - x, change / 4, rtol=1e-9, atol=1e-15)
    assert torch.equal(prior(x, 60.0), prior(x, 50.0))


def test_a_level_for_each_picture():
    prior, x = small_denoiser(), noisy(3, 3, 16, 16)
    levels = torch.tensor([0.05, 0.3, 2.0])
    together = prior(x, levels)
    for i in range(3):
        assert torch.equal(together[i : i + 1], prior(x[i : i + 1], float(levels[i])))


def test_an_empty_batch():
    assert small_denoiser()(noisy(0, 3, 8, 8), 0.1).shape == (0, 3, 8, 8)


def test_the_batch_size_changes_no_bit():
    prior, x = small_denoiser(), noisy(5, 3, 24, 40)
    assert torch.equal(prior(x, 0.2), torch.cat([prior(one, 0.2) for one in x.split(1)]))


def test_wrong_shapes_are_named():
    prior = small_denoiser()
    with pytest.raises(ValueError, match=r"input is \[1, 1, 8, 8\]; expected \[batch, 3"):
        prior(noisy(1, 1, 8, 8), 0.1)
    with pytest.raises(ValueError, match=r"sigma is \[2\]; expected a scalar or \[3\]"):
        prior(noisy(3, 3, 8, 8), torch.ones(2))


def test_half_precision_keeps_the_ends_in_single():
    prior = small_denoiser()
    x = noisy(1, 3, 16, 16)
    full = prior(x, 0.1)
    prior.network.set_body_dtype(torch.bfloat16)
    half = prior(x, 0.1)
    assert prior.network.stem.weight.dtype == torch.float32
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().max() < 0.01


def test_mirrored_is_half_sample():
    row = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3)
    padded = mirrored(row, 8)[0, 0]
    assert padded.shape == (8, 8)
    assert padded[0].tolist() == [1, 2, 3, 3, 2, 1, 1, 2]


class Shrinkage(Denoiser):
    """The exact denoiser of independent pixels N(0.5, 0.2²)."""

    def __call__(self, x, sigma):
        gain = 0.04 / (0.04 + torch.as_tensor(sigma).reshape(-1, 1, 1, 1) ** 2)
        return 0.5 + gain * (x - 0.5)


def test_a_grey_picture_is_asked_at_the_level_of_its_mean():
    """Three channels of noise √3 σ have a mean of noise σ: the shrinkage is that of √3 σ."""
    x = noisy(2, 1, 6, 6)
    expected = Shrinkage()(x, 0.3 * 3**0.5)
    torch.testing.assert_close(GreyDenoiser(Shrinkage())(x, 0.3), expected)


def test_a_grey_picture_has_the_levels_of_the_colour_network():
    class Stepped(Shrinkage):
        def native_sigmas(self, steps):
            return native(linear_beta_levels(), steps)

    levels = GreyDenoiser(Stepped()).native_sigmas(20)
    assert levels == [level / 3**0.5 for level in native(linear_beta_levels(), 20)]
    assert GreyDenoiser(Shrinkage()).native_sigmas(20) is None


@pytest.mark.parametrize("size", [(40, 40), (100, 70), (64, 201), (300, 129)])
def test_tiles_of_a_pointwise_denoiser_leave_no_seam(size):
    x = noisy(1, 3, *size)
    torch.testing.assert_close(TiledDenoiser(Shrinkage(), 64)(x, 0.2), Shrinkage()(x, 0.2))


def test_tiles_of_a_network_agree_inside():
    prior, x = small_denoiser(), noisy(1, 3, 160, 160)
    difference = (TiledDenoiser(prior, 128)(x, 0.1) - prior(x, 0.1)).abs()
    assert difference.mean() < 1 / 255


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-5), (torch.bfloat16, 2e-2)]
)
def test_a_picture_in_double_precision_keeps_it_around_any_network(dtype, tolerance):
    prior, single = small_denoiser(), small_denoiser()
    if dtype == torch.bfloat16:
        prior.network.set_body_dtype(dtype)
    else:
        prior.network.to(dtype)
    x = noisy(1, 3, 9, 10, dtype=torch.float64)
    double = prior(x, 0.1)
    assert double.dtype == torch.float64
    assert (double - single(x.float(), 0.1)).abs().max() < tolerance


def test_a_grey_picture_has_a_colour_priors_levels_over_the_root_of_three():
    grey = GreyDenoiser(Shrinkage())
    colour = Shrinkage()
    assert grey.sigma_min == pytest.approx(colour.sigma_min / 3**0.5)
    assert grey.sigma_max == pytest.approx(colour.sigma_max / 3**0.5)
