"""Each restoring verb end to end on random small pictures, with a denoiser of one's own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from restore.cli.app import app
from restore.io.picture import read_picture, write_picture

MODULE = """
def shrink(x, sigma):
    return 0.5 + (x - 0.5) / 1.1
"""
SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20))
SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("1", "P", "L", "LA", "RGB", "RGBA", "L;16", "RGB;16", "RGBA;16")
DONE = {
    "1": ("L", 8),
    "P": ("RGB", 8),
    "L;16": ("I;16", 16),
    "RGB;16": ("RGB;16", 16),
    "RGBA;16": ("RGBA;16", 16),
}


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_shrink.py").write_text(MODULE)
    sys.path.append(str(folder))
    yield "own_shrink:shrink"
    sys.path.remove(str(folder))
    sys.modules.pop("own_shrink", None)


def saved(path: Path, kind: str, size: tuple[int, int], seed: int) -> Path:
    rng = np.random.default_rng(seed)
    if kind == "L;16":
        Image.fromarray(rng.integers(0, 65536, size, dtype=np.uint16)).save(path)
        return path
    if kind.endswith(";16"):
        levels = rng.random((3, *size), dtype=np.float32)
        write_picture(path, levels, bits=16, alpha=rng.random(size) if "A" in kind else None)
        return path
    image = Image.fromarray(rng.integers(0, 256, (*size, 4), dtype=np.uint8))
    if kind == "P":
        image = image.convert("RGB")
        image.putpixel((0, 0), (200, 10, 10))  # else it may be read as grey
        image = image.quantize(32)
    else:
        image = image.convert(kind)
    image.save(path)
    return path


def run(folder: Path, prior: str, *arguments: object) -> Path:
    done = CliRunner().invoke(
        app,
        [str(a) for a in (*arguments, "-n", prior, "--steps", 2, "-o", folder / "out.png")],
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.stderr
    assert list(folder.glob("out.json"))
    return folder / "out.png"


def check_kind(path: Path, kind: str, size: tuple[int, int]) -> None:
    mode, bits = DONE.get(kind, (kind, 8))
    found = read_picture(path)
    assert (found.height, found.width) == size
    assert (found.mode, found.bits) == (mode, bits)


@settings(max_examples=25)
@given(kind=st.sampled_from(KINDS), size=SIZES, seed=SEEDS)
def test_denoise(prior, kind, size, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = saved(folder / "a.png", kind, size, seed)
        out = run(folder, prior, "denoise", source, "--sigma", 0.05)
        check_kind(out, kind, size)
        before, after = read_picture(source), read_picture(out)
        if before.alpha is not None:
            assert np.array_equal(before.alpha, after.alpha)


@settings(max_examples=20)
@given(kind=st.sampled_from(KINDS), size=SIZES.filter(lambda s: s != (1, 1)), seed=SEEDS)
def test_inpaint_leaves_what_is_known(prior, kind, size, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = saved(folder / "a.png", kind, size, seed)
        hole = np.random.default_rng(seed).random(size) < 0.4
        hole.flat[0], hole.flat[-1] = True, False
        Image.fromarray(hole).save(folder / "mask.png")
        out = run(folder, prior, "inpaint", source, "--mask", folder / "mask.png")
        check_kind(out, kind, size)
        before, after = read_picture(source), read_picture(out)
        assert np.array_equal(after.pixels[:, ~hole], before.pixels[:, ~hole])


@settings(max_examples=15)
@given(kind=st.sampled_from(KINDS), size=SIZES, seed=SEEDS, scale=st.sampled_from([1.5, 2, 3]))
def test_super_resolve(prior, kind, size, seed, scale):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = saved(folder / "a.png", kind, size, seed)
        out = run(folder, prior, "super-resolve", source, "--scale", scale)
        found = read_picture(out)
        assert abs(found.height - scale * size[0]) <= 0.5
        assert abs(found.width - scale * size[1]) <= 0.5
        check_kind(out, kind, (found.height, found.width))


@settings(max_examples=12)
@given(
    kind=st.sampled_from(KINDS),
    seed=SEEDS,
    kernel=st.sampled_from(["gaussian:1", "box:3", "motion:3,30"]),
)
def test_deblur(prior, kind, seed, kernel):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = saved(folder / "a.png", kind, (17, 14), seed)
        out = run(folder, prior, "deblur", source, "--kernel", kernel, "--sigma", 0.02)
        check_kind(out, kind, (17, 14))


@settings(max_examples=12)
@given(kind=st.sampled_from(["L", "LA", "RGB", "L;16"]), size=SIZES, seed=SEEDS)
def test_colorize_keeps_luma(prior, kind, size, seed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = saved(folder / "a.png", kind, size, seed)
        found = read_picture(run(folder, prior, "colorize", source))
        before = read_picture(source)
        weights = np.array([0.299, 0.587, 0.114])
        luma = before.pixels[0] if before.channels == 1 else np.tensordot(weights, before.pixels, 1)
        assert np.abs(np.tensordot(weights, found.pixels, 1) - luma).max() <= 1 / 255 + 1e-6
        assert found.bits == (16 if kind == "L;16" else 8)
        assert (found.alpha is None) == (before.alpha is None)


@settings(max_examples=12)
@given(
    size=SIZES,
    seed=SEEDS,
    quality=st.integers(5, 95),
    grey=st.booleans(),
    sampling=st.sampled_from([0, 1, 2]),
)
def test_dejpeg(prior, size, seed, quality, grey, sampling):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        levels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        image = Image.fromarray(levels).convert("L" if grey else "RGB")
        options = {} if grey else {"subsampling": sampling}
        image.save(folder / "a.jpg", quality=quality, **options)
        found = read_picture(run(folder, prior, "dejpeg", folder / "a.jpg"))
        assert (found.height, found.width, found.channels) == (*size, 1 if grey else 3)
