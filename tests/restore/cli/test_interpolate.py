"""`restore interpolate` with a prior of one line, and with the bundled one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.io.picture import read_picture


@pytest.fixture
def pair(tmp_path):
    for name, level in (("a.png", 60), ("b.png", 190)):
        pixels = np.random.default_rng(level).integers(level - 20, level + 20, (12, 16, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
    return "a.png", "b.png"


def frames_of(strip, count, width):
    return [strip[..., i * (width + 2) : i * (width + 2) + width] for i in range(count)]


def test_strip_from_one_picture_to_the_other(restore, pair, own):
    common = ("interpolate", *pair, "-n", own, "--frames", 5, "--json")
    done = restore(*common, "-o", "strip.npy", "--tolerance", 1e-4)
    assert done.code == 0, done.err
    strip = read_picture("strip.npy").pixels
    assert strip.shape == (3, 12, 5 * 16 + 4 * 2)
    frames = frames_of(strip, 5, 16)
    for frame, name in ((frames[0], "a.png"), (frames[-1], "b.png")):
        assert np.abs(frame - read_picture(name).pixels).max() <= 1.01 / 255
    levels = [float(frame.mean()) for frame in frames]
    assert levels == sorted(levels)
    record = done.records[0]
    assert max(record["round_trip_rms"]) < 2e-3
    ends = [(frames[0], "a.png"), (frames[-1], "b.png")]
    errors = [np.square(frame - read_picture(name).pixels).mean() ** 0.5 for frame, name in ends]
    assert record["round_trip_rms"] == pytest.approx(errors, rel=0.01)
    loose = restore(*common, "-o", "loose.png", "--tolerance", 0.05).records[0]
    assert loose["evaluations"] < record["evaluations"]
    sidecar = json.loads(Path(record["sidecar"]).read_text())
    assert sidecar["frames"] == 5
    assert sidecar["versions"]["torch"]


def test_animation_there_and_back(restore, pair, own):
    done = restore("interpolate", *pair, "-n", own, "--frames", 4, "-o", "way.gif")
    assert done.code == 0, done.err
    assert "come back within" in done.out
    with Image.open("way.gif") as animation:
        assert animation.n_frames == 6
        levels = []
        for number in range(6):
            animation.seek(number)
            levels.append(float(np.asarray(animation.convert("RGB")).mean()))
        assert np.argsort(np.argsort(levels[:4])).tolist() == [0, 1, 2, 3]
        assert levels[4:] == pytest.approx(levels[2:0:-1], abs=2)
        assert animation.info["loop"] == 0
        assert animation.size == (16, 12)
    assert Path("way.json").exists()


def test_default_output_and_size_with_the_bundled_model(restore, pair):
    done = restore("interpolate", *pair, "--frames", 2, "--size", "8x8", "--tolerance", 0.05)
    assert done.code == 0, done.err
    assert read_picture("a_b_interpolate.png").pixels.shape == (3, 8, 18)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (("a.png", "absent.png"), "absent.png: no such file"),
        (("a.png", "other.png"), "other.png: the picture is 5x5, a.png is 16x12; expected"),
        (("a.png", "b.png", "-o", "strip.txt"), "strip.txt: the suffix .txt"),
        (("a.png", "b.png", "-o", "b.png"), "its output b.png is an input"),
        (("a.png", "b.png", "--size", "3"), "--size 3: expected WIDTHxHEIGHT"),
        (("a.png", "b.png", "--dtype", "int"), "--dtype int: expected one of auto, fp32"),
        (("a.png", "b.png", "--frames", "1"), "--frames"),
    ],
)
def test_refuses(restore, pair, own, given, part):
    Image.new("RGB", (5, 5)).save("other.png")
    done = restore("interpolate", *given, "-n", own)
    assert done.code == 2
    assert part in done.err
    assert not Path("strip.json").exists()
