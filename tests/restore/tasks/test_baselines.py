import numpy as np
import pytest
import torch
from PIL import Image
from skimage.restoration import denoise_nl_means

from restore.tasks.baselines import bicubic, biharmonic, non_local_means, smooth_fill


def picture(height: int, width: int) -> torch.Tensor:
    """A tilted plane in three colours."""
    rows, columns = torch.linspace(0, 0.4, height), torch.linspace(0.1, 0.5, width)
    plane = rows[:, None] + columns
    return torch.stack([plane, 1 - plane, 0.5 * plane])[None]


def test_bicubic_is_pillows():
    small = torch.rand(1, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    expected = Image.fromarray(small[0, 0].numpy()).resize((28, 36), Image.Resampling.BICUBIC)
    enlarged = bicubic(small, (36, 28))[0, 0]
    np.testing.assert_allclose(enlarged.numpy(), np.asarray(expected), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 5), (7, 7), (33, 20)])
def test_a_constant_is_filled_with_itself(size):
    hole = torch.rand(size, generator=torch.Generator().manual_seed(0)) < 0.6
    hole[0, 0] = False
    constant = torch.full((2, 3, *size), 0.3)
    filled = smooth_fill(constant * ~hole, hole)
    torch.testing.assert_close(filled, constant)


@pytest.mark.parametrize("fill", [smooth_fill, biharmonic])
def test_fills_keep_what_is_known_and_go_on_smoothly(fill):
    truth = picture(40, 50)
    hole = torch.zeros(40, 50, dtype=torch.bool)
    hole[10:20, 12:30] = True
    filled = fill(truth * ~hole, hole)
    torch.testing.assert_close(filled * ~hole, truth * ~hole, atol=1e-6, rtol=0)
    assert (filled - truth).abs().max() < 0.12
    assert (filled - truth)[..., hole].square().mean().sqrt() < 0.05


@pytest.mark.parametrize("shape", [(1, 1, 24, 32), (2, 3, 1, 1), (1, 3, 40, 1)])
def test_non_local_means_keeps_axes_of_length_one(shape):
    noisy = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert non_local_means(noisy, 0.1).shape == shape


def test_non_local_means_is_as_strong_as_its_library_advises():
    """Its documentation: h a little below σ, such as 0.8 σ, in the fast mode that knows σ."""
    noisy = torch.rand(1, 1, 24, 20, generator=torch.Generator().manual_seed(0))
    expected = denoise_nl_means(
        noisy[0, 0].double().numpy(),
        patch_size=5,
        patch_distance=6,
        h=0.16,
        sigma=0.2,
        fast_mode=True,
    )
    denoised = non_local_means(noisy, 0.2)[0, 0]
    np.testing.assert_allclose(denoised.numpy(), expected, atol=1e-5)


def test_non_local_means_removes_noise():
    truth = picture(64, 64)
    noisy = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    error = (non_local_means(noisy, 0.1) - truth).square().mean()
    assert error < 0.1 * (noisy - truth).square().mean()
