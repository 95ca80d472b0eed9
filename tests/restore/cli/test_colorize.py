"""`restore colorize` from outside."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

QUICK = ("--steps", 2)
BT601 = np.array([0.299, 0.587, 0.114])


def opened(path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image.copy()


def luma(path) -> np.ndarray:
    values = np.asarray(opened(path)).astype(float)
    return values if values.ndim == 2 else values[..., :3] @ BT601


@pytest.fixture
def grey(tmp_path, photo):
    """Grey from black to white."""
    values = np.asarray(opened(photo).convert("L")).astype(float)
    values = (values - values.min()) / np.ptp(values) * 255
    Image.fromarray(np.rint(values).astype(np.uint8)).save(tmp_path / "grey.png")
    return tmp_path / "grey.png"


@pytest.fixture
def hints(tmp_path):
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[5:8, 5:15] = (255, 0, 0, 255)
    pixels[20:23, 20:36] = (0, 60, 255, 200)
    Image.fromarray(pixels).save(tmp_path / "hints.png")
    return tmp_path / "hints.png"


# From a high level the colours leave the range, where the luma must be kept too.
@pytest.mark.parametrize("level", [0.05, 2.0])
@pytest.mark.parametrize("method", ["pnp", "ddrm"])
def test_the_luma_is_kept(restore, grey, level, method):
    options = ("-m", method, "--average", 1, *QUICK, "--set", f"sigma_max={level}")
    done = restore("colorize", grey, *options)
    assert (done.code, done.err) == (0, "")
    after = opened("grey_colorize.png")
    assert (after.mode, after.size) == ("RGB", (40, 30))
    assert np.abs(luma("grey_colorize.png") - luma(grey)).max() <= 0.5 + 1e-6
    if level == 2.0:
        values = np.asarray(after).astype(int)
        assert np.ptp(values, axis=-1).max() > 30
        assert ((values == 0) | (values == 255)).any(-1).sum() > 5


def test_hints_colour_their_surroundings(restore, grey, hints):
    done = restore("colorize", grey, "--hints", hints, "-o", "out.png")
    assert done.code == 0, done.err
    out = np.asarray(opened("out.png")).astype(int)
    assert np.abs(luma("out.png") - luma(grey)).max() <= 0.5 + 1e-6
    red, blue = out[3:10, 3:17].mean((0, 1)), out[18:25, 18:38].mean((0, 1))
    assert red[0] > red[1] + 10
    assert blue[2] > blue[0] + 10
    sidecar = json.loads(Path("out.json").read_text())
    assert sidecar["operator"]["hinted_pixels"] == 3 * 10 + 3 * 16
    assert sidecar["certificate"]["consistent"] is True
    again = restore("colorize", grey, "--config", "out.json", "-o", "again.png")
    assert again.code == 0, again.err
    assert np.array_equal(np.asarray(opened("again.png")), out)


def test_of_a_colour_picture_the_luma_is_used_and_that_is_said(restore, photo):
    done = restore("colorize", photo, *QUICK)
    assert "a colour picture: its luma is used" in done.out
    assert np.abs(luma("photo_colorize.png") - luma(photo)).max() <= 0.5 + 1e-6


def test_grey_stored_as_colour_is_no_colour_picture(restore, grey, tmp_path):
    opened(grey).convert("RGB").save(tmp_path / "rgb.png")
    assert "a colour picture" not in restore("colorize", "rgb.png", *QUICK).out


def test_simulate_compares_with_grey(restore, tmp_path, photo):
    (record,) = restore("colorize", photo, "--simulate", *QUICK, "--json").records
    assert opened(tmp_path / "photo_degraded.png").mode == "L"
    assert record["baseline"]["name"] == "grey"
    assert record["metrics"]["psnr"] > record["baseline"]["psnr"] - 1


@pytest.mark.parametrize(
    ("mode", "written"), [("LA", "RGBA"), ("I;16", "RGB"), ("1", "RGB"), ("P", "RGB")]
)
def test_kinds_of_pictures(restore, tmp_path, grey, mode, written):
    picture = opened(grey)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    picture.convert(mode).save(tmp_path / "kind.png")
    assert restore("colorize", "kind.png", *QUICK).code == 0
    assert opened(tmp_path / "kind_colorize.png").mode == written


def test_refuses(restore, tmp_path, grey, hints):
    opened(hints).resize((41, 30)).save(tmp_path / "wide.png")
    opened(hints).convert("RGB").save(tmp_path / "opaque.png")
    for options, part in (
        (("--hints", "wide.png"), "wide.png: hints are 41x30, the picture is 40x30"),
        (("--hints", "opaque.png"), "opaque.png: hints without transparency; expected"),
        (("--hints", "absent.png"), "absent.png: no such file"),
        (("--simulate",), "grey.png: grey; expected a colour picture"),
    ):
        done = restore("colorize", grey, *options)
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
        assert part in done.err
    assert not list(tmp_path.glob("*_colorize*"))
