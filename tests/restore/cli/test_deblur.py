"""`restore deblur` from outside."""

import json

import numpy as np
import pytest
from PIL import Image

QUICK = ("--steps", 2)


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("kernel", ["gaussian:1.5", "motion:7,20"])
def test_simulate_restores_better_than_it_was(restore, tmp_path, photo, kernel):
    """With an SVD and without."""
    command = ("deblur", photo, "--kernel", kernel, "--simulate", "--sigma", 0.01, "--json")
    (record,) = restore(*command).records
    blurred, truth = (pixels(p).astype(float) for p in ("photo_degraded.png", photo))
    before = 10 * np.log10(255**2 / np.square(blurred - truth).mean())
    assert record["metrics"]["psnr"] > before
    assert record["baseline"]["name"] == "wiener"
    assert (record["width"], record["height"], record["method"]) == (40, 30, "pnp")
    sidecar = json.loads((tmp_path / "photo_deblur.json").read_text())
    assert sidecar["certificate"]["consistent"] is True
    assert sidecar["operator"] == {"name": "Blur", "kernel": kernel, "border": "valid"}


def test_the_noise_is_estimated_printed_and_overridden(restore, photo):
    done = restore("deblur", photo, "--kernel", "box:3", *QUICK)
    assert done.code == 0, done.err
    assert "noise estimated: sigma 0.0" in done.out
    (record,) = restore(
        "deblur", photo, "--kernel", "box:3", "--sigma", 0, *QUICK, "--json", "--overwrite"
    ).records
    assert record["noise_std"] == pytest.approx(1 / (255 * 12**0.5))


@pytest.mark.parametrize("border", ["reflect", "replicate", "zero", "circular", "valid"])
def test_every_border_keeps_the_size(restore, photo, border):
    options = ("--kernel", "disk:1.5", "--border", border, "--steps", 1)
    (record,) = restore("deblur", photo, *options, "--json").records
    assert (record["width"], record["height"]) == (40, 30)


@pytest.mark.parametrize("border", ["reflect", "valid"])
def test_one_pixel(restore, tmp_path, border):
    Image.new("RGB", (1, 1), (200, 10, 30)).save(tmp_path / "dot.png")
    done = restore("deblur", "dot.png", "--kernel", "gaussian:0.1", "--border", border, *QUICK)
    assert (done.code, done.err) == (0, "")
    assert np.abs(pixels("dot_deblur.png").astype(int) - (200, 10, 30)).max() <= 2


def test_a_kernel_of_a_file_and_the_sidecar_repeats_the_run(restore, tmp_path, photo, monkeypatch):
    weights = np.array([[0, 64, 0], [64, 128, 0], [0, 0, 0]], np.uint8)
    Image.fromarray(weights).save(tmp_path / "k.png")
    done = restore("deblur", photo, "--kernel", "k.png", *QUICK, "-o", "a.png")
    assert "kernel k.png: 3x3, divided by its sum 1.00392" in done.out
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = restore("deblur", photo, "--config", "../a.json", "-o", "b.png")
    assert done.code == 0, done.err
    assert np.array_equal(pixels("../a.png"), pixels("b.png"))


def test_samples_of_any_kernel(restore, photo):
    command = ("deblur", photo, "--kernel", "motion:5,30", "--samples", 2, *QUICK, "--json")
    (record,) = restore(*command).records
    assert (record["method"], record["evaluations"]) == ("ccdf", 8)
    assert not np.array_equal(pixels("photo_deblur_0.png"), pixels("photo_deblur_1.png"))


def test_a_method_that_needs_an_svd_names_those_that_fit(restore, photo):
    done = restore("deblur", photo, "--kernel", "motion:5,30", "-m", "ddrm")
    assert done.code == 2
    assert "ddrm needs a fast SVD, which Blur has not" in done.err
    assert "ddrm-cg" in done.err


def test_super_resolve_without_an_svd_changes_its_sampler_and_says_so(restore, photo):
    options = ("--scale", 2, "--kernel", "motion:5,30", "--average", 2, *QUICK)
    done = restore("super-resolve", photo, *options)
    assert done.code == 0, done.err
    assert "Downsample @ Blur has no fast SVD here: ddrm-cg instead of ddrm" in done.out


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ((), "--kernel: missing; expected gaussian:SIGMA"),
        (("--kernel", "gauss:1"), "--kernel gauss:1: no such kernel or file; expected gaussian"),
        (("--kernel", "box:4"), "--kernel box:4: expected an odd number"),
        (("--kernel", "disk:20"), "photo.png: the kernel disk:20 is 41x41, larger than the"),
        (("--kernel", "box:3", "--border", "mirror"), "--border mirror: expected 'reflect', "),
        (("--kernel", "even.npy"), "even.npy: a kernel of 4x4 has no centre; expected"),
    ],
)
def test_refuses(restore, tmp_path, photo, options, part):
    np.save(tmp_path / "even.npy", np.ones((4, 4)))
    done = restore("deblur", photo, *options)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert part in done.err


def test_ddrm_loses_little_with_more_steps(restore, tmp_path, photo):
    """From an estimate a hundred steps lost 6 dB; an estimate of one's own still is the start."""
    run = ("deblur", photo, "--simulate", "--kernel", "gaussian:2", "--sigma", 0.02, "-m", "ddrm",
           "--average", 1, "--overwrite", "--json", "-o", "out.png")  # fmt: skip
    few, many = (
        restore(*run, "--steps", steps).records[0]["metrics"]["psnr"] for steps in (20, 100)
    )
    assert many > few - 1
    assert "sigma_max" not in json.loads((tmp_path / "out.json").read_text())["parameters"]
    restore(*run, "--steps", 5, "--init", photo)
    assert json.loads((tmp_path / "out.json").read_text())["parameters"]["sigma_max"] == 0.3
