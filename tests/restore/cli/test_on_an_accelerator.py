"""Whole commands on a pretended accelerator without double precision: the files of the CPU."""

import numpy as np
import pytest
from PIL import Image
from pretended import DEVICE, accelerator

STEPS = ("--steps", 2)
PICTURES = {
    "inpaint": ("--mask", "mask.png", *STEPS, "--samples", 2, "--save-std"),
    "super-resolve": ("--scale", 1.5, *STEPS, "--samples", 1),
    "denoise": (),
    "colorize": ("--hints", "hints.png", *STEPS, "--average", 1),
    "deblur": ("--kernel", "gaussian:1", "-m", "ddrm", *STEPS, "--average", 1),
    "dejpeg": STEPS,
}


def same_on_the_device(restore, monkeypatch, verb, *arguments):
    arguments += ("--dtype", "fp32")  # a CPU may multiply in bfloat16 by itself
    assert restore(verb, *arguments, "-o", "there.npy", "--device", "cpu").code == 0
    with accelerator(monkeypatch):
        done = restore(verb, *arguments, "-o", "here.npy", "--device", DEVICE)
    assert (done.code, done.err) == (0, "")
    here, there = np.load("here.npy"), np.load("there.npy")
    assert np.abs(here - there).max() < 1e-3 * np.abs(there).max()


@pytest.mark.parametrize("verb", PICTURES)
def test_pictures(restore, monkeypatch, photo, mask, verb):
    source = photo
    if verb == "dejpeg":
        source = photo.with_suffix(".jpg")
        Image.open(photo).crop((0, 0, 17, 15)).save(source, quality=30)
    if verb == "colorize":
        source = photo.with_name("grey.png")
        Image.open(photo).convert("L").save(source)
        hints = Image.open(photo)
        hints.putalpha(Image.open(mask))
        hints.save("hints.png")
    same_on_the_device(restore, monkeypatch, verb, source, *PICTURES[verb])


def head():
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    return (0.02 * (x**2 + y**2 < 0.6) + 0.01 * (np.abs(x - 0.2) < 0.3)).astype(np.float32)


@pytest.mark.parametrize(
    "options", [("-m", "ddrm", *STEPS, "--samples", 1), ("-m", "cg", "--photons", 1e5)], ids=str
)
def test_a_ct_scan(restore, monkeypatch, tmp_path, options):
    np.save(tmp_path / "head.npy", head())
    scan = ("--simulate", "--views", 16, *options)
    same_on_the_device(restore, monkeypatch, "ct", "head.npy", *scan)


@pytest.mark.parametrize("method", ["pnp", "ddrm"])
def test_an_mri_scan(restore, monkeypatch, tmp_path, method):
    np.save(tmp_path / "head.npy", 50 * head())
    scan = ("--simulate", "--coils", 4, "--acceleration", 2, "-m", method, *STEPS)
    same_on_the_device(restore, monkeypatch, "mri", "head.npy", *scan)


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("sample", ("--grid", "1x1", "--size", "16x16", "--sampler", "dpm-solver", *STEPS)),
        ("interpolate", ("photo.png", "photo.png", "--size", "4x4", "--frames", 2,
                         "--tolerance", 0.1)),
    ],
)  # fmt: skip
def test_what_is_drawn(restore, monkeypatch, photo, verb, options):
    with accelerator(monkeypatch):
        done = restore(verb, *options, "-o", "drawn.png", "--device", DEVICE)
    assert (done.code, done.err) == (0, "")
