"""Problems that `restore mri` makes of what it reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from operators.fourier import centred_fft
from restore.errors import InputError
from restore.mri.coils import simulated_coils
from restore.tasks.mri import MRI
from restore.tasks.mri_input import MriSettings
from restore.tasks.scan import Scan

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def picture(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    inside = (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1
    return (40 * inside * (1 + 0.3 * np.cos(6 * x + 3 * y))).astype(np.float32)


def measured(path: Path, **settings: object) -> Scan:
    return MRI.measure(path, MriSettings(**settings), CPU, path.with_name("degraded.npy"))


@pytest.mark.parametrize("mask", ["equispaced", "poisson"])
@pytest.mark.parametrize("coils", [1, 6])
def test_simulated_noise_is_that_of_the_problem(tmp_path: Path, mask: str, coils: int) -> None:
    """σ of a component over at least 2400 numbers: within 5 standard errors, 5/√4800 = 0.07."""
    np.save(tmp_path / "image.npy", np.stack([picture(40, 36), picture(40, 36)]))
    scan = measured(
        tmp_path / "image.npy", simulate=True, sigma=0.05, mask=mask, coils=coils, acceleration=2.0
    )
    clean = measured(
        tmp_path / "image.npy", simulate=True, mask=mask, coils=coils, acceleration=2.0
    )
    noise = scan.problem.y * scan.scale - clean.problem.y * clean.scale
    level = float((noise.abs().square().sum() / (noise != 0).sum() / 2).sqrt())
    assert level / scan.scale == pytest.approx(scan.problem.noise_std, rel=0.07)
    assert level == pytest.approx(0.05 * np.quantile(picture(40, 36), 0.99), rel=0.07)
    assert clean.problem.noise_std * clean.scale == pytest.approx(0.02 * level, rel=0.07)
    assert scan.truth is not None
    assert scan.truth.shape == (2, 40, 36)


def test_images_inside_are_about_one(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", 1e-6 * picture(40, 36))
    scan = measured(tmp_path / "image.npy", simulate=True, acceleration=3.0, sigma=0.01)
    back = scan.problem.operator.adjoint(scan.problem.y).abs()
    assert float(back.flatten().quantile(0.99)) == pytest.approx(1, rel=0.01)
    zero = scan.image(scan.classical["zero-filled"]()[None])[0]
    assert scan.truth is not None
    assert float(zero.max()) == pytest.approx(float(scan.truth.max()), rel=0.6)


def test_what_was_taken_away_is_the_truth(tmp_path: Path) -> None:
    maps = simulated_coils(5, (40, 36))
    data = centred_fft(maps * torch.from_numpy(picture(40, 36)))
    np.save(tmp_path / "k.npy", data.numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    whole = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy")
    assert whole.truth is None
    assert whole.operator["mask"] == "as measured"
    scan = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", mask="random")
    assert scan.truth is not None
    assert np.allclose(scan.truth[0], picture(40, 36), atol=1e-3)
    assert scan.operator["acceleration"] == pytest.approx(4, rel=0.1)


def test_more_coils_than_wanted_are_compressed(tmp_path: Path) -> None:
    maps = simulated_coils(6, (40, 36))
    data = centred_fft(maps * torch.from_numpy(picture(40, 36)))
    np.save(tmp_path / "k.npy", data.numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    few = measured(tmp_path / "k.npy", coils=4)
    assert few.problem.y.shape == (1, 4, 40, 36)
    with pytest.raises(InputError, match="--coils 4: --maps are given"):
        measured(tmp_path / "k.npy", coils=4, maps=tmp_path / "maps.npy")


def test_maps_of_one_slice_serve_all(tmp_path: Path) -> None:
    maps = simulated_coils(3, (40, 36))
    images = torch.from_numpy(np.stack([picture(40, 36), 2 * picture(40, 36)]))
    np.save(tmp_path / "k.npy", centred_fft(maps * images[:, None]).numpy())
    np.save(tmp_path / "maps.npy", maps.numpy())
    scan = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", mask="random", slice="1")
    assert scan.problem.batch == 1
    both = measured(tmp_path / "k.npy", maps=tmp_path / "maps.npy", mask="random")
    assert both.problem.batch == 2
    assert both.truth is not None
    assert np.allclose(both.truth[1], 2 * both.truth[0], rtol=1e-3)
    estimated = measured(tmp_path / "k.npy", mask="random", center_fraction=0.25)
    assert estimated.problem.operator.batch_shape == (2,)
