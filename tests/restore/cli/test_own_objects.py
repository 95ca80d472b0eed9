"""`-m package.module:Class` and `-n package.module:name`: a user's own method and denoiser."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CODE = """
from dataclasses import dataclass
from typing import ClassVar

import torch

from restore import Denoiser
from restore.methods import Method


@dataclass(frozen=True)
class Flat(Method):
    level: float = 0.25
    name: ClassVar[str] = "flat"
    title: ClassVar[str] = "One value"
    reference: ClassVar[str] = "none"
    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(self, problem, prior, *, noise, on_step=None):
        return prior(problem.operator.adjoint(problem.y) * 0 + self.level, 0.1)


@dataclass(frozen=True)
class Bare:
    level: float = 0.25

    def __call__(self, problem, prior, *, noise, on_step=None):
        return prior(problem.operator.adjoint(problem.y) * 0 + self.level, 0.1)


class Plain:
    def __call__(self, problem, prior, *, noise, on_step=None):
        return prior(problem.operator.adjoint(problem.y) * 0 + 0.25, 0.1)


def same(x, sigma):
    return x


def smaller(x, sigma):
    return x[..., 1:]


def overflown(x, sigma):
    return x * float("nan")


def broken(x, sigma):
    raise RuntimeError("no weights")


@dataclass(frozen=True)
class Wanting(Bare):
    wanted: float = None

    def __post_init__(self):
        self.wanted + 1


class Black(Denoiser):
    def __call__(self, x, sigma):
        return 0 * x


class Little(Denoiser):
    # As denoisers of plug-and-play methods often do.
    sigma_max = 0.04

    def __call__(self, x, sigma):
        assert torch.as_tensor(sigma).max() <= self.sigma_max
        return 0.9 * x


black = Black()
number = 3
"""


@pytest.fixture(autouse=True)
def _own_module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("mine", None)


def _middle(path):
    return np.asarray(Image.open(path))[12, 20].tolist()


@pytest.mark.parametrize(
    ("model", "expected"), [("mine:same", 51), ("mine:Black", 0), ("mine:black", 0)]
)
def test_own_method_and_denoiser(restore, photo, mask, model, expected):
    options = ("--mask", mask, "-m", "mine:Flat", "--set", "level=0.2", "-n", model)
    done = restore("inpaint", photo, *options, "-o", "out.png", "--json")
    assert done.code == 0, done.err
    record = done.records[0]
    assert (record["method"], record["model"]) == ("mine:Flat", model)
    assert _middle("out.png") == [expected] * 3
    sidecar = json.loads(Path(record["sidecar"]).read_text())
    assert sidecar["model_sha256"] is None
    assert sidecar["parameters"] == {"level": 0.2}
    again = restore("inpaint", photo, "--config", record["sidecar"], "-o", "again.png")
    assert again.code == 0, again.err
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


@pytest.mark.parametrize(
    "options", [("inpaint",), ("inpaint", "--samples", 2), ("deblur", "--best"), ("colorize",)]
)
def test_the_first_level_is_one_that_the_denoiser_knows(restore, photo, mask, options):
    masked = ("--mask", mask) if options[0] == "inpaint" else ()
    kernel = ("--kernel", "box:3") if options[0] == "deblur" else ()
    common = (*options, photo, *masked, *kernel, "--steps", 2, "-n", "mine:Little", "-o")
    assert restore(*common, "out.png").code == 0
    assert json.loads(Path("out.json").read_text())["parameters"]["sigma_max"] == 0.04
    # What the user asks for is not put right.
    done = restore(*common, "no.png", "--set", "sigma_max=0.05")
    assert (done.code, "knows levels up to 0.04" in done.err) == (2, True)


@pytest.mark.parametrize("name", ["Bare", "Plain"])
def test_a_class_need_not_be_a_method(restore, photo, mask, name):
    options = ("inpaint", photo, "--mask", mask, "-m", f"mine:{name}", "-n", "mine:same")
    assert restore(*options, "-o", "out.png").code == 0
    assert _middle("out.png") == [64] * 3
    set_ = restore(*options, "--set", "level=0.2", "-o", "set.png")
    assert (set_.code, "level" in set_.err) == ((0, False) if name == "Bare" else (2, True))
    compared = restore(
        "compare", photo, "--task", "inpaint", "--mask", mask, "-m", f"mine:{name}", "-n",
        "mine:same", "--json",
    )  # fmt: skip
    assert compared.code == 0, compared.err


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("-m", "nowhere:Thing"), ("nowhere:Thing", "expected a module")),
        (("-m", "mine:Thing"), ("mine:Thing", "has no Thing")),
        (("-m", "mine:same"), ("mine:same", "expected a class whose objects are called")),
        (("-n", "nowhere:thing"), ("nowhere:thing", "expected a module")),
        (("-n", "mine:number"), ("mine:number", "expected a function D(x, sigma)")),
        (("-n", "mine:smaller"), ("photo.png", "expected")),
    ],
)
def test_refuses_what_does_not_serve(restore, photo, mask, options, parts):
    done = restore("inpaint", photo, "--mask", mask, *options)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert all(part in done.err for part in parts), done.err


@pytest.mark.parametrize(
    "command",
    [
        "denoise photo.png --sigma 0.1 -o out.png",
        "denoise photo.png --sigma 0.1 -m dps --steps 2 -o out.png",
        "sample --guide photo.png -o out.png",
        "sample --grid 1x1 --steps 2 -o out.png",
        "sample --grid 1x1 --sampler ode -o out.png",
        "interpolate photo.png photo.png -o out.png",
        "likelihood photo.png",
    ],
)
@pytest.mark.usefixtures("photo")
def test_a_denoiser_that_overflows_is_one_line(restore, command):
    there = {path.name for path in Path().iterdir()}
    done = restore(*command.split(), "-n", "mine:overflown")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "NaN or infinity" in done.err
    assert {path.name for path in Path().iterdir()} - {"__pycache__"} == there


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-n", "mine:broken"), "RuntimeError: no weights"),
        (("-m", "mine:Wanting"), "TypeError: unsupported operand"),
    ],
)
def test_what_fails_in_own_code_is_a_line_for_each_file(restore, photo, mask, options, said):
    Image.open(photo).save("other.png")
    done = restore("inpaint", photo, "--mask", mask, *options)
    assert (done.code, len(done.err.splitlines())) == (2, 1), done.err
    assert done.err.startswith(f"{photo}: {said}")
    assert "--debug" in done.err
    assert not Path("photo_inpaint.png").exists()
    both = restore("inpaint", photo, "other.png", "--mask", mask, *options)
    assert (both.code, len(both.err.splitlines())) == (1, 2), both.err
    assert "Traceback" in restore("inpaint", photo, "--mask", mask, *options, "--debug").err


def test_a_module_that_fails_when_it_is_imported_is_named(restore, photo):
    Path("faulty.py").write_text("1 / 0\n")
    done = restore("denoise", photo, "-n", "faulty:prior")
    assert (done.code, len(done.err.splitlines())) == (2, 1), done.err
    assert "ZeroDivisionError" in done.err


def test_what_fails_elsewhere_is_one_line(restore, photo):
    done = restore("likelihood", photo, "-n", "mine:broken")
    assert (done.code, len(done.err.splitlines())) == (2, 1), done.err
    assert "no weights" in done.err
