"""`restore likelihood` against a prior whose density is known, and with the bundled one."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.io.picture import read_picture


def bits_of(path: str) -> float:
    """What the prior gives the levels of a file."""
    pixels = read_picture(path).pixels.astype(np.float64)
    density = -0.5 * ((pixels - 0.5) / 0.2) ** 2 - math.log(0.2 * math.sqrt(2 * math.pi))
    return float(-density.mean() / math.log(2) + math.log2(255))


@pytest.mark.parametrize("trace", ["rademacher", "gaussian", "exact"])
def test_equals_the_known_density(restore, photo, own, trace):
    """Within 5 standard errors (6e-7), and 0.003 bits of the solver and of σ_min."""
    done = restore("likelihood", photo, "-n", own, "--crop", 12, "--trace", trace, "--draws", 8,
                   "--tolerance", 1e-5, "--json")  # fmt: skip
    assert done.code == 0, done.err
    record = done.records[0]
    with Image.open(photo) as picture:
        picture.crop((14, 9, 26, 21)).save("centre.png")
    assert record["picture"] == [40, 30]
    assert [record["width"], record["height"]] == [12, 12]
    assert record["dequantised"] is True
    most = 5 * record["standard_error"] + 0.003
    assert record["bits_per_dim"] == pytest.approx(bits_of("centre.png"), abs=most)
    assert record["standard_error"] < (0.2 if trace == "gaussian" else 0.01)


def test_the_error_is_that_of_the_mean_of_draws_of_the_seed(restore, tmp_path, own):
    """Of two draws it is half their difference; 16 bits have 8 more than 8."""
    levels = np.random.default_rng(0).integers(20000, 40000, (4, 4)).astype(np.uint16)
    Image.fromarray(levels).save("deep.png")

    def bits(trace, draws, seed=0):
        common = ("-n", own, "--tolerance", 0.05, "--json")
        drawn = ("--trace", trace, "--draws", draws, "--seed", seed)
        (record,) = restore("likelihood", "deep.png", *common, *drawn).records
        return record["bits_per_dim"], record["standard_error"]

    (one, _), (two, error), (other, _) = (
        bits("gaussian", draws, seed) for draws, seed in ((1, 0), (2, 0), (1, 1))
    )
    assert error == pytest.approx(abs(one - two), rel=0.2)
    assert abs(one - other) > 0.01
    expected = bits_of("deep.png") + math.log2(65535 / 255)
    assert bits("rademacher", 1)[0] == pytest.approx(expected, abs=0.5)


def test_what_is_unlike_the_data_needs_more_bits(restore, tmp_path):
    """The bundled model: a smooth picture and one of independent pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(noise).save("noise.png")
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save("flat.png")
    done = restore(
        "likelihood", "flat.png", "noise.png", "--draws", 1, "--tolerance", 0.01, "--json"
    )
    assert done.code == 0, done.err
    flat, noisy = done.records
    assert flat["standard_error"] is None
    assert noisy["bits_per_dim"] > 7
    assert flat["bits_per_dim"] < noisy["bits_per_dim"] - 2


def test_several_files_with_a_bad_one(restore, photo, own):
    Path("text.png").write_text("hello")
    np.save("float.npy", read_picture(photo).pixels[0])
    done = restore("likelihood", photo, "text.png", "float.npy", "-n", own, "--crop", 8)
    assert done.code == 1
    assert "text.png:" in done.err
    assert done.out.count("bits/dim") == 2
    assert "(8x8 of 40x30," in done.out


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (("absent.png",), "absent.png: no such file"),
        (("photo.png", "--trace", "none"), "--trace none: expected rademacher"),
        (("photo.png", "--trace", "exact"), "3600 numbers are too many for the exact trace"),
        (("photo.png", "--device", "tpu"), "--device tpu: not here"),
        (("photo.png", "-n", "phot"), "did you mean photo"),
    ],
)
def test_refuses(restore, photo, given, part):
    done = restore("likelihood", *given)
    assert done.code == 2
    assert part in done.err
    assert "Traceback" not in done.err
