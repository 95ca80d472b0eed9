from pathlib import Path

import numpy as np
import pytest
import torch

from operators import NonCartesianMRI
from operators.fourier import centred_fft
from restore.errors import InputError
from restore.mri import espirit as estimation
from restore.mri.coils import simulated_coils
from restore.mri.masks import make_mask
from restore.tasks import coil_maps
from restore.tasks.cache import cache_folder
from restore.tasks.coil_maps import estimated_maps

SHAPE = (40, 36)
FILE = Path("scan.npy")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def kspace() -> torch.Tensor:
    y = torch.linspace(-1, 1, SHAPE[0])[:, None]
    x = torch.linspace(-1, 1, SHAPE[1])[None, :]
    inside = (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1
    return centred_fft(simulated_coils(5, SHAPE) * inside * (1 + 0.4 * torch.cos(6 * x)))


def test_maps_are_kept_by_what_they_are_made_of(kspace, monkeypatch):
    whole = torch.ones(SHAPE, dtype=torch.bool)
    maps, notes = estimated_maps(kspace, 24, whole, 0.0, FILE)
    assert maps.shape == (1, 5, *SHAPE)
    assert notes == []
    assert len(list(cache_folder().iterdir())) == 1

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("estimated again")

    monkeypatch.setattr(coil_maps, "espirit", refuse)
    # What is far from the middle is no part of it.
    far = kspace.clone()
    far[:, 0] = 0
    assert torch.equal(estimated_maps(far, 24, whole, 0.0, FILE)[0], maps)
    with pytest.raises(AssertionError, match="estimated again"):
        estimated_maps(2 * kspace, 24, whole, 0.0, FILE)
    with pytest.raises(AssertionError, match="estimated again"):
        estimated_maps(kspace, 20, whole, 0.0, FILE)
    with pytest.raises(AssertionError, match="estimated again"):
        estimated_maps(kspace, 24, whole, 0.1, FILE)


def test_maps_are_laid_out_as_they_are_read_again(kspace):
    whole = torch.ones(SHAPE, dtype=torch.bool)
    fresh, _ = estimated_maps(kspace, 24, whole, 0.0, FILE)
    kept, _ = estimated_maps(kspace, 24, whole, 0.0, FILE)
    assert fresh.stride() == kept.stride()
    assert torch.equal(fresh, kept)


@pytest.mark.parametrize("damaged", ["cut", "empty", "other"])
def test_a_damaged_file_is_made_again(kspace, damaged):
    whole = torch.ones(SHAPE, dtype=torch.bool)
    maps, _ = estimated_maps(kspace, 24, whole, 0.0, FILE)
    (path,) = cache_folder().iterdir()
    content = path.read_bytes()
    if damaged == "other":
        np.save(path, np.zeros((1, 5, 3, 3), np.complex64))
    else:
        path.write_bytes(content[: len(content) // 2 if damaged == "cut" else 0])
    assert torch.equal(estimated_maps(kspace, 24, whole, 0.0, FILE)[0], maps)
    assert path.read_bytes() == content


def test_a_home_that_cannot_be_written_to_costs_only_time(kspace, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    whole = torch.ones(SHAPE, dtype=torch.bool)
    assert estimated_maps(kspace, 24, whole, 0.0, FILE)[0].shape == (1, 5, *SHAPE)


def test_lines_are_used_along_their_whole_length(kspace, monkeypatch):
    mask = make_mask("equispaced", SHAPE, 3, center_fraction=0.25)
    assert estimation.calibration_area(mask) == (SHAPE[0], 9)
    sizes = []
    espirit = coil_maps.espirit
    monkeypatch.setattr(
        coil_maps,
        "espirit",
        lambda kspace, *, calib_size, **how: (
            sizes.append(calib_size) or espirit(kspace, calib_size=calib_size, **how)
        ),
    )
    maps, _ = estimated_maps(kspace * mask, 24, mask, 0.0, FILE)
    assert sizes == [(24, 9)]
    # Pixel by pixel along the coils': 1 where they agree.
    agreement = (maps[0].conj() * simulated_coils(5, SHAPE)).sum(0).abs()
    seen = maps[0].abs().sum(0) > 0
    assert float(seen[12:28, 10:26].float().mean()) > 0.99
    assert float(agreement[12:28, 10:26].min()) > 0.97


def test_too_few_lines_are_one_line(kspace):
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[:, ::2] = True
    with pytest.raises(InputError, match=r"scan.npy: only 1 lines .* expected 8 for coil maps"):
        estimated_maps(kspace * mask, 24, mask, 0.0, FILE)
    with pytest.raises(InputError, match="only 0 lines"):
        estimated_maps(kspace, 24, ~mask, 0.0, FILE)


def test_noise_along_a_trajectory_is_that_of_the_grid(monkeypatch):
    """Of radial lines, which are dense in the middle."""
    angles = torch.arange(80) * torch.pi / 80
    along = (
        torch.stack([angles.sin(), angles.cos()], -1)[:, None]
        * torch.linspace(-0.5, 0.5, 64)[:, None]
    )
    trajectory = along.flatten(0, 1)
    operator = NonCartesianMRI(trajectory, (1, *SHAPE))
    density = trajectory.norm(dim=-1)
    generator = torch.Generator().manual_seed(1)
    samples = 0.3 * torch.complex(*torch.randn((2, 6, len(trajectory)), generator=generator))
    taken = []

    def keep(kspace, calib_size, mask, noise, source):
        taken.append((kspace, noise))
        assert bool(mask.all())
        assert (calib_size, source) == (12, FILE)
        return kspace[None], ["the image folds: two sets of coil maps"]

    monkeypatch.setattr(coil_maps, "estimated_maps", keep)
    maps, said = coil_maps.maps_along(operator, samples, density, 12, 0.3, FILE)
    ((kspace, noise),) = taken
    assert torch.equal(maps, kspace)
    assert kspace.shape == (6, *SHAPE)
    assert said == ["the image folds: two sets of coil maps; along a trajectory the first is used"]
    middle = torch.view_as_real(estimation.middle(kspace, 12))
    assert float(middle.std()) == pytest.approx(noise, rel=0.1)
