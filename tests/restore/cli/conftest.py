import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from restore.cli.app import app


@dataclass
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def restore(monkeypatch, tmp_path):
    """Run the command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


def smooth(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A smooth colour picture, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 216, (4, 5, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(smooth(40, 30)).save(path)
    return path


@pytest.fixture
def mask(tmp_path) -> Path:
    pixels = np.zeros((30, 40), np.uint8)
    pixels[10:14, 5:30] = 255
    path = tmp_path / "mask.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A prior of one's own by name: independent pixels, N(0.5, 0.2²)."""
    (tmp_path / "pixelwise.py").write_text(
        "def prior(x, sigma):\n    return 0.5 + (x - 0.5) * 0.04 / (0.04 + sigma**2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "pixelwise:prior"


@pytest.fixture
def rows(tmp_path, monkeypatch) -> list[int]:
    """How many pictures `noting:prior`, independent pixels of N(0, 1), was given at a time."""
    (tmp_path / "noting.py").write_text(
        "rows = []\n\n\n"
        "def prior(x, sigma):\n    rows.append(len(x))\n    return x / (1 + sigma**2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "noting", raising=False)
    noted: list[int] = importlib.import_module("noting").rows
    return noted
