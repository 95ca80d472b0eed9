"""`restore sample` from outside, and `--init` of every verb that restores."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from operators import Downsample
from restore.io.picture import read_picture
from restore.methods.ilvr import low_pass_filter
from restore.tasks.grid import side_by_side
from restore.tasks.task import pixels_of

QUICK = ("--steps", 3)


def read(path) -> torch.Tensor:
    return pixels_of(read_picture(path), torch.device("cpu"))


def refused(done, *parts):
    """One line on stderr with all the parts; nothing on stdout."""
    assert done.code == 2
    for part in parts:
        assert part in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def other(tmp_path, photo):
    """Another picture of the size of the first."""
    with Image.open(photo) as image:
        image.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "other.png")
    return tmp_path / "other.png"


class TestSample:
    def test_the_result_shares_the_low_frequencies_of_the_guide(self, restore, photo):
        done = restore("sample", "--guide", photo, *QUICK, "--json", "-o", "drawn.png")
        assert done.code == 0
        record = done.records[0]
        assert record["task"] == "sample"
        assert record["method"] == "ilvr"
        assert record["steps"] == 3
        guide, drawn = read(photo), read("drawn.png")
        space = type("Space", (), {"shape": (3, 30, 40), "dtype": torch.float32})
        low_pass = low_pass_filter(space, 8.0, torch.device("cpu"))
        assert (low_pass(drawn) - low_pass(guide)).square().mean().sqrt() < 0.03
        assert (drawn - guide).abs().max() > 0.02
        sidecar = json.loads(Path(record["sidecar"]).read_text())
        shrink = Downsample((3, 30, 40), 8.0)
        misfit = float((shrink(drawn) - shrink(guide)).square().mean().sqrt())
        assert record["residual"] == pytest.approx(misfit, rel=1e-3)
        assert sidecar["operator"] == {"name": "Downsample", "factor": 8.0}
        assert sidecar["certificate"]["consistent"] == (misfit <= sidecar["certificate"]["bound"])
        assert sidecar["parameters"]["factor"] == 8
        assert sidecar["parameters"]["phi"] == "resize"

    def test_another_seed_is_another_picture_and_a_sidecar_repeats_it(self, restore, photo):
        for seed, name in ((1, "one.png"), (2, "two.png")):
            assert restore("sample", "--guide", photo, *QUICK, "--seed", seed, "-o", name).code == 0
        assert (
            restore("sample", "--guide", photo, "--config", "one.json", "-o", "again.png").code == 0
        )
        assert torch.equal(read("one.png"), read("again.png"))
        assert not torch.equal(read("one.png"), read("two.png"))

    def test_size_and_samples(self, restore, photo):
        done = restore(
            "sample", "--guide", photo, *QUICK, "--size", "24x16", "--samples", 2, "-o", "out/"
        )
        assert done.code == 0, done.err
        assert read("out/photo_sample_0.png").shape == (1, 3, 16, 24)
        assert not torch.equal(read("out/photo_sample_0.png"), read("out/photo_sample_1.png"))

    def test_a_sidecar_asks_for_its_guide(self, restore, photo):
        assert restore("sample", "--guide", photo, *QUICK, "-o", "one.png").code == 0
        done = restore("sample", "--config", "one.json", "-o", "again.png")
        refused(done, f"one.json: of a run with a guide, expected --guide {photo}")

    @pytest.mark.parametrize(
        ("given", "part"),
        [
            ((), "--guide"),
            (("--guide", "absent.png"), "absent.png: no such file"),
            (("--guide", "text.png"), "text.png:"),
            (("--guide", "photo.png", "--size", "x"), "--size x: expected WIDTHxHEIGHT"),
            (("--guide", "photo.png", "--simulate"), "--simulate: nothing is measured"),
            (("--guide", "photo.png", "--init", "photo.png"), "--init: the guide is"),
            (("--guide", "photo.png", "--sigma", "0.1"), "--sigma: nothing is measured"),
            (("--guide", "photo.png", "-m", "ddrm"), "not for sample; expected one of"),
            (("--guide", "photo.png", "-m", "scoresde"), "not for sample; expected one of"),
            (("--guide", "photo.png", "--set", "phi=projection"), "expected phi=resize"),
            (
                ("--guide", "photo.png", "--set", "factor=0.5"),
                "--set factor=0.5: expected a number",
            ),
            (("--guide", "photo.png", "--set", "factor=much"), "factor=much: expected a number"),
        ],
    )
    def test_refuses(self, restore, tmp_path, photo, given, part):
        (tmp_path / "text.png").write_text("hello")
        refused(restore("sample", *given), part)
        assert not (tmp_path / "photo_sample.png").exists()


class TestGrid:
    """Without a guide."""

    def test_pictures_side_by_side_and_their_sidecar(self, restore):
        done = restore("sample", "--grid", "3x2", "--size", "8x6", *QUICK, "-o", "g.png", "--json")
        assert done.code == 0, done.err
        assert read("g.png").shape == (1, 3, 2 * 6 + 2, 3 * 8 + 4)
        record = done.records[0]
        assert record["pictures"] == 6
        assert record["evaluations"] == 5
        assert record["sampler"] == "heun"
        again = restore("sample", "--config", "g.json", "-o", "again.png")
        assert again.code == 0, again.err
        assert torch.equal(read("g.png"), read("again.png"))
        other = restore("sample", "--config", "g.json", "--seed", 1, "-o", "other.png")
        assert other.code == 0, other.err
        assert not torch.equal(read("g.png"), read("other.png"))

    def test_pictures_lie_row_by_row(self):
        dots = torch.arange(6.0).reshape(6, 1, 1, 1)
        assert side_by_side(dots, 3)[0, ::3, ::3].tolist() == [[0, 1, 2], [3, 4, 5]]

    @pytest.mark.parametrize("sampler", ["dpm-solver", "ode", "euler-maruyama"])
    def test_the_first_picture_does_not_depend_on_the_grid(self, restore, sampler):
        loose = ("--set", "rtol=0.05", "--set", "atol=0.05")
        common = ("--size", "8x8", "--sampler", sampler, *(loose if sampler == "ode" else QUICK))
        assert restore("sample", "--grid", "1x1", *common, "-o", "one.png").code == 0
        alone = () if sampler == "ode" else ("--batch-size", 1)  # steps that adapt are so anyway
        many = restore("sample", "--grid", "2x1", *common, *alone, "-o", "two.png")
        assert many.code == 0, many.err
        first, second = read("two.png")[..., :8], read("two.png")[..., -8:]
        assert torch.equal(read("one.png"), first)
        assert not torch.equal(first, second)

    @pytest.mark.parametrize(
        ("given", "part"),
        [
            (("--grid", "4"), "--grid 4: expected COLUMNSxROWS"),
            (("--grid", "1x1", "--sampler", "hoin"), "--sampler hoin: unknown"),
            (("--grid", "1x1", "--set", "eta=1"), "--sampler heun: has no parameter eta"),
            (("--grid", "1x1", "--set", "churn=word"), "--sampler heun:"),
            (
                ("--grid", "1x1", "--sampler", "ode", "--steps", 9),
                "--sampler ode: has no parameter steps",
            ),
            (("--grid", "1x1", "--samples", 2), "--samples: not without --guide"),
            (("--grid", "1x1", "--guide", "photo.png"), "--grid 1x1: not with --guide"),
            (("--grid", "1x1", "-o", "grid.txt"), "grid.txt: the suffix .txt"),
        ],
    )
    def test_refuses(self, restore, photo, given, part):
        refused(restore("sample", *given), part)


class TestInit:
    @pytest.mark.parametrize(
        ("verb", "options"),
        [
            ("inpaint", ("--mask", "mask.png")),
            ("super-resolve", ("--scale", 2)),
            ("denoise", ("--sigma", 0.05, "--set", "sigma_max=0.03")),
        ],
    )
    def test_another_start_is_another_result(self, restore, photo, mask, verb, options):
        size = (80, 60) if verb == "super-resolve" else (40, 30)
        Image.fromarray(np.full((size[1], size[0], 3), 40, np.uint8)).save("init.png")
        # The corrector's long step leaves little of the start when it is the only one.
        quick = (*QUICK, "--method", "ccdf", "--set", "corrector=none")
        common = (verb, photo, *options, *quick, "-o")
        assert restore(*common, "plain.png").code == 0
        done = restore(*common, "started.png", "--init", "init.png")
        assert done.code == 0, done.err
        levels = 255 * (read("plain.png") - read("started.png")).abs().max()
        assert levels >= 1.5
        config = json.loads(Path("started.json").read_text())["config"]
        assert config["init"].endswith("init.png")
        assert "init" not in json.loads(Path("plain.json").read_text())["config"]
        assert restore(verb, photo, "--config", "started.json", "-o", "again.png").code == 0
        assert torch.equal(read("again.png"), read("started.png"))

    def test_refuses(self, restore, photo):
        refused(
            restore("super-resolve", photo, "--scale", 2, "--init", photo),
            "photo.png: the picture is 40x30 with 3 channels, the result 80x60",
        )
        done = restore("denoise", photo, "-m", "pnp", "--init", "absent.png")
        refused(done, "absent.png: no such file")

    @pytest.mark.parametrize(
        ("command", "part"),
        [
            (("inpaint", "--mask", "mask.png", "-m", "tv"), "--method tv: classical"),
            (("inpaint", "--mask", "mask.png", "-m", "biharmonic"), "or --init"),
            (("deblur", "--kernel", "box:3", "-m", "wiener"), "--method wiener: classical"),
            (("denoise",), "--init photo.png: ddrm takes the noisy picture"),
            (("denoise", "-m", "snips"), "snips takes"),
            (("denoise", "-m", "ccdf", "--sigma", 0.1, "--set", "sigma_max=0.1"), "ccdf takes"),
            (("denoise", "--samples", 2), "snips takes the noisy picture"),
            (("denoise", "--samples", 2, "--eta", 1), "ddrm takes the noisy picture"),
            (("denoise", "--average", 2), "expected --method with one of pnp, ddrm-cg, "),
        ],
    )
    def test_a_method_that_would_not_read_it(self, restore, photo, mask, command, part):
        refused(restore(*command, "photo.png", "--init", "photo.png"), part)

    @pytest.mark.parametrize(
        "options",
        [("-m", "pnp"), ("-m", "ilvr", "--set", "phi=resize")],
    )
    def test_denoise_where_it_is_read(self, restore, photo, options):
        Image.fromarray(np.full((30, 40, 3), 40, np.uint8)).save("init.png")
        common = ("denoise", photo, "--sigma", 0.1, *options, *QUICK, "-o")
        assert restore(*common, "plain.png").code == 0
        assert restore(*common, "started.png", "--init", "init.png").code == 0
        assert 255 * (read("plain.png") - read("started.png")).abs().max() > 10
