"""Bad input: exit code 2, one line that says what was found and what was expected."""

import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image


def refused(done, *parts):
    """One line on stderr with all the parts; nothing on stdout."""
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    for part in parts:
        assert part in done.err
    assert "Traceback" not in done.err
    return True


@pytest.fixture
def nothing_written(tmp_path):
    """Whatever a test does, no new file is there afterwards but what it made itself."""
    yield
    assert not list(tmp_path.glob("*_inpaint*"))
    assert not list(tmp_path.glob("*_denoise*"))
    assert not list(tmp_path.glob("*_super-resolve*"))
    assert not list(tmp_path.glob(".*"))


pytestmark = pytest.mark.usefixtures("nothing_written")


def test_missing_file(restore):
    refused(restore("denoise", "absent.png"), "absent.png: no such file", "expected a picture")


def test_not_a_picture(restore, tmp_path):
    (tmp_path / "text.png").write_text("hello")
    refused(restore("denoise", "text.png"), "text.png:", "expected")


def test_zero_bytes(restore, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    refused(restore("denoise", "empty.png"), "empty.png:", "expected")


def test_truncated_jpeg(restore, tmp_path, photo):
    with Image.open(photo) as image:
        image.resize((200, 150)).save(tmp_path / "cut.jpg", quality=95)
    content = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    refused(restore("denoise", "cut.jpg"), "cut.jpg:", "truncated", "expected")


def test_decompression_bomb(restore, tmp_path):
    import struct
    import zlib

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99))
    (tmp_path / "bomb.png").write_bytes(png + chunk(b"IEND", b""))
    refused(restore("denoise", "bomb.png"), "bomb.png:", "60000", "expected")


def test_mask_of_another_size(restore, tmp_path, photo):
    Image.new("L", (10, 20), 255).save(tmp_path / "m.png")
    refused(restore("inpaint", photo, "--mask", "m.png"), "m.png: mask is 10x20", "40x30")


@pytest.mark.parametrize(("value", "word"), [(255, "all white"), (0, "all black")])
def test_mask_of_one_colour(restore, tmp_path, photo, value, word):
    Image.new("L", (40, 30), value).save(tmp_path / "m.png")
    refused(restore("inpaint", photo, "--mask", "m.png"), "m.png:", word, "expected")


def test_no_mask_at_all(restore, photo):
    refused(restore("inpaint", photo), "photo.png: no mask", "expected a mask")


@pytest.mark.parametrize("scale", ["0.5", "nan", "inf", "-4", "four"])
def test_scale(restore, photo, scale):
    refused(restore("super-resolve", photo, "--scale", scale), "--scale", scale, "at least 1")


@pytest.mark.parametrize("size", ["10x10", "0x4", "axb"])
def test_size(restore, photo, size):
    refused(restore("super-resolve", photo, "--size", size), "--size", "expected")


@pytest.mark.parametrize(
    ("kernel", "part"),
    [("bicubicc", "bicubic, lanczos, gaussian:SIGMA"), ("gaussian:0", "above 0"),
     ("gaussian:30", "241x241, larger than the picture 80x60")],
)  # fmt: skip
def test_kernel_of_super_resolve(restore, photo, kernel, part):
    refused(
        restore("super-resolve", photo, "--scale", 2, "--kernel", kernel), kernel, part, "expected"
    )


@pytest.mark.parametrize("sigma", ["-0.1", "nan", "inf", "much"])
def test_sigma(restore, photo, sigma):
    refused(restore("denoise", photo, "--sigma", sigma), f"--sigma {sigma}", "expected")


def test_sigma_in_the_other_units(restore, photo):
    refused(restore("denoise", photo, "--sigma", 25), "--sigma 25", "--sigma-range 0-255")


def test_sigma_beyond_the_range_of_its_units(restore, photo):
    done = restore("denoise", photo, "--sigma", 300, "--sigma-range", "0-255")
    refused(done, "--sigma 300", "0 to 255")


@pytest.mark.parametrize("options", [("--scale", "1e6"), ("--size", "999999x999999")])
def test_a_result_beyond_the_memory(restore, photo, options):
    refused(restore("super-resolve", photo, *options), "photo.png", "GB are free", "expected")


@pytest.mark.parametrize(
    ("options", "parts"),
    [(("-o", "-"), ("--output -", "expected a file")),
     (("-o", f"{'x' * 300}.png"), ("too long", "expected a name")),
     (("-o", f"{'x' * 300}/a.png"), ("too long", "expected a name")),
     (("--suffix", "../x"), ("--suffix ../x", "expected the end")),
     (("--suffix", "_x", "-o", "a.png"), ("--suffix _x", "a.png is a whole name")),
     (("--ext", "tif", "-o", "a.png"), ("--ext tif", "a.png is of another kind")),
     (("-m", ""), ("an empty argument after -m",)),
     (("--dtype", "fp64"), ("--dtype fp64", "fp16")),
     (("--quality", 1), ("--quality 1: photo_denoise.png is no JPEG", "expected one")),
     (("--quality", 1, "-o", "x.png", "--simulate"), ("--quality 1: x.png is no JPEG",)),
     (("--simulate", "--reference", "photo.png"), ("--reference", "--simulate"))],
)  # fmt: skip
def test_options_that_cannot_be_served(restore, tmp_path, photo, options, parts):
    refused(restore("denoise", "photo.png", *options), *parts)
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize(
    ("parameter", "part"),
    [("eta=x", "a number"), ("eta=", "a number"), ("eta=true", "a number"), ("start=1", "a tensor"),
     ("steps=1.5", "a whole number"), ("steps=0", "at least 1"), ("grid=1", "grid")],
)  # fmt: skip
def test_parameter_of_another_kind(restore, photo, parameter, part):
    refused(restore("denoise", photo, "--set", parameter), parameter.split("=")[0], part)


@pytest.mark.parametrize("option", [("--samples", 2), ("--set", "eta=1"), ("--steps", 3)])
def test_a_classical_method_has_one_estimate_and_no_parameters(restore, photo, option):
    done = restore("super-resolve", photo, "-m", "bicubic", *option)
    refused(done, "--method bicubic", "expected no --samples")


@pytest.mark.parametrize("option", [("--steps", 2), ("--set", "steps=2")])
def test_a_parameter_is_given_once(restore, photo, option):
    done = restore("denoise", photo, *option, "--set", "steps=3")
    refused(done, "--set steps=3: steps is given already, as 2")


def test_the_mean_is_of_the_samples(restore, photo):
    refused(restore("denoise", photo, "--samples", 2, "--average", 3), "--average", "--samples")


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("biharmonic", ("not for denoise", "non-local-means, tv, ")),
        ("bm3d", ("needs the package bm3d", "those at hand are non-local-means")),
    ],
)
def test_a_classical_method_that_is_not_at_hand(restore, photo, monkeypatch, method, parts):
    monkeypatch.setattr("restore.tasks.classical.find_spec", lambda _: None)
    refused(restore("denoise", photo, "-m", method), f"--method {method}", *parts)


@pytest.mark.parametrize("option", [("--samples", 2, "--save-std"), ("--average", 3)])
@pytest.mark.parametrize(
    ("verb", "method", "sampler"),
    [
        ("denoise", "pnp", "snips"),
        ("deblur", "pnp", "ccdf"),
        ("dejpeg", "pnp-interval", "snips-i"),
    ],
)
def test_a_method_of_one_estimate_has_no_samples(restore, photo, verb, method, sampler, option):
    kernel = ("--kernel", "box:3") if verb == "deblur" else ()
    done = restore(verb, photo, *kernel, "-m", method, *option)
    refused(done, f"--method {method}: gives one estimate", f"such as {sampler}")


def test_unknown_verb_has_the_nearest(restore, photo):
    done = restore("inpant", photo)
    assert done.code == 2
    assert "inpaint" in done.err


def test_unknown_method_has_the_nearest(restore, photo):
    refused(restore("denoise", photo, "-m", "drdm"), "--method drdm", "did you mean ddrm")


def test_unknown_model_has_the_nearest(restore, photo):
    refused(restore("denoise", photo, "-n", "photos"), "photos: no such model", "mean photo")


def test_unknown_parameter_has_the_nearest(restore, photo):
    done = restore("denoise", photo, "--set", "etab=1")
    refused(done, "parameters of ddrm: ", "'etab'", "did you mean eta_b?")


@pytest.mark.parametrize(
    ("options", "part"),
    [(("--eta", 1.5), "parameters of ddrm: eta is 1.5; it must be within 0 and 1"),
     (("-m", "scoresde", "--set", "predictor=none", "--set", "corrector=none"),
      "parameters of scoresde: predictor and")],
)  # fmt: skip
def test_parameters_are_refused_once_and_not_for_a_picture(restore, photo, options, part):
    done = restore("denoise", photo, "absent.png", *options)
    refused(done, part)
    assert "photo.png" not in done.err


@pytest.mark.parametrize(
    ("method", "parameter"),
    [("ddrm-jpeg", "timesteps=900"), ("ddrm-jpeg", "steps=400"), ("pnp-interval", "last=0.9"),
     ("ilvr", "phi=resize"), ("snips", "sigma_min=0.4")],
)  # fmt: skip
def test_parameters_that_some_measurement_allows_are_not_refused_before_it(method, parameter):
    from restore.tasks.choice import check_parameters
    from restore.tasks.settings import Settings, scalar
    from restore.tasks.task import Preset

    name, _, text = parameter.partition("=")
    settings = Settings(method=method, parameters={name: scalar(text)})
    check_parameters(settings, Preset("ddrm"), {})


def test_absent_device(restore, photo):
    refused(restore("denoise", photo, "--device", "cuda:7"), "--device cuda:7", "cpu")


def test_reference_of_another_size(restore, tmp_path, photo):
    Image.new("RGB", (12, 34)).save(tmp_path / "r.png")
    refused(restore("denoise", photo, "--reference", "r.png"), "r.png", "12x34", "40x30")


def test_unwritable_output(restore, photo):
    refused(restore("denoise", photo, "-o", "/proc/x/out.png"), "/proc/x/out.png", "expected")


def test_output_of_an_unknown_kind(restore, photo):
    refused(restore("denoise", photo, "-o", "out.xyz"), "out.xyz", ".png")


def test_one_output_for_two_inputs(restore, tmp_path, photo):
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    refused(restore("denoise", photo, "b.png", "-o", "out.png"), "out.png", "expected a folder")


def test_disk_full(restore, photo, monkeypatch):
    from restore.io import atomic

    def full(self, data):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(atomic.Path, "write_bytes", full)
    refused(restore("denoise", photo), "photo_denoise.png", "no space left")


@pytest.mark.parametrize(
    ("content", "part"),
    [("{", "not JSON"), ("[1]", "a JSON list"), ('{"sigmaa": 1}', "sigmaa"),
     ('{"task": "inpaint", "config": {}}', "sidecar of a run of inpaint"),
     ('{"config": {"sigma": 0.1}}', "config: "),
     ('{"task": "denoise", "config": 3}', "holds no options"), ('{"parameters": 3}', "by name"),
     ('{"steps": 1, "parameters": 3}', "by name"), ('{"sigma": 25}', "expected a value in 0 to 1"),
     ('{"sigma": true}', "sigma True: expected"), ('{"sigma": [1]}', "sigma [1]: expected"),
     ('{"sigma": 25, "sigma-range": 3}', "sigma-range 3: expected"),
     ('{"set": "eta=1"}', "a list of NAME=VALUE"), ('{"set": ["eta"]}', "set eta: expected"),
     ('{"size": "64"}', "size 64: expected"), ('{"samples": true}', "samples: true is no value"),
     ('{"seed": false}', "seed: false is no value"), ('{"ext": 3}', "ext: 3; expected a word"),
     ('{"fast": true, "best": true}', "--fast and --best"),
     ('{"fast": "false"}', "fast: 'false'; expected true or false"), ('{"best": 1}', "best: 1; "),
     ('{"simulate": "no"}', "simulate: 'no'; expected true"), ('{"save-std": 0}', "save_std: 0; "),
     ('{"scale": 2}', "scale: not for denoise, only for super-resolve"),
     ('{"samples": 0}', "samples"), ('{"batch-size": 0}', "batch_size"), ('{"tile": 1}', "tile")],
)  # fmt: skip
def test_bad_config(restore, tmp_path, photo, content, part):
    (tmp_path / "c.json").write_text(content)
    refused(restore("denoise", photo, "--config", "c.json"), "c.json", part)


def test_a_parameter_of_another_kind_in_a_config_is_not_of_the_picture(restore, tmp_path, photo):
    (tmp_path / "c.json").write_text('{"steps": "3"}')
    done = restore("denoise", photo, "--config", "c.json")
    refused(done, "steps is '3'; it must be a whole number")
    assert "photo" not in done.err


@pytest.mark.parametrize(
    ("command", "part"),
    [(("denoise", "absent.png"), "absent.png: no such file"),
     (("denoise", "."), "no picture in this folder"),
     (("denoise", "photo.png", "-m", "drdm"), "--method drdm"),
     (("denoise", "photo.png", "-n", "photos"), "photos: no such model"),
     (("denoise", "photo.png", "--device", "cuda:7"), "--device cuda:7"),
     (("denoise", "photo.png", "-m", "pnp", "--samples", 2), "gives one estimate"),
     (("deblur", "photo.png"), "--kernel: missing"),
     (("denoise", "photo.png", "--set", "bogus=5"), "no hyperparameter 'bogus'"),
     (("denoise", "photo.png", "--eta", 5), "eta is 5.0"),
     (("super-resolve", "photo.png", "--scale", 2, "--size", "80x60"), "--scale and --size"),
     (("super-resolve", "photo.png", "--size", "10x10"), "photo.png: the picture is 40x30"),
     (("super-resolve", "photo.png", "--size", "80x60", "--simulate"), "--size: not with"),
     (("inpaint", "photo.png", "--mask", "small.png"), "small.png: mask is 10x20"),
     (("denoise", "photo.png", "--reference", "small.png"), "small.png: the reference is 10x20"),
     (("denoise", "photo.png", "-m", "pnp", "--init", "small.png"), "small.png: the picture is"),
     (("deblur", "photo.png", "--kernel", "motion:5,30", "-m", "ddnm"), "needs a fast SVD"),
     (("dejpeg", "photo.png"), "photo.png: "),
     (("deblur", "photo.png", "--kernel", "absent.png"), "--kernel absent.png: no such kernel")],
)  # fmt: skip
def test_a_dry_run_refuses_what_fails_at_once(restore, photo, command, part):
    if "small.png" in command:
        Image.new("L", (10, 20), 255).save("small.png")
    if "." in command:
        photo.unlink()
    done = restore(*command, "--dry-run")
    refused(done, part)
    assert done.out == ""


def test_a_dry_run_over_several_lists_those_that_fail(restore, photo):
    done = restore("denoise", "photo.png", "absent.png", "--dry-run")
    assert (done.code, len(done.records), len(done.err.splitlines())) == (1, 1, 1)
    assert "absent.png: no such file" in done.err


@pytest.mark.parametrize(
    ("command", "after"),
    [(("denoise", ""), ""), (("train", ""), ""), (("denoise", "photo.png", "-o", ""), " after -o"),
     (("denoise", "photo.png", "--output="), " after --output"),
     (("batch", "denoise", "photo.png", ""), " after photo.png")],
)  # fmt: skip
def test_an_empty_argument_is_not_this_folder(restore, tmp_path, photo, command, after):
    refused(restore(*command), f"an empty argument{after}, expected a value")
    assert list(tmp_path.iterdir()) == [photo]


def test_a_config_beyond_what_python_reads(restore, tmp_path, photo):
    for content, part in (("[" * 100_000, "nested too deeply"), ("9" * 5000, "not JSON")):
        (tmp_path / "c.json").write_text(content)
        refused(restore("denoise", photo, "--config", "c.json"), "c.json", part)


def test_a_recipe_that_is_no_text(restore, tmp_path, photo):
    refused(restore("train", tmp_path, "--recipe", photo), "photo.png: no text", "a recipe file")


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [('{"widths": []}', ("widths: ", "at least 1")),
     ('{"widths": [8, 8], "blocks": [1]}', ("1 blocks for 2 widths", "one for each")),
     ('{"patch": 17}', ("patch 17", "a multiple of 8")),
     ('{"tail_range": [5, 1]}', ("tail_range 5 to 1", "the smaller level first")),
     ('{"data_std": NaN}', ("data_std: ", "a finite number")),
     ('{"pyramid": [0]}', ("pyramid: 0: ", "greater than 0"))],
)  # fmt: skip
def test_a_recipe_that_no_run_can_follow(restore, tmp_path, recipe, parts):
    path = tmp_path / "own.json"
    path.write_text(recipe)
    refused(restore("train", tmp_path, "--recipe", path), "own.json: ", *parts)
    assert not (tmp_path / "model").exists()


def test_a_recipe_beyond_the_memory(restore, tmp_path):
    path = tmp_path / "own.json"
    path.write_text('{"widths": [10000000000000, 8], "blocks": [1, 1]}')
    refused(restore("train", tmp_path, "--recipe", path), "out of memory", "expected more of it")


def test_training_on_two_channels(restore, tmp_path):
    refused(restore("train", tmp_path, "--channels", 2), "--channels 2", "expected 1")


def test_two_channels_are_not_served(restore, tmp_path):
    np.save(tmp_path / "five.npy", np.zeros((5, 5, 5), np.float32))
    refused(restore("denoise", "five.npy"), "five.npy", "expected")


def test_debug_shows_the_traceback(restore):
    done = restore("denoise", "absent.png", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(tmp_path, photo, number):
    """Ctrl-C, or what `timeout` sends, while it samples: exit code 130, one line, no file."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "def same(x, sigma):\n"
        "    pathlib.Path('begun').touch()\n"
        "    time.sleep(0.1)\n"
        "    return x\n"
    )
    code = "from restore.cli.main import main; main()"
    command = [
        sys.executable, "-c", code, "super-resolve", str(photo), "--steps", "500",
        "--set", "sigma_max=2", "-n", "slow:same", "--debug", "-o", "o.png",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        # A shell that runs the tests in the background has its children ignore Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while not (tmp_path / "begun").exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "interrupted\n"
    left = {p.name for p in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"photo.png", "slow.py", "begun"}
