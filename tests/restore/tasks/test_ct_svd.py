"""The exact SVD of a scan is made once, kept, and refused where it cannot be had."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restore.tasks.ct_svd
from operators import ParallelBeamCT
from restore.errors import InputError
from restore.tasks.ct import CT
from restore.tasks.ct_settings import CtSettings
from restore.tasks.ct_svd import exact_factors
from restore.tasks.scanner import Scanner


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "score-restore"


def scan(views: int = 10) -> ParallelBeamCT:
    return ParallelBeamCT((1, 16, 16), torch.arange(views).double() * (math.pi / views), 23)


def test_factors_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = exact_factors(scan())
    (path,) = cache.glob("ct-svd-*.safetensors")
    monkeypatch.setattr(restore.tasks.ct_svd, "ray_factors", None)
    again = exact_factors(scan())
    assert again.symmetry == first.symmetry
    for a, b in zip(again.vectors + again.values, first.vectors + first.values, strict=True):
        assert torch.equal(a, b)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    path.write_bytes(path.read_bytes()[:1000])
    for a, b in zip(exact_factors(scan()).values, first.values, strict=True):
        assert torch.equal(a, b)


def test_a_home_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(exact_factors(scan()).vectors) == 5


def test_no_home_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of an account that the system does not know, in a container."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert len(exact_factors(scan()).vectors) == 5


def test_too_little_memory_is_refused_before(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore.tasks.ct_svd, "available_memory", lambda device: 1000)
    with pytest.raises(InputError, match=r"16x16 pixels needs .* GiB of memory"):
        exact_factors(scan())
    assert not cache.exists()


VIEWS: dict[str, Any] = {"views": 16, "sigma": 0.01}


def solved(folder: Path, seen: list[tuple[int, int]], **settings: Any) -> dict[str, Any]:
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    disc = (0.02 * (x**2 + y**2 < 0.6)).astype(np.float32)
    np.save(folder / "disc.npy", disc)
    chosen = CtSettings(
        method="ddrm", simulate=True, device="cpu", parameters={"steps": 4}, **settings
    )  # fmt: skip
    result = Scanner(CT, chosen).restore(
        folder / "disc.npy", folder / "out.npy", suffix="",
        on_step=lambda step, total, x_hat: seen.append((step, total)),
    )  # fmt: skip
    return result.record


def test_a_method_that_needs_it_has_it_made(cache: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    record = solved(tmp_path, seen, **VIEWS)
    # Total variation that it starts from, blocks of the SVD, and evaluations.
    assert seen == [(i, total) for total in (200, 5, 4) for i in range(1, total + 1)]
    assert record["method"] == "ddrm"
    assert record["metrics"]["psnr"] > record["baseline"]["psnr"]
    assert list(cache.glob("ct-svd-*"))


def test_what_has_none_is_refused(cache: Path, tmp_path: Path) -> None:
    fit = "methods that fit: pnp, .*ddrm-cg, diffpir"
    with pytest.raises(InputError, match=f"disc.npy: .*ddrm: --photons .* no SVD; {fit}"):
        solved(tmp_path, [], views=16, photons=1e5)
    with pytest.raises(InputError, match=f"disc.npy: .*ddrm: .*not symmetric.*; {fit}"):
        solved(tmp_path, [], sigma=0.01, angles="0:120:16")
