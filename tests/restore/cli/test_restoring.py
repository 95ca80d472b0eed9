"""The restoring verbs from outside: files, keys, repetition, kinds of pictures."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import tifffile
from PIL import Image, ImageCms

KEYS = {
    "input", "output", "sidecar", "task", "method", "model", "seed", "steps", "evaluations",
    "seconds", "width", "height", "noise_std", "residual", "metrics", "baseline",
}  # fmt: skip
QUICK = ("--steps", 2, "--average", 1)
ROUNDING = 1 / (255 * 12**0.5)


def opened(path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image.copy()


def pixels(path) -> np.ndarray:
    return np.asarray(opened(path))


def test_inpaint_fills_the_hole_and_nothing_else(restore, photo, mask):
    done = restore("inpaint", photo, "--mask", mask, *QUICK)
    assert (done.code, done.err) == (0, "")
    before, after, hole = pixels(photo), pixels(photo.with_name("photo_inpaint.png")), pixels(mask)
    assert np.array_equal(after[hole == 0], before[hole == 0])
    assert not np.array_equal(after[hole > 0], before[hole > 0])


def test_inpaint_fills_a_transparent_hole_and_makes_it_opaque(restore, tmp_path, photo, mask):
    alpha = Image.fromarray(255 - pixels(mask))
    picture = opened(photo)
    picture.putalpha(alpha)
    picture.save(tmp_path / "hole.png")
    assert restore("inpaint", "hole.png", *QUICK).code == 0
    after = pixels(tmp_path / "hole_inpaint.png")
    assert after.shape == (30, 40, 4)
    assert (after[..., 3] == 255).all()
    known = pixels(mask) == 0
    assert np.array_equal(after[known], pixels("hole.png")[known])


def test_inpaint_of_a_jpeg_keeps_untouched_blocks(restore, tmp_path, photo, mask):
    import jpeglib

    opened(photo).save(tmp_path / "p.jpg", quality=83, subsampling=2)
    assert restore("inpaint", "p.jpg", "--mask", mask, *QUICK, "-o", "out.jpg").code == 0
    before, after = jpeglib.read_dct("p.jpg"), jpeglib.read_dct("out.jpg")
    assert np.array_equal(before.qt, after.qt)
    same = (before.Y == after.Y).all(axis=(2, 3))
    assert same[[0, 2, 3]].all()  # the hole is in the second row of blocks
    assert not same[1].all()


def test_super_resolve_shrinks_to_its_input(restore, tmp_path, photo):
    done = restore("super-resolve", photo, "--scale", 3, *QUICK, "--json")
    (record,) = done.records
    assert (record["width"], record["height"]) == (120, 90)
    large = opened(tmp_path / "photo_super-resolve.png")
    small = np.asarray(large.resize((40, 30), Image.Resampling.BICUBIC))
    assert np.abs(small.astype(int) - pixels(photo)).max() <= 2
    assert record["noise_std"] == pytest.approx(ROUNDING)


@pytest.mark.parametrize(
    ("options", "size"),
    [(("--scale", "1.5"), (60, 45)), (("--size", "97x31"), (97, 31)), ((), (160, 120))],
)
def test_super_resolve_sizes(restore, tmp_path, photo, options, size):
    assert restore("super-resolve", photo, *options, *QUICK, "-o", "out.png").code == 0
    assert opened(tmp_path / "out.png").size == size


def test_denoise_beats_the_noise(restore, tmp_path, photo):
    clean = pixels(photo)
    rng = np.random.default_rng(0)
    noisy = np.rint(clean + rng.normal(0, 25, clean.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    done = restore(
        "denoise", "noisy.png", "--sigma", 25, "--sigma-range", "0-255", "--reference", photo,
        "--json",
    )  # fmt: skip
    (record,) = done.records
    assert record["noise_std"] == pytest.approx(25 / 255)
    assert record["evaluations"] == 1
    assert record["metrics"]["psnr"] > 20.2 + 5  # the noise itself is at 20.2 dB
    assert record["baseline"]["name"] == "non-local-means"


def test_the_noise_is_estimated_and_printed(restore, tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.rint(128 + rng.normal(0, 20, (64, 64, 3))).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    done = restore("denoise", "noisy.png")
    assert "noise estimated: sigma 0.0" in done.out
    sidecar = json.loads((tmp_path / "noisy_denoise.json").read_text())
    assert sidecar["noise_std"] == pytest.approx(20 / 255, rel=0.1)


def test_the_method_follows_what_is_asked_for(restore, photo, mask):
    """One estimate by default; a sampler for samples, by name, or for a parameter of its own."""
    command = ("inpaint", photo, "--mask", mask, "--steps", 1, "--overwrite", "--json")
    for options, method, evaluations in [
        ((), "pnp", 1),
        (("--samples", 2), "ccdf", 4),
        (("--samples", 2, "--eta", 0.5), "ddrm", 2),
        (("--average", 2), "ddrm", 2),
        (("--eta", 0.5), "ddrm", 4),
        (("-m", "ddrm"), "ddrm", 4),
        (("-m", "ddrm", "--average", 1), "ddrm", 1),
    ]:
        (record,) = restore(*command, *options).records
        assert (record["method"], record["evaluations"]) == (method, evaluations)


@pytest.mark.parametrize(("sigma", "eta"), [(0.001, 1.0), (0.05, 0.85)])
def test_ddrm_keeps_more_of_what_is_noisy(restore, tmp_path, photo, sigma, eta):
    command = ("super-resolve", photo, "--scale", 2, "-m", "ddrm", "--average", 1, "--steps", 1)
    assert restore(*command, "--sigma", sigma, "-o", "a.png").code == 0
    assert json.loads((tmp_path / "a.json").read_text())["parameters"]["eta"] == eta


def test_json_has_the_promised_keys(restore, photo):
    (record,) = restore("denoise", photo, "--json").records
    assert set(record) >= KEYS
    assert record["metrics"] is None
    assert record["baseline"] is None


def test_the_sidecar_repeats_the_run_bit_for_bit(restore, tmp_path, photo, mask):
    assert restore(
        "inpaint", photo, "--mask", mask, "--seed", 7, *QUICK, "--eta", 0.9, "-o", "a.png"
    ).code == 0  # fmt: skip
    assert restore("inpaint", photo, "--config", "a.json", "-o", "b.png").code == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    first, second = (json.loads((tmp_path / f"{n}.json").read_text()) for n in "ab")
    assert first["config"] == second["config"]
    assert first["seed"] == 7


@pytest.mark.parametrize("preset", ["--fast", "--best"])
@pytest.mark.parametrize(
    ("verb", "method"),
    [
        *itertools.product(("inpaint", "super-resolve"), ("pnp", "reddiff")),
        ("dejpeg", "pnp-interval"),
    ],
)
def test_one_estimate_is_made_once_and_its_sidecar_repeats_it(
    restore, tmp_path, photo, mask, verb, method, preset
):
    options = {"inpaint": ("--mask", mask), "super-resolve": ("--scale", 2)}.get(verb, ())
    if verb == "dejpeg":
        opened(photo).save("photo.jpg", quality=30)
        photo = "photo.jpg"
    made = restore(
        verb, photo, *options, preset, "-m", method, "--steps", 3, "-o", "a.png", "--json"
    )
    assert made.records[0]["evaluations"] == 3, made.err
    again = restore(verb, photo, "--config", "a.json", "-o", "b.png")
    assert (again.code, again.err) == (made.code, made.err)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("options", "method", "steps"),
    [
        (("--samples", 2), "ccdf", 30),
        (("--samples", 2, "--fast"), "ccdf", 15),
        (("--average", 2, "--fast"), "ddrm", 10),
        (("--average", 2, "--best"), "ddrm", 50),
        (("-m", "ddnm", "--average", 1, "--fast"), "ddnm", 50),
        (("-m", "pnp", "--best"), "pnp", 40),
        (("-m", "pnp", "--best", "--steps", 3), "pnp", 3),
    ],
)
def test_fast_and_best_change_the_steps_of_every_choice(
    restore, photo, mask, options, method, steps
):
    (record,) = restore("inpaint", photo, "--mask", mask, *options, "--json").records
    assert (record["method"], record["steps"]) == (method, steps)


def test_a_config_file_is_under_the_command_line(restore, tmp_path, photo):
    (tmp_path / "options.json").write_text('{"seed": 5, "sigma": 0.1, "suffix": "_x"}')
    (record,) = restore("denoise", photo, "--config", "options.json", "--seed", 6, "--json").records
    assert record["seed"] == 6
    assert record["noise_std"] == pytest.approx(0.1)
    nothing = ("--seed", 0, "--eta", 0, "--suffix", "", "-o", "out/", "--dry-run")
    (plan,) = restore("denoise", photo, "--config", "options.json", *nothing).records
    assert Path(plan["output"]) == Path("out/photo.png")
    assert (plan["settings"]["seed"], plan["settings"]["parameters"]) == (0, {"eta": 0})


def test_a_config_file_may_begin_with_a_byte_order_mark(restore, photo, tmp_path):
    (tmp_path / "options.json").write_text('{"seed": 5, "suffix": "_für"}', encoding="utf-8-sig")
    (record,) = restore("denoise", photo, "--config", "options.json", "--json").records
    assert record["seed"] == 5
    assert record["output"].endswith("photo_für.png")


def test_the_sidecar_says_everything(restore, tmp_path, photo, mask):
    restore("inpaint", photo, "--mask", mask, *QUICK)
    sidecar = json.loads((tmp_path / "photo_inpaint.json").read_text())
    assert set(sidecar) >= KEYS | {
        "operator", "parameters", "model_sha256", "device", "dtype", "versions", "certificate",
        "config",
    }  # fmt: skip
    certificate = sidecar["certificate"]
    assert certificate["consistent"] is True
    assert certificate["residual"] <= certificate["bound"]
    assert certificate["adjoint_error"] < 1e-4


def test_samples_their_mean_and_their_spread(restore, tmp_path, photo, mask):
    done = restore(
        "inpaint",
        photo,
        "--mask",
        mask,
        "--steps",
        3,
        "--samples",
        3,
        "--save-std",
        "-o",
        "o/x.png",
    )
    assert done.code == 0
    names = {p.name for p in (tmp_path / "o").iterdir()}
    assert names == {
        "x.png", "x_0.png", "x_1.png", "x_2.png", "x_std.png", "x_std.npy", "x.json"
    }  # fmt: skip
    samples = np.stack([pixels(f"o/x_{i}.png").astype(float) for i in range(3)])
    assert np.abs(samples.mean(0) - pixels("o/x.png")).max() <= 1
    spread = np.load(tmp_path / "o" / "x_std.npy")
    expected = samples.std(0, ddof=1) / 255
    assert np.abs(spread - expected).max() < 1 / 255
    assert (spread[pixels(mask) == 0] == 0).all()


def test_the_batch_size_changes_no_bit(restore, photo, mask):
    for size in (1, 3):
        assert restore(
            "inpaint", photo, "--mask", mask, "--steps", 2, "--samples", 3, "--batch-size", size,
            "-o", f"b{size}.png",
        ).code == 0  # fmt: skip
    for name in ("", "_0", "_1", "_2"):
        assert np.array_equal(pixels(f"b1{name}.png"), pixels(f"b3{name}.png"))


def test_the_batch_size_is_that_of_the_prior(restore, photo, mask, rows):
    common = ("--mask", mask, "-n", "noting:prior", "-m", "ddrm", "--samples", 3, "--batch-size", 2)
    assert restore("inpaint", photo, *common, "--steps", 1).code == 0
    assert rows == [2, 1]


def test_a_sidecar_names_files_absolutely(restore, tmp_path, photo, mask):
    Image.fromarray(np.full((30, 40, 4), 255, np.uint8)).save(tmp_path / "hints.png")
    for verb, files in (
        ("inpaint", {"mask": "mask.png", "init": "photo.png", "reference": "photo.png"}),
        ("colorize", {"hints": "hints.png"}),
    ):
        options = [word for name, file in files.items() for word in (f"--{name}", file)]
        assert restore(verb, "photo.png", *options, "-m", "ccdf", *QUICK, "-o", "a.png").code == 0
        config = json.loads((tmp_path / "a.json").read_text())["config"]
        assert {name: config[name] for name in files} == {
            name: str(tmp_path / file) for name, file in files.items()
        }
        (tmp_path / "a.png").unlink()


def test_another_seed_is_another_sample(restore, photo, mask):
    for seed in (0, 1):
        command = ("inpaint", photo, "--mask", mask, *QUICK, "--seed", seed)
        assert restore(*command, "-o", f"s{seed}.png").code == 0
    assert not np.array_equal(pixels("s0.png"), pixels("s1.png"))


def test_simulate_degrades_restores_and_scores(restore, tmp_path, photo):
    (record,) = restore(
        "super-resolve", photo, "--simulate", "--scale", 2, *QUICK, "--json"
    ).records
    assert opened(tmp_path / "photo_degraded.png").size == (20, 15)
    assert (record["width"], record["height"]) == (40, 30)
    assert record["metrics"]["psnr"] > 20
    assert record["baseline"]["name"] == "bicubic"


def test_simulate_restores_to_the_size_it_came_from(restore, tmp_path, photo):
    (record,) = restore(
        "super-resolve", photo, "--simulate", "--scale", 4, *QUICK, "--json"
    ).records
    assert opened(tmp_path / "photo_degraded.png").size == (10, 8)  # 30 rows / 4 is no number
    assert (record["width"], record["height"]) == (40, 30)


def test_simulated_noise_is_that_of_sigma(restore, tmp_path, photo):
    restore("denoise", photo, "--simulate", "--sigma", 0.1)
    noise = pixels("photo_degraded.png") / 255 - pixels(photo) / 255
    assert noise.std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1, 2**70])
def test_any_seed_simulates(restore, photo, seed):
    done = restore("denoise", photo, "--simulate", "--sigma", 0.1, "--seed", seed, "--json")
    assert (done.code, done.records[0]["seed"]) == (0, seed)


def test_a_folder_with_a_bad_file(restore, tmp_path, photo):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(photo, folder / "a.png")
    shutil.copy(photo, folder / "c.png")
    (folder / "b.png").write_bytes(b"")
    done = restore("denoise", folder, "-o", "out", "--json")
    assert done.code == 1
    assert [("error" in record) for record in done.records] == [False, True, False]
    assert "b.png" in done.err
    assert len(done.err.splitlines()) == 1
    assert {p.name for p in (tmp_path / "out").glob("*.png")} == {"a_denoise.png", "c_denoise.png"}


def test_existing_outputs_are_refused_skipped_or_replaced(restore, tmp_path, photo):
    output = tmp_path / "photo_denoise.png"
    output.write_bytes(b"mine")
    done = restore("denoise", photo)
    assert done.code == 2
    assert "photo_denoise.png: exists already" in done.err
    assert restore("denoise", photo, "--skip-existing").code == 0
    assert output.read_bytes() == b"mine"
    assert restore("denoise", photo, "--skip-existing", "--overwrite").code == 0
    assert opened(output).size == (40, 30)


def test_a_jpeg_written_again_has_the_tables_it_had(restore, tmp_path, photo):
    for quality in (60, 100):
        opened(photo).save(tmp_path / "p.jpg", quality=quality)
        assert restore("denoise", "p.jpg", "--sigma", 0.05, "-o", "q.jpg", "--overwrite").code == 0
        with Image.open("p.jpg") as before, Image.open("q.jpg") as after:
            assert after.quantization == before.quantization
            assert after.layer == before.layer


def test_the_quality_of_a_jpeg_is_in_its_sidecar(restore, tmp_path, photo):
    opened(photo).save(tmp_path / "p.jpg", quality=90)
    command = ("denoise", "p.jpg", "--sigma", 0.05)
    assert restore(*command, "--quality", 30, "-o", "a.jpg").code == 0
    assert restore("denoise", "p.jpg", "--config", "a.json", "-o", "b.jpg").code == 0
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "options.json").write_text('{"quality": 30}')
    assert restore(*command, "--config", "options.json", "-o", "c.jpg").code == 0
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "c.jpg").read_bytes()


def test_floats_beyond_one_are_judged_as_written(restore, tmp_path, photo):
    tifffile.imwrite(tmp_path / "f.tif", pixels(photo).astype(np.float32) / 50, photometric="rgb")
    for name in ("out.tif", "out.png"):
        done = restore("denoise", "f.tif", "--sigma", 0.05, "-o", name, "--json", "--overwrite")
        assert done.records[0]["residual"] < 0.06


@pytest.mark.parametrize(
    ("verb", "options"),
    [("super-resolve", ("-m", "bicubic", "--scale", 2)), ("inpaint", ("-m", "biharmonic")),
     ("deblur", ("-m", "wiener", "--kernel", "gaussian:1")), ("colorize", ("-m", "grey"))],
)  # fmt: skip
def test_classical_methods_by_name(restore, tmp_path, photo, mask, verb, options):
    masked = ("--mask", mask) if verb == "inpaint" else ()
    page = ("--report", "a.html")
    (record,) = restore(verb, photo, *options, *masked, "-o", "a.png", "--json", *page).records
    assert (record["method"], record["model"], record["evaluations"]) == (options[1], None, 0)
    assert json.loads((tmp_path / "a.json").read_text())["model_sha256"] is None
    assert "<th>method</th>" in (html := (tmp_path / "a.html").read_text())
    assert "<th>model</th>" not in html
    if verb == "super-resolve":
        enlarged = opened(photo).resize((80, 60), Image.Resampling.BICUBIC)
        assert np.abs(pixels("a.png").astype(int) - np.asarray(enlarged)).max() <= 1
    if verb == "inpaint":
        known = pixels(mask) == 0
        assert np.array_equal(pixels("a.png")[known], pixels(photo)[known])
    assert restore(verb, photo, "--config", "a.json", "-o", "b.png").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_file_of_options_has_the_names_of_the_command_line(restore, tmp_path, photo):
    (tmp_path / "c.json").write_text(json.dumps({"steps": 3, "batch-size": 2, "sigma": 0.1}))
    (record,) = restore("denoise", photo, "--config", "c.json", "-o", "a.png", "--json").records
    assert (record["steps"], record["noise_std"]) == (3, 0.1)
    (tmp_path / "c.json").write_text(json.dumps({"fast": True}))
    (plan,) = restore("denoise", photo, "--config", "c.json", "--dry-run").records
    assert plan["settings"]["preset"] == "fast"


def test_a_file_of_options_is_read_as_the_command_line(restore, tmp_path, photo):
    options = tmp_path / "options.json"

    def record(verb, content, *more):
        options.write_text(json.dumps(content))
        done = restore(verb, photo, "--config", "options.json", "--overwrite", "--json", *more)
        assert done.code == 0, done.err
        sidecar = json.loads((tmp_path / done.records[0]["sidecar"]).read_text())
        return done.records[0] | {"parameters": sidecar["parameters"]}

    made = record("denoise", {"sigma": 25, "sigma-range": "0-255", "ext": "tif", "suffix": "_d"})
    assert made["noise_std"] == pytest.approx(25 / 255)
    assert made["output"].endswith("photo_d.tif")
    made = record("denoise", {"sigma": "auto", "sigma-range": "0-255"}, "--sigma", 51)
    assert made["noise_std"] == pytest.approx(0.2)
    assert record("denoise", {"ext": "tif"}, "--ext", "png")["output"].endswith(".png")
    made = record("denoise", {"set": ["steps=3", "eta=0.5"]}, "-m", "ddrm", "--set", "eta=1")
    assert (made["parameters"]["steps"], made["parameters"]["eta"]) == (3, 1)
    made = record("super-resolve", {"size": "80x61", "steps": 1, "fast": True}, "--best")
    assert (made["width"], made["height"], made["steps"]) == (80, 61, 1)


def test_a_sidecar_gives_way_to_another_preset_or_method(restore, tmp_path, photo):
    command = ("super-resolve", photo, "--scale", 2)
    assert restore(*command, "--seed", 3, "-o", "a.png").code == 0

    def sidecar(name, *options):
        done = restore(*options, "-o", f"{name}.png", "--overwrite")
        assert done.code == 0, done.err
        return json.loads((tmp_path / f"{name}.json").read_text())

    for option in (("--fast",), ("-m", "ddrm", "--steps", 2), ("-m", "bicubic")):
        again = sidecar("b", "super-resolve", photo, "--config", "a.json", *option)
        anew = sidecar("c", *command, "--seed", 3, *option)
        assert again["parameters"] == anew["parameters"]
        assert again["config"] == anew["config"]
    # The same method by name is no other one.
    first = json.loads((tmp_path / "a.json").read_text())
    again = sidecar("b", "super-resolve", photo, "--config", "a.json", "-m", first["method"])
    assert again["parameters"] == first["parameters"]


def test_an_average_takes_the_place_of_the_samples_of_a_file(restore, tmp_path, photo):
    command = ("denoise", photo, "-m", "ddrm", "--steps", 2)
    assert restore(*command, "--samples", 2, "--save-std", "-o", "two.png").code == 0
    options = {"samples": 2, "save-std": True}
    (tmp_path / "options.json").write_text(json.dumps(options))
    for number, config in enumerate(("two.json", "options.json")):
        done = restore(*command, "--config", config, "--average", 2, "-o", f"mean{number}.png")
        assert done.code == 0, done.err
        assert {path.name for path in tmp_path.glob(f"mean{number}*")} == {
            f"mean{number}.png",
            f"mean{number}.json",
        }
        assert (pixels("two.png") == pixels(f"mean{number}.png")).all()
    (tmp_path / "options.json").write_text(json.dumps(options | {"average": 3}))
    refused = restore(*command, "--config", "options.json", "-o", "x.png")
    assert refused.code == 2
    assert refused.err.startswith("options.json: average: not with samples")


def test_dry_run_writes_nothing(restore, tmp_path, photo):
    done = restore("denoise", photo, "--dry-run")
    assert done.code == 0
    assert done.records[0]["output"].endswith("photo_denoise.png")
    assert done.records[0]["method"] == "ddrm"
    assert list(tmp_path.iterdir()) == [photo]


def test_a_dry_run_names_the_method_that_would_run(restore, photo):
    asked = ("super-resolve", photo, "--scale", 2, "--steps", 2, "--samples", 1)
    (plan,) = restore(*asked, "--dry-run").records
    (record,) = restore(*asked, "--json").records
    assert plan["method"] == record["method"] == "ccdf"


def test_quiet_prints_nothing(restore, photo):
    done = restore("denoise", photo, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_report_is_one_page_with_its_pictures(restore, tmp_path, photo, mask):
    restore("inpaint", photo, "--mask", mask, *QUICK, "--report", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page
    assert "photo_inpaint.png" in page
    assert '<meta name="viewport" content="width=device-width">' in page  # for a phone


def test_metadata_and_icc_are_kept(restore, tmp_path, photo):
    picture = opened(photo)
    exif = picture.getexif()
    exif[0x0110] = "Camera"
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "m.jpg", exif=exif, icc_profile=profile, quality=95)
    assert restore("denoise", "m.jpg", "--sigma", "0.02").code == 0
    after = opened(tmp_path / "m_denoise.png")
    assert after.size == (30, 40)  # turned once
    assert after.getexif()[0x0110] == "Camera"
    assert after.getexif().get(0x0112, 1) == 1
    assert after.info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("mode", "written"),
    [("L", "L"), ("1", "L"), ("P", "RGB"), ("RGBA", "RGBA"), ("I;16", "I;16"), ("LA", "LA")],
)
def test_kinds_of_pictures(restore, tmp_path, photo, mode, written):
    picture = opened(photo)
    if mode == "I;16":
        picture = Image.fromarray(pixels(photo)[..., 0].astype(np.uint16) * 257)
    elif mode in ("RGBA", "LA"):
        picture.putalpha(Image.fromarray(pixels(photo)[..., 1]))
        picture = picture.convert(mode)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "kind.png")
    assert restore("denoise", "kind.png", "--sigma", "0.02").code == 0
    after = opened(tmp_path / "kind_denoise.png")
    assert (after.mode, after.size) == (written, (40, 30))
    if mode in ("RGBA", "LA"):
        assert np.array_equal(pixels("kind_denoise.png")[..., -1], pixels("kind.png")[..., -1])


@pytest.mark.parametrize("verb", ["denoise", "super-resolve"])
def test_one_pixel(restore, tmp_path, verb):
    Image.new("RGB", (1, 1), (200, 10, 30)).save(tmp_path / "dot.png")
    assert restore(verb, "dot.png", *QUICK, "-o", "out.png").code == 0


def test_tiles_change_almost_nothing(restore, tmp_path):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    coarse.resize((200, 150), Image.Resampling.BICUBIC).save(tmp_path / "big.png")
    restore("denoise", "big.png", "--sigma", 0.1, "-o", "whole.png")
    restore("denoise", "big.png", "--sigma", 0.1, "--tile", 128, "-o", "tiled.png")
    difference = pixels("whole.png").astype(int) - pixels("tiled.png")
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_is_close(restore, photo, dtype):
    restore("denoise", photo, "--sigma", 0.1, "--dtype", "fp32", "-o", "full.png")
    restore("denoise", photo, "--sigma", 0.1, "--dtype", dtype, "-o", "half.png")
    difference = pixels("full.png").astype(int) - pixels("half.png")
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize("fast", [True, False])
def test_the_precision_of_the_processor_is_kept_in_the_sidecar(
    restore, tmp_path, photo, monkeypatch, fast
):
    capabilities = {"avx512_bf16": fast, "amx_bf16": False}
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)
    restore("denoise", photo, "--sigma", 0.1, "-o", "auto.png")
    sidecar = json.loads((tmp_path / "auto.json").read_text())
    assert sidecar["dtype"] == sidecar["config"]["dtype"] == ("bf16" if fast else "fp32")
    capabilities["avx512_bf16"] = not fast
    restore("denoise", photo, "--config", "auto.json", "-o", "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "auto.png").read_bytes()


def test_super_resolve_undoes_a_blur_before_the_shrink(restore, tmp_path, photo):
    command = ("super-resolve", photo, "--scale", 2, "--kernel", "gaussian:1.2", *QUICK)
    (record,) = restore(*command, "--simulate", "--json").records
    blurred = scipy.ndimage.gaussian_filter(pixels(photo).astype(float), (1.2, 1.2, 0))
    small = Image.fromarray(np.rint(blurred).astype(np.uint8)).resize((20, 15), Image.BICUBIC)
    assert np.abs(pixels("photo_degraded.png").astype(int) - np.asarray(small)).max() <= 2
    sidecar = json.loads((tmp_path / "photo_super-resolve.json").read_text())
    assert sidecar["certificate"]["consistent"] is True
    assert sidecar["config"]["kernel"] == "gaussian:1.2"
    assert record["metrics"]["psnr"] > record["baseline"]["psnr"]
