"""The noise level of a measured picture, and what is said of one that is taken as clean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from restore.errors import InputError
from restore.io.picture import Picture, read_picture
from restore.metrics import estimate_noise
from restore.tasks.denoise import Denoise
from restore.tasks.inpaint import Inpaint
from restore.tasks.noise import add_noise, noise_level
from restore.tasks.settings import Settings

SAMPLES = Path(__file__).parents[3] / "data" / "samples"


def noisy(
    folder: Path, sigma: float, known: NDArray[np.bool_] | None = None, frame: int = 0
) -> Picture:
    """A photograph with noise, white where it is not known, in a black frame."""
    clean = np.asarray(Image.open(SAMPLES / "scratched_truth.png").convert("RGB")) / 255
    levels = clean + sigma * np.random.default_rng(1).normal(size=clean.shape)
    if known is not None:
        levels[~known] = 1
    if frame:
        levels[:frame] = levels[-frame:] = levels[:, :frame] = levels[:, -frame:] = 0
    Image.fromarray((levels.clip(0, 1) * 255).round().astype(np.uint8)).save(folder / "noisy.png")
    return read_picture(folder / "noisy.png")


def scattered(share: float, picture: Picture) -> NDArray[np.bool_]:
    """So many of the pixels."""
    return np.random.default_rng(2).random((picture.height, picture.width)) < share


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_holes_are_no_noise(tmp_path: Path, share: float) -> None:
    known = scattered(share, noisy(tmp_path, 0.05))
    picture = noisy(tmp_path, 0.05, known)
    level, notes = noise_level(picture, Settings(sigma="auto"), estimated=False, known=known)
    assert level == pytest.approx(0.05, rel=0.15)
    assert notes == [f"noise estimated: sigma {level:.4f} ({255 * level:.1f} of 255)"]
    Image.fromarray(~known).save(tmp_path / "mask.png")
    settings = Settings(sigma="auto", mask=tmp_path / "mask.png")
    assert Inpaint().measure(picture, settings, torch.device("cpu")).problem.noise_std == level


def test_too_few_known_pixels_to_estimate_it_are_refused(tmp_path: Path) -> None:
    known = scattered(0.02, noisy(tmp_path, 0.05))
    picture = noisy(tmp_path, 0.05, known)
    with pytest.raises(InputError, match=r"noisy\.png: too few known pixels lie side by side; "):
        noise_level(picture, Settings(sigma="auto"), estimated=False, known=known)
    assert noise_level(picture, Settings(), estimated=False, known=known) == (
        picture.rounding_std,
        [],
    )


@pytest.mark.parametrize("paper", [0.0, 0.006])
def test_letters_do_not_look_noisy(tmp_path: Path, paper: float) -> None:
    page = Image.new("RGB", (200, 160), "white")
    for top in range(4, 150, 14):
        ImageDraw.Draw(page).text((4, top), "the quick brown fox jumps over it", "black")
    levels = np.asarray(page) * 0.9 + 255 * paper * np.random.default_rng(3).normal(
        size=(160, 200, 3)
    )
    Image.fromarray(levels.clip(0, 255).round().astype(np.uint8)).save(tmp_path / "page.png")
    picture = read_picture(tmp_path / "page.png")
    assert paper or estimate_noise(picture.pixels) > 0.045
    assert noise_level(picture, Settings(), estimated=False)[1] == []


@pytest.mark.parametrize("frame", [0, 20])
@pytest.mark.parametrize(("sigma", "said"), [(0.0, False), (0.02, False), (0.08, True)])
def test_noise_beyond_texture_is_told_of_where_the_picture_is_taken_as_clean(
    tmp_path: Path, sigma: float, said: bool, frame: int
) -> None:
    picture = noisy(tmp_path, sigma, frame=frame)
    level, notes = noise_level(picture, Settings(), estimated=False)
    assert level == picture.rounding_std
    assert [note.startswith("taken as clean, though it looks noisy") for note in notes] == (
        [True] * said
    )
    assert noise_level(picture, Settings(sigma=0.001), estimated=False)[1] == []
    assert noise_level(picture, Settings(sigma=0.0), estimated=True) == (picture.rounding_std, [])


def test_simulated_noise_is_drawn_by_the_seed() -> None:
    """10,800 numbers: 0.03 are four standard errors of a deviation."""
    clean = torch.full((3, 60, 60), 0.5)
    one, same, other = (add_noise(clean, Settings(sigma=0.1, seed=s)) - clean for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert float(one.std()) == pytest.approx(0.1, rel=0.03)
    assert float((one - other).std()) == pytest.approx(0.1 * 2**0.5, rel=0.03)


def test_of_too_few_pixels_no_noise_is_said_to_be_estimated(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 50), np.uint8)).save(
        tmp_path / "thin.png"
    )
    picture = read_picture(tmp_path / "thin.png")
    level, (note,) = noise_level(picture, Settings(), estimated=True)
    assert level == picture.rounding_std
    assert note.startswith("taken as clean")


@pytest.mark.parametrize("sigma", [None, "auto"])
def test_what_is_to_be_denoised_is_simulated_with_a_noise_of_its_own(
    tmp_path: Path, sigma: str | None
) -> None:
    picture = noisy(tmp_path, 0.0)
    degraded, settings = Denoise().degrade(picture, Settings(sigma=sigma))
    noise = degraded - torch.from_numpy(picture.pixels)
    assert float(noise.std()) == pytest.approx(25 / 255, rel=0.03)
    assert settings.sigma == sigma
