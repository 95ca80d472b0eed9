from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from operators import Identity
from restore.io.picture import read_picture, write_picture
from restore.problem import Problem
from restore.tasks.classical import CLASSICAL
from restore.tasks.registry import TASKS
from restore.tasks.settings import Settings
from restore.tasks.task import Measurement

CPU = torch.device("cpu")
PAIRS = [
    (name, task)
    for name, one in CLASSICAL.items()
    for task in one.tasks
    if name != "tv" and one.available
]
# The verb's own classical method.
OWN = {
    "super-resolve": "bicubic",
    "inpaint": "biharmonic",
    "denoise": "non-local-means",
    "deblur": "wiener",
    "colorize": "grey",
    "dejpeg": "decoded",
}


def truth(height: int = 48, width: int = 40) -> Tensor:
    """A disk and stripes on a slope in three colours, [3, H, W]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    slope = 0.2 + 0.3 * rows / height
    disk = ((rows - 20) ** 2 + (columns - 18) ** 2 < 120).float()
    stripes = ((columns // 8) % 2).float()
    return torch.stack([slope + 0.4 * disk, slope + 0.2 * stripes, 0.8 - slope + 0.1 * disk])


def settings_of(task: str, folder: Path) -> Settings:
    """The settings that a verb needs."""
    if task == "inpaint":
        hole = np.zeros((48, 40), dtype=np.uint8)
        hole[::2, ::2] = hole[20:26, 10:30] = 255
        Image.fromarray(hole).save(folder / "mask.png")
        return Settings(simulate=True, mask=folder / "mask.png")
    if task == "deblur":
        return Settings(simulate=True, kernel="gaussian:1.2", sigma=0.01)
    if task == "super-resolve":
        return Settings(simulate=True, scale=2)
    return Settings(simulate=True, sigma=0.1 if task == "denoise" else None)


def made(task: str, folder: Path) -> tuple[Measurement, Tensor]:
    """A verb's measurement of the picture, and the picture [1, 3, H, W]."""
    clean, degraded = folder / "clean.png", folder / f"measured{TASKS[task].degraded_suffix}"
    write_picture(clean, truth().numpy())
    picture, settings = read_picture(clean), settings_of(task, folder)
    pixels, restoring = TASKS[task].degrade(picture, settings)
    TASKS[task].write_degraded(degraded, pixels, picture, settings)
    measurement = TASKS[task].measure(read_picture(degraded), restoring, CPU)
    return measurement, torch.as_tensor(picture.pixels)[None]


def error(x: Tensor, y: Tensor) -> float:
    return float((x - y).square().mean().sqrt())


def test_names_and_tasks() -> None:
    assert all(one.name == name and one.title for name, one in CLASSICAL.items())
    assert {task for one in CLASSICAL.values() for task in one.tasks} == set(OWN) <= set(TASKS)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_estimates_are_pictures_no_worse_than_the_measurement(
    name: str, task: str, tmp_path: Path
) -> None:
    measurement, clean = made(task, tmp_path)
    x = CLASSICAL[name].estimate(measurement, None)
    assert x.shape == clean.shape
    assert 0 <= x.min() <= x.max() <= 1
    if name not in ("grey", "decoded"):
        assert error(x, clean) < error(naive(task, measurement), clean)


def naive(task: str, measurement: Measurement) -> Tensor:
    """The measurement as a picture: each pixel repeated, or as it is."""
    y = measurement.problem.y
    return y.repeat_interleave(2, -1).repeat_interleave(2, -2) if task == "super-resolve" else y


@pytest.mark.parametrize(("task", "name"), OWN.items())
def test_verbs_are_compared_with_their_own_classical_method(
    task: str, name: str, tmp_path: Path
) -> None:
    measurement, _ = made(task, tmp_path)
    shown, estimate = measurement.baseline
    assert shown == name
    torch.testing.assert_close(CLASSICAL[name].estimate(measurement, None), estimate())


@pytest.mark.parametrize("task", CLASSICAL["tv"].tasks)
def test_total_variation_is_better_than_where_it_starts(task: str, tmp_path: Path) -> None:
    measurement, clean = made(task, tmp_path)
    x = CLASSICAL["tv"].estimate(measurement, None)
    assert x.shape == clean.shape
    assert 0 <= x.min() <= x.max() <= 1
    assert error(x, clean) < 0.95 * error(measurement.finish(measurement.start), clean)
    if measurement.hole is not None:
        assert torch.equal(x[..., ~measurement.hole], clean[..., ~measurement.hole])


def test_lanczos_is_pillows(tmp_path: Path) -> None:
    measurement, _ = made("super-resolve", tmp_path)
    red = Image.fromarray(measurement.problem.y[0, 0].numpy())
    expected = np.asarray(red.resize((40, 48), Image.Resampling.LANCZOS)).clip(0, 1)
    x = CLASSICAL["lanczos"].estimate(measurement, None)
    np.testing.assert_allclose(x[0, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_bm3d_is_the_users_own_package(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one that says what it was given: rows, columns, and channels last; σ in [0, 1]."""
    y = truth()[None, :channels]
    given = []

    def denoise(picture: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
        given.append((picture.shape, sigma))
        return 2 * picture.squeeze()

    package = ModuleType("bm3d")
    setattr(package, "bm3d" if channels == 1 else "bm3d_rgb", denoise)
    monkeypatch.setitem(sys.modules, "bm3d", package)
    problem = Problem(Identity((channels, 48, 40)), y, 0.1)
    measurement = Measurement(problem, y, ("", lambda: y), lambda x: x, {})
    x = CLASSICAL["bm3d"].estimate(measurement, None)
    assert given == [((48, 40, channels), 0.1)]
    torch.testing.assert_close(x, (2 * y).clamp(0, 1))
