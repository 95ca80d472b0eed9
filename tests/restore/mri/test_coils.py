import math

import pytest
import torch

from operators.fourier import centred_fft
from restore.mri.coils import combined, compress_coils, prewhiten, simulated_coils
from restore.mri.noise import kspace_noise
from restore.mri.phase import smooth_phase


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Complex normal, of unit variance in each component."""
    generator = torch.Generator().manual_seed(seed)
    return torch.complex(
        torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    )


def test_compression_keeps_what_virtual_coils_span():
    two = draw(5, 2, 9, 8)
    mixing = torch.linalg.qr(draw(6, 2, seed=1)).Q
    kspace = torch.einsum("cn,snhw->schw", mixing, two)
    kept = compress_coils(kspace, 2)
    assert kept.shape == (5, 2, 9, 8)
    assert torch.allclose(kept.abs().square().sum(1), kspace.abs().square().sum(1), rtol=1e-4)
    assert float(compress_coils(kspace, 3)[:, 2].abs().max()) < 1e-4


def test_whitened_noise_has_no_correlation_and_keeps_its_size():
    mixing = draw(4, 4, seed=2)
    noise = torch.einsum("cd,dhw->chw", mixing, draw(4, 60, 50))
    covariance = torch.cov(noise.flatten(1))
    white = torch.cov(prewhiten(noise, covariance).flatten(1))
    scale = covariance.diagonal().real.mean()
    assert torch.allclose(white / scale, torch.eye(4, dtype=white.dtype), atol=1e-3)
    with pytest.raises(ValueError, match=r"is \[4, 4\]; there are 3 coils"):
        prewhiten(noise[:3], covariance)
    with pytest.raises(ValueError, match="is not positive"):
        prewhiten(noise, -covariance)


def test_simulated_coils_are_smooth_and_normed():
    maps = simulated_coils(8, (40, 30))
    assert torch.allclose(maps.abs().square().sum(0), torch.ones(40, 30))
    assert float(maps.diff(dim=1).abs().max()) < 0.2
    strongest = maps.abs().argmax(0)
    assert len(strongest.unique()) == 8


@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_noise_is_found_at_the_edge_of_kspace(sigma):
    y = torch.linspace(-1, 1, 96)[:, None]
    x = torch.linspace(-1, 1, 80)[None, :]
    image = torch.exp(-6 * (x * x + y * y)) * smooth_phase((96, 80))
    clean = centred_fft(simulated_coils(6, (96, 80)) * image)[None]
    mask = torch.ones(96, 80, dtype=torch.bool)
    mask[:, 1::3] = False
    noisy = (clean + sigma * draw(*clean.shape, seed=4)) * mask
    assert kspace_noise(noisy, mask) == pytest.approx(sigma, rel=0.05)


def test_the_phase_is_smooth_and_the_seed_decides():
    phase = smooth_phase((30, 40), 1)
    assert torch.allclose(phase.abs(), torch.ones(30, 40))
    assert float(torch.angle(phase[1:] / phase[:-1]).abs().max()) < math.pi / 4
    assert torch.equal(phase, smooth_phase((30, 40), 1))
    assert not torch.equal(phase, smooth_phase((30, 40), 2))


@pytest.mark.parametrize("sets", [1, 2])
def test_coil_images_are_combined_by_least_squares(sets):
    maps, images = draw(sets, 4, 6, 5), draw(3, sets, 6, 5, seed=1)
    maps[..., 0, 0] = 0
    images[..., 0, 0] = 0
    seen = torch.einsum("schw,bshw->bchw", maps, images)
    assert torch.allclose(combined(seen, maps), images, atol=1e-4)
