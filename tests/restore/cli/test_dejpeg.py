"""`restore dejpeg` from outside."""

import json

import numpy as np
import pytest
from PIL import Image

QUICK = ("--steps", 1)


def saved(photo, path, **options):
    with Image.open(photo) as image:
        image.save(path, **options)
    return path


def test_a_jpeg_gives_a_png_and_a_sidecar_with_its_tables(restore, tmp_path, photo):
    source = saved(photo, tmp_path / "a.jpg", quality=30)
    done = restore("dejpeg", source, *QUICK, "--json")
    assert (done.code, done.err) == (0, "")
    (record,) = done.records
    assert (record["width"], record["height"], record["method"]) == (40, 30, "pnp-interval")
    with Image.open(tmp_path / "a_dejpeg.png") as image:
        assert (image.format, image.size, image.mode) == ("PNG", (40, 30), "RGB")
    sidecar = json.loads((tmp_path / "a_dejpeg.json").read_text())
    with Image.open(source) as image:
        assert sidecar["operator"]["tables"][0] == list(image.quantization[0])
    certificate = sidecar["certificate"]
    assert certificate["consistent"]
    assert certificate["inside"] >= certificate["bound"] > 0.97


def test_simulated_with_a_quality_and_repeated_from_the_sidecar(restore, tmp_path, photo):
    done = restore(
        "dejpeg", photo, "--simulate", "--quality", 20, *QUICK, "--json", "-o", "b.png"
    )  # fmt: skip
    (record,) = done.records
    assert record["baseline"]["name"] == "decoded"
    assert record["metrics"]["psnr"] > record["baseline"]["psnr"]
    expected = saved(photo, tmp_path / "expected.jpg", quality=20, subsampling="4:2:0")
    assert (tmp_path / "b_degraded.jpg").read_bytes() == expected.read_bytes()
    assert restore("dejpeg", photo, "--config", "b.json", "-o", "c.png").code == 0
    assert np.array_equal(*(np.asarray(Image.open(tmp_path / n)) for n in ("b.png", "c.png")))


def test_the_quality_of_a_simulated_jpeg_is_not_that_of_the_result(restore, tmp_path, photo):
    command = ("dejpeg", photo, "--simulate", "--quality", 5, *QUICK)
    assert restore(*command, "-o", "b.jpg").code == 0
    best = saved(photo, tmp_path / "best.jpg", quality=95)
    with Image.open(tmp_path / "b.jpg") as written, Image.open(best) as expected:
        assert written.quantization == expected.quantization
    source = saved(photo, tmp_path / "a.jpg", quality=5)
    assert restore("dejpeg", source, "--quality", 60, *QUICK, "-o", "c.jpg").code == 0
    other = saved(photo, tmp_path / "other.jpg", quality=60)
    with Image.open(tmp_path / "c.jpg") as written, Image.open(other) as expected:
        assert written.quantization == expected.quantization


def test_samples_are_draws(restore, tmp_path, photo):
    source = saved(photo, tmp_path / "a.jpg", quality=10)
    done = restore("dejpeg", source, "--samples", 2, *QUICK, "--json")
    assert done.records[0]["method"] == "snips-interval"
    assert (tmp_path / "a_dejpeg_1.png").exists()


@pytest.mark.parametrize(
    ("name", "found"),
    [("photo.png", "is PNG, expected a JPEG"), ("cut.jpg", "truncated JPEG"),
     ("cmyk.jpg", "JPEG with CMYK colours"), ("text.jpg", "not a picture")],
)  # fmt: skip
def test_refusals_are_one_line(restore, tmp_path, photo, name, found):
    whole = saved(photo, tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:-200])
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("CMYK", (16, 16)).save(tmp_path / "cmyk.jpg")
    done = restore("dejpeg", name)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"{name}: ")
    assert found in done.err
    assert not (tmp_path / f"{name[:-4]}_dejpeg.png").exists()


def test_methods_for_other_measurements_are_refused(restore, tmp_path, photo):
    source = saved(photo, tmp_path / "a.jpg")
    done = restore("dejpeg", source, "-m", "ddrm")
    assert done.code == 2
    assert (
        "expected one of decoded, ddrm-jpeg, snips-interval, ddrm-interval, pnp-interval"
        in done.err
    )
    done = restore("denoise", photo, "-m", "pnp-interval")
    assert "not for denoise" in done.err
