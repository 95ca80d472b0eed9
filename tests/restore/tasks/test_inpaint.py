"""Inpainting in windows: the same as of the whole picture, and nothing computed elsewhere."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from restore.io.picture import read_picture
from restore.noise import PlacedNoise
from restore.prior.denoiser import FunctionDenoiser
from restore.solve import solve
from restore.tasks.photo import Restorer
from restore.tasks.registry import TASKS
from restore.tasks.settings import Settings

SEEN: list[tuple[int, int]] = []


def local_mean(x: Tensor, sigma: float | Tensor) -> Tensor:
    """Looks four pixels far; keeps the sizes that it was asked for."""
    del sigma
    SEEN.append((x.shape[-2], x.shape[-1]))
    padded = torch.nn.functional.pad(x, (4, 4, 4, 4), mode="replicate")
    return torch.nn.functional.avg_pool2d(padded, 9, 1)


def limited(x: Tensor, sigma: float | Tensor) -> Tensor:
    """The same, with memory for 128 pixels a side."""
    if max(x.shape[-2:]) > 128:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return local_mean(x, sigma)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (500, 640, 3), dtype=np.uint8)).save(tmp_path / "p.png")
    hole = np.zeros((500, 640), np.uint8)
    hole[40:60, 30:60] = hole[420:430, 500:620] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    return tmp_path


def restored(large: Path, **settings: object) -> tuple[np.ndarray, dict[str, object], list[str]]:
    given = {
        "model": f"{__name__}:local_mean",
        "mask": large / "mask.png",
        "parameters": {"steps": 3},
    }
    restorer = Restorer(TASKS["inpaint"], Settings.model_validate(given | settings))
    # The module of a test has no name that could be imported.
    function = limited if settings.get("model") == "limited" else local_mean
    restorer.prior = FunctionDenoiser(function)
    SEEN.clear()
    result = restorer.restore(large / "p.png", large / "out.png", suffix="_out")
    return np.asarray(Image.open(large / "out.png")), result.record, result.notes


@pytest.fixture(autouse=True)
def _any_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restore.tasks.opened.load_prior", lambda *_: FunctionDenoiser(local_mean))
    monkeypatch.setattr("restore.tasks.opened.is_own", lambda _: True)


@pytest.mark.parametrize("method", ["pnp", "ddrm"])
def test_windows_give_what_the_whole_picture_gives(large: Path, method: str) -> None:
    ours, _, _ = restored(large, method=method, average=1)
    task, picture = TASKS["inpaint"], read_picture(large / "p.png")
    measurement = task.measure(picture, Settings(mask=large / "mask.png"), torch.device("cpu"))
    assert len(measurement.parts) == 2
    whole = solve(
        measurement.problem, FunctionDenoiser(local_mean), method, noise=partial(PlacedNoise),
        start=measurement.start, **{**task.tuned[method], "steps": 3},
    )[:, 0]  # fmt: skip
    expected = np.rint(255 * measurement.finish(whole)[0].permute(1, 2, 0).numpy())
    assert np.abs(ours - expected).max() <= 1
    hole = np.asarray(Image.open(large / "mask.png")) > 0
    assert np.array_equal(ours[~hole], np.asarray(Image.open(large / "p.png"))[~hole])
    assert (ours[hole] != np.asarray(Image.open(large / "p.png"))[hole]).mean() > 0.9


@pytest.mark.parametrize("method", ["tds", "mcgdiff"])
def test_particles_fill_windows_too(large: Path, method: str) -> None:
    ours, _, _ = restored(large, method=method, sigma=0.02, parameters={"steps": 2, "particles": 2})
    given, hole = (
        np.asarray(Image.open(large / "p.png")),
        np.asarray(Image.open(large / "mask.png")),
    )
    assert np.array_equal(ours[hole == 0], given[hole == 0])
    assert (ours[hole > 0] != given[hole > 0]).mean() > 0.9


def test_only_the_windows_are_denoised(large: Path) -> None:
    _, record, _ = restored(large)
    assert record["evaluations"] == record["steps"] == 3
    assert len(SEEN) == 6
    assert sum(height * width for height, width in SEEN) < 0.35 * 3 * 500 * 640


def test_memory_that_runs_out_halves_the_tile_and_goes_on(large: Path) -> None:
    ours, record, notes = restored(large, model="limited")
    assert "out of memory with tiles of 224 pixels: 112 instead" in notes
    assert json.loads(Path(record["sidecar"]).read_text())["config"]["tile"] == 112
    assert max(max(size) for size in SEEN) <= 128
    whole, _, _ = restored(large)
    assert np.abs(ours.astype(int) - whole).mean() < 1


def test_memory_that_runs_out_elsewhere_is_one_line(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Tensor:
        raise MemoryError

    monkeypatch.setattr("restore.tasks.parts.solve", full)
    with pytest.raises(Exception, match=r"p\.png: out of memory at 640x500") as caught:
        restored(large)
    assert type(caught.value).__name__ == "InputError"
