import warnings

import pytest
import torch
from own_memory import OwnMemory

from operators.fourier import centred_fft
from restore.mri.coils import simulated_coils
from restore.mri.espirit import CoilMaps, calibration_area, espirit, folds
from restore.mri.phase import smooth_phase

SHAPE = (48, 40)


def brain_like() -> torch.Tensor:
    y = torch.linspace(-1, 1, SHAPE[0])[:, None]
    x = torch.linspace(-1, 1, SHAPE[1])[None, :]
    inside = (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1
    texture = 1 + 0.5 * torch.sin(9 * x) * torch.cos(7 * y)
    return inside * texture * smooth_phase(SHAPE, 2)


@pytest.fixture(scope="module")
def scan():
    maps = simulated_coils(6, SHAPE)
    kspace = centred_fft(maps * brain_like())
    noise = torch.randn(
        kspace.shape, dtype=kspace.dtype, generator=torch.Generator().manual_seed(0)
    )
    return maps, kspace + 1e-3 * noise


def turned(maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The maps with the phase, pixel by pixel, that is nearest to others."""
    phase = (maps.conj() * like).sum(0, keepdim=True)
    return maps * phase / phase.abs().clamp_min(1e-12)


def test_the_maps_are_those_of_the_coils(scan):
    truth, kspace = scan
    maps = espirit(kspace).maps[0]
    inside = maps.abs().sum(0) > 0
    assert inside[brain_like().abs() > 0.5].float().mean() > 0.98
    error = (turned(maps, truth) - truth)[:, inside].norm() / truth[:, inside].norm()
    assert float(error) < 0.03


@pytest.mark.parametrize("level", [0.0, 1e-3])
@pytest.mark.parametrize("dead", [0, 3])
def test_no_coil_is_needed_for_the_phase(scan, dead, level):
    """One of nothing or of noise leaves maps whose phase is as smooth as that of the others."""
    truth, kspace = scan
    kspace = kspace.clone()
    noise = torch.randn(SHAPE, dtype=kspace.dtype, generator=torch.Generator().manual_seed(1))
    kspace[dead] = level * noise
    maps = espirit(kspace).maps[0]
    inside = maps.abs().sum(0) > 0
    assert inside[brain_like().abs() > 0.5].float().mean() > 0.9
    phase = torch.exp(1j * (maps.conj() * truth).sum(0).angle())
    pairs = inside[:, 1:] & inside[:, :-1]
    assert float(phase.diff(dim=1).abs()[pairs].mean()) < 0.15


def test_the_maps_are_those_of_sigpy(scan):
    _, kspace = scan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sigpy.mri.app

        theirs = sigpy.mri.app.EspiritCalib(
            kspace.numpy(), calib_width=24, thresh=0.02, kernel_width=6, crop=0.95, max_iter=200,
            show_pbar=False,
        ).run()  # fmt: skip
    theirs = torch.from_numpy(theirs)
    ours = espirit(kspace).maps[0]
    both = (ours.abs().sum(0) > 0) & (theirs.abs().sum(0) > 0)
    assert both.sum() > 0.98 * (theirs.abs().sum(0) > 0).sum()
    error = (turned(ours, theirs) - theirs)[:, both].norm() / theirs[:, both].norm()
    assert float(error) < 1e-2


def test_a_folded_object_needs_a_second_set(scan):
    truth, kspace = scan
    assert not folds(espirit(kspace, sets=2))
    # Half of the field of view: the object lies on itself.
    folded = espirit(kspace[:, :, ::2], sets=2)
    assert folds(folded)
    assert folded.maps.shape == (2, len(truth), SHAPE[0], SHAPE[1] // 2)


@pytest.mark.parametrize(("sigma", "error"), [(0.03, 0.05), (0.1, 0.09), (0.2, 0.13)])
def test_noise_is_no_second_set(scan, sigma, error):
    """Known, it hides the patches that it would fill: maps of the object, and of nothing else."""
    truth, _ = scan
    noise = torch.randn(
        (2, *truth.shape), dtype=torch.float32, generator=torch.Generator().manual_seed(0)
    )
    noisy = centred_fft(truth * brain_like()) + sigma * torch.complex(*noise)
    found = espirit(noisy, sets=2, noise=sigma)
    assert not folds(found)
    maps = found.maps[0]
    inside = maps.abs().sum(0) > 0
    assert inside[brain_like().abs() > 0.5].float().mean() > 0.98
    assert (turned(maps, truth) - truth)[:, inside].norm() < error * truth[:, inside].norm()


def test_a_folded_object_is_seen_under_noise(scan):
    _, kspace = scan
    noise = torch.randn(
        (2, *kspace.shape), dtype=torch.float32, generator=torch.Generator().manual_seed(0)
    )
    noisy = kspace + 0.03 * torch.complex(*noise)
    assert folds(espirit(noisy[:, :, ::2], sets=2, noise=0.03))


def test_maps_of_no_second_set_are_zero(scan):
    maps: CoilMaps = espirit(scan[1], sets=2)
    assert float(maps.maps[1].abs().max(0).values.gt(0).float().mean()) < 0.02


def test_few_lines_are_enough(scan):
    """Eight of them: patches as large as those of a whole middle would not be told apart."""
    truth, kspace = scan
    maps = espirit(kspace, calib_size=(24, 8)).maps[0]
    inside = maps.abs().sum(0) > 0
    assert inside[brain_like().abs() > 0.5].float().mean() > 0.98
    error = (turned(maps, truth) - truth)[:, inside].norm() / truth[:, inside].norm()
    assert float(error) < 0.06


@pytest.mark.parametrize(
    ("rows", "columns", "area"),
    [
        (slice(0, 12), slice(3, 7), (12, 4)),
        (slice(4, 9), slice(0, 10), (5, 10)),
        (slice(5, 6), slice(5, 6), (0, 0)),
    ],
)
def test_the_area_around_dc_that_is_whole(rows, columns, area):
    mask = torch.zeros(12, 10, dtype=torch.bool)
    mask[rows, columns] = True
    mask[0, 0] = mask[-1, -1] = True
    assert calibration_area(mask) == area


def test_the_matrices_of_all_pixels_are_held_once(scan):
    """For twenty coils they are 0.7 GB of a slice of 640x320."""
    coils = scan[1].shape[0]
    with OwnMemory() as taken:
        espirit(scan[1])
    assert taken.numbers.count(SHAPE[0] * SHAPE[1] * coils**2) == 1
