"""The adapters of the authors' code: what they need of it is not here, what they give it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import operators
from benchmarks.peers.authors import DDNM, DDRM, DPS, SNIPS, load
from benchmarks.peers.svd_basis import Basis
from operators import LinearOperator
from restore.errors import InputError
from restore.methods import Method
from restore.noise import NoiseSource
from restore.prior.denoiser import FunctionDenoiser
from restore.problem import Problem

SHAPE = (3, 8, 8)
OPERATORS = {
    "mask": lambda: operators.Mask(torch.rand(8, 8, generator=_generator()) < 0.5, SHAPE),
    "downsample": lambda: operators.Downsample(SHAPE, 4, kernel="bicubic"),
    "colorize": lambda: operators.Colorize(SHAPE),
    "hadamard": lambda: operators.Hadamard(SHAPE, 0.25, seed=0),
    "blur": lambda: operators.Blur(SHAPE, operators.gaussian_kernel(1.0)),
}


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_basis_is_the_operators(name: str) -> None:
    operator: LinearOperator = OPERATORS[name]()
    basis = Basis(operator)
    s, size = basis.singulars(), operator.domain.numel
    v = basis.V(torch.eye(size)).T
    u = basis.U(torch.eye(len(s))).T
    matrix = operator(torch.eye(size).reshape(-1, *SHAPE)).flatten(1).T

    assert bool((s.diff() <= 0).all())
    torch.testing.assert_close(v.T @ v, torch.eye(size), atol=1e-5, rtol=0)
    torch.testing.assert_close(u.T @ u, torch.eye(len(s)), atol=1e-5, rtol=0)
    torch.testing.assert_close(basis.Vt(torch.eye(size)), v, atol=1e-5, rtol=0)
    torch.testing.assert_close(basis.Ut(torch.eye(len(u))), u, atol=1e-5, rtol=0)
    torch.testing.assert_close((u * s) @ v[:, : len(s)].T, matrix, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cls", [DDRM, DDNM, DPS, SNIPS])
def test_a_missing_folder_is_refused_in_a_line(
    cls: type[Method], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem(OPERATORS["mask"](), torch.zeros(1, *SHAPE))
    prior = FunctionDenoiser(lambda x, _: x)
    repository = cls.reference.removeprefix("https://github.com/")

    monkeypatch.delenv("AUTHORS", raising=False)
    with pytest.raises(InputError, match=f"AUTHORS is not set; expected .*{repository}$"):
        cls()(problem, prior, noise=NoiseSource(0))
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("AUTHORS", str(tmp_path))
    with pytest.raises(InputError) as refused:
        cls()(problem, prior, noise=NoiseSource(0))
    line = str(refused.value)
    assert line.startswith(f"AUTHORS={tmp_path}: found other; expected {tmp_path}/")
    assert line.endswith(f"a clone of {cls.reference}")
    monkeypatch.setenv("AUTHORS", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="found no such folder; expected"):
        cls()(problem, prior, noise=NoiseSource(0))


def test_a_clone_is_imported_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "thing" / "pack"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "other.py").write_text("VALUE = 7\n")
    lines = ["import torchvision.utils", "from tqdm.auto import tqdm", "from .other import VALUE"]
    (package / "sampler.py").write_text("\n".join([*lines, "SUM = sum(tqdm(range(4), desc='')) "]))
    monkeypatch.setenv("AUTHORS", str(tmp_path))
    modules, path = dict(sys.modules), list(sys.path)

    module = load("someone/thing", "pack/sampler.py")

    assert (module.VALUE, module.SUM) == (7, 6)
    assert sys.modules == modules
    assert sys.path == path
