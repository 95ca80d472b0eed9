"""The wheel, installed outside the checkout, is complete and works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that must succeed, without the checkout on the path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its dependencies are this environment's.

    A path file does not run the path files of the folder it names, so the editable install
    here stays invisible there. It is written last: pip would take that install for the wheel.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (site_packages,) = (folder / "lib").glob("python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def in_environment(environment: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs a command of the new environment in an empty folder."""
    return lambda name, *arguments: run(environment / "bin" / name, *arguments, cwd=tmp_path)


def test_wheel_holds_packages_models_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {"restore/py.typed", "operators/py.typed"} <= set(names)
    assert "restore/data/models/photo/model.safetensors" in names
    assert "restore/data/models/photo/card.json" in names
    assert {"restore/report/comparison.css", "restore/report/comparison.js"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {
        "operators",
        "restore",
        next(name.partition("/")[0] for name in names if ".dist-info/" in name),
    }


def test_wheel_is_what_is_imported(environment: Path, in_environment: Callable[..., str]) -> None:
    code = "import operators, restore; print(operators.__file__, restore.__file__, sep='\\n')"
    for path in in_environment("python", "-c", code).splitlines():
        assert Path(path).is_relative_to(environment)


def test_wheel_has_help_and_models(in_environment: Callable[..., str]) -> None:
    assert "denoise" in in_environment("restore", "--help")
    models = [
        json.loads(line)
        for line in in_environment("restore", "models", "list", "--json").splitlines()
    ]
    assert "photo" in {model["name"] for model in models}


def test_wheel_denoises(tmp_path: Path, in_environment: Callable[..., str]) -> None:
    noise = np.random.default_rng(0).normal(128, 20, (24, 32, 3))
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(tmp_path / "noisy.png")
    in_environment("restore", "denoise", "noisy.png", "--sigma", "0.08", "-o", "clean.png")
    with Image.open(tmp_path / "clean.png") as clean:
        assert clean.size == (32, 24)
        assert np.asarray(clean).std() < 12


def test_each_dependency_is_pinned() -> None:
    pins = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    needed = {Requirement(line).name for line in requires("score-restore") or []}
    assert needed <= {pin.name for pin in pins}


def test_torch_is_not_pinned_for_users() -> None:
    (torch,) = [r for r in map(Requirement, requires("score-restore") or []) if r.name == "torch"]
    assert "==" not in str(torch.specifier)
    assert "torchvision" not in {Requirement(line).name for line in requires("score-restore") or []}
