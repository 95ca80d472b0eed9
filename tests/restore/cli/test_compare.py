"""`restore compare`: its figures, its files, its refusals, and going on after an interruption."""

import csv
import json
import os
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from restore.cli import console
from restore.errors import FAILURES
from restore.io.picture import read_picture
from restore.metrics import psnr
from restore.prior.models import data_folder

FAST = ("--nfe", "5", "--crop", "16", "--scale", "2")


@pytest.fixture
def second(tmp_path, photo):
    path = tmp_path / "second.png"
    Image.fromarray(np.asarray(Image.open(photo))[::-1]).save(path)
    return path


def _compare(restore, *arguments):
    return restore("compare", *arguments, "--task", "super-resolve", *FAST)


def test_a_line_for_each_input_and_method_then_a_summary(restore, photo, second):
    done = _compare(restore, photo, second, "-m", "ddrm", "-m", "bicubic", "--json")
    assert done.code == 0, done.err
    rows, summary = done.records[:4], done.records[4:]
    assert [(Path(row["input"]).name, row["method"]) for row in rows] == [
        ("photo.png", "ddrm"),
        ("photo.png", "bicubic"),
        ("second.png", "ddrm"),
        ("second.png", "bicubic"),
    ]
    wanted = {"input", "task", "method", "psnr", "ssim", "residual", "evaluations", "seconds"}
    assert all(wanted <= row.keys() for row in rows)
    assert [row["evaluations"] for row in rows] == [5, 0, 5, 0]
    assert {row["method"] for row in summary} == {"ddrm", "bicubic"}
    assert all(row["input"] == "*" and row["count"] == 2 for row in summary)
    for row in summary:
        levels = [one["psnr"] for one in rows if one["method"] == row["method"]]
        assert row["psnr"] == pytest.approx(np.mean(levels))
        assert row["psnr_se"] == pytest.approx(np.std(levels, ddof=1) / 2**0.5)


def test_scores_what_the_verb_writes(restore, tmp_path, photo):
    crop = tmp_path / "crop.png"
    Image.open(photo).crop((12, 7, 28, 23)).save(crop)
    parameters = ("--set", "steps=5", "--seed", "3")
    verb = restore(
        "super-resolve", crop, "--simulate", "--scale", "2", "-m", "diffpir", *parameters,
        "--samples", "1", "-o", "out.png", "--json",
    ).records[0]  # fmt: skip
    row = _compare(restore, photo, "-m", "diffpir", "--seed", "3", "--json").records[0]
    assert row["psnr"] == pytest.approx(verb["metrics"]["psnr"])
    assert row["ssim"] == pytest.approx(verb["metrics"]["ssim"])
    assert row["residual"] == pytest.approx(verb["residual"])


def test_a_jpeg_is_mended_as_by_the_verb(restore, photo, monkeypatch):
    """Strips of one pixel, most of whose results are not consistent once they are rounded."""
    from restore.tasks import dejpeg

    strips = [f"{left}.png" for left in (0, 8, 16, 20, 32, 36)]
    for name in strips:
        left = int(Path(name).stem)
        Image.open(photo).crop((left, 0, left + 1, 16)).save(name)
    mended, original = [], dejpeg._mended
    monkeypatch.setattr(dejpeg, "_mended", lambda *a: mended.append(1) or original(*a))
    run = (*strips, "--simulate", "--quality", "95", "-m", "pnp-interval", "--json")
    verb = restore("dejpeg", *run, "-o", "out").records
    count = len(mended)
    rows = restore("compare", *run, "--task", "dejpeg", "--nfe", "4").records[:-1]
    assert len(mended) == 2 * count > 0
    for row, record in zip(rows, verb, strict=True):
        assert row["psnr"] == pytest.approx(record["metrics"]["psnr"], abs=1e-9)
        assert row["residual"] == pytest.approx(record["residual"])


def test_the_truth_is_in_the_units_of_a_float_picture(restore, tmp_path):
    """White of the one is 1, of the other 2: the same values, read as they are."""
    from restore.tasks.compare import Comparison
    from restore.tasks.plan import Plan
    from restore.tasks.registry import TASKS
    from restore.tasks.settings import Settings

    truth = np.linspace(0, 1.04, 16 * 24, dtype=np.float32).reshape(16, 24)
    np.save("measured.npy", truth.clip(0, 1))
    truth[0, 0] = 1.5
    np.save("truth.npy", truth)
    run = ("--task", "denoise", "--sigma", "0", "-m", "non-local-means", "--json")
    row = restore("compare", "measured.npy", "--reference", "truth.npy", *run).records[0]
    assert row["psnr"] > 20
    settings = Settings(sigma=0.0, reference=Path("truth.npy"))
    comparison = Comparison(TASKS["denoise"], Plan(("non-local-means",), settings), tmp_path / "c")
    list(comparison.run([Path("measured.npy")]))
    shown = comparison.shown(Path("measured.npy"))
    assert np.allclose(shown[1][0], truth, atol=1e-6)


def test_windows_are_filled_as_the_verb_fills_them(restore, tmp_path):
    rng, hole = np.random.default_rng(3), np.zeros((32, 320), np.uint8)
    hole[10:14, 5:30] = hole[10:14, 290:300] = 255
    Image.fromarray(hole).save("hole.png")
    Image.fromarray(rng.integers(90, 160, (32, 320), dtype=np.uint8)).save("wide.png")
    run = ("wide.png", "--simulate", "-m", "ddrm", "--samples", "2", "--seed", "3", "--json",
           "--mask", "hole.png")  # fmt: skip
    verb = restore("inpaint", *run, "--steps", "3", "--save-std", "-o", "out.png").records[0]
    row = restore("compare", *run, "--task", "inpaint", "--nfe", "3", "-o", "kept").records[0]
    assert row["psnr"] == pytest.approx(verb["metrics"]["psnr"], abs=1e-6)
    assert row["evaluations"] == 3
    truth, *samples = (read_picture(f"{n}.png").pixels for n in ("wide", "out_0", "out_1"))
    alone = np.mean([psnr(sample, truth) for sample in samples])
    assert row["psnr_sample"] == pytest.approx(alone, abs=1e-6)
    spread, kept = (np.load(n).squeeze() for n in ("out_std.npy", "kept/wide/ddrm_std.npy"))
    assert np.allclose(kept, spread, atol=1e-6)


@pytest.mark.parametrize("name", ["deep.png", "float.npy", "bilevel.png"])
def test_the_file_that_is_kept_has_the_figures(restore, photo, tmp_path, name):
    levels = np.asarray(Image.open(photo).convert("L"), np.float32)
    if name == "deep.png":
        Image.fromarray((257 * levels + 100).astype(np.uint16)).save(name)
    elif name == "float.npy":
        np.save(name, levels / 300)
    else:
        Image.fromarray(levels > 128).save(name)
    run = ("--task", "super-resolve", "--scale", "2", "-m", "bicubic", "-o", "kept", "--json")
    row = restore("compare", name, *run).records[0]
    made = read_picture(next(tmp_path.glob("kept/*/bicubic.png")))
    assert made.bits == (8 if name == "bilevel.png" else 16)
    assert row["psnr"] == psnr(made.pixels, read_picture(name).pixels)


def test_samples_are_averaged_and_calibrated(restore, photo):
    methods = ("-m", "ddrm", "-m", "pnp", "-m", "bicubic")
    rows = _compare(restore, photo, *methods, "--samples", "4", "--json").records[:3]
    ddrm, pnp, bicubic = rows
    assert ddrm["psnr"] > ddrm["psnr_sample"]
    assert 0 < ddrm["calibration"] <= 1
    assert pnp["calibration"] is bicubic["calibration"] is None
    assert pnp["psnr"] == pnp["psnr_sample"]


def test_samples_are_drawn_by_the_seed_in_batches(restore, photo, rows):
    def row(seed):
        common = ("-n", "noting:prior", "-m", "ddrm", "--samples", 3, "--batch-size", 2)
        return _compare(restore, photo, *common, "--seed", seed, "--json").records[0]

    assert row(0)["psnr"] != row(1)["psnr"]
    assert set(rows) == {2, 1}


def test_all_that_fit_by_default(restore, photo, own):
    from restore.methods import methods

    done = restore("compare", photo, "--task", "denoise", "--sigma", "0.1", "--crop", "8",
                   "--nfe", "80", "-n", own, "--json")  # fmt: skip
    names = {row["method"] for row in done.records}
    serving = {name for name, method in methods().items() if "denoise" in method.tasks}
    assert serving | {"non-local-means", "tv"} <= names
    assert all((row.get("evaluations") or 0) <= 80 for row in done.records)


def test_a_failing_method_is_a_row_that_says_why(restore, photo):
    done = _compare(restore, photo, "-m", "tds", "-m", "bicubic", "--json")
    assert done.code == 1
    failed, good = done.records[:2]
    assert "at least 80 evaluations" in failed["error"]
    assert good["psnr"] > 0
    summary = {row["method"]: row for row in done.records[2:]}
    assert (summary["tds"]["count"], summary["tds"]["failed"]) == (0, 1)
    assert summary["tds"]["psnr"] is None


def test_a_bad_input_does_not_stop_the_others(restore, tmp_path, photo):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = _compare(restore, tmp_path / "bad.png", photo, "-m", "bicubic", "--json")
    assert done.code == 1
    assert "bad.png" in done.records[0]["error"]
    assert done.records[1]["psnr"] > 0
    assert (done.records[2]["count"], done.records[2]["failed"]) == (1, 1)
    shown = _compare(restore, tmp_path / "bad.png", photo, "-m", "bicubic", "--report", "page.html")
    assert shown.code == 1
    assert done.records[0]["error"] in Path("page.html").read_text()
    assert shown.err.splitlines()[0] == done.records[0]["error"]
    alone = _compare(restore, tmp_path / "bad.png", "-m", "bicubic")
    assert alone.code == 2
    assert len(alone.err.splitlines()) == 1
    assert "bad.png" in alone.err


def test_the_seconds_are_those_of_the_method_alone(restore, photo, monkeypatch):
    """Nothing passes on this clock but while memory is made ready to be watched."""
    from restore.tasks import compare

    now = [0.0]

    def watched(_device):
        now[0] += 5
        return lambda: None

    monkeypatch.setattr(compare, "peak_memory", watched)
    monkeypatch.setattr(compare, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert _compare(restore, photo, "-m", "bicubic", "--json").records[0]["seconds"] == 0


def test_goes_on_where_it_stopped(restore, photo, monkeypatch):
    from restore.tasks import parts

    arguments = (photo, "-m", "ddrm", "-m", "bicubic", "-o", "done", "--json")
    solve = parts.solve

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "solve", interrupted)
    assert _compare(restore, photo, "-m", "bicubic", "-m", "ddrm", "-o", "done").code == 130
    kept = Path("done/rows.jsonl").read_text()
    assert [json.loads(line)["method"] for line in kept.splitlines()] == ["bicubic"]
    # As a kill in the middle of a line leaves it.
    Path("done/rows.jsonl").write_text(kept + '{"input": "pho')

    calls = []
    monkeypatch.setattr(parts, "solve", lambda *a, **k: calls.append(1) or solve(*a, **k))
    first = _compare(restore, *arguments)
    assert first.code == 0, first.err
    assert calls == [1]
    again = _compare(restore, *arguments)
    assert (again.code, calls) == (0, [1])
    assert again.records == first.records
    assert first.records[1] == json.loads(kept)
    assert sorted(path.name for path in Path("done/photo").iterdir()) == [
        "bicubic.png", "clean.png", "ddrm.png", "measured.png",
    ]  # fmt: skip


def test_a_row_whose_picture_is_gone_is_made_again(restore, photo):
    arguments = (photo, "-m", "bicubic", "-m", "lanczos", "-o", "done", "--json")
    assert _compare(restore, *arguments).code == 0
    Path("done/photo/bicubic.png").unlink()
    assert _compare(restore, *arguments).code == 0
    assert Path("done/photo/bicubic.png").exists()
    made = Path("done/rows.jsonl").read_text().splitlines()
    assert [json.loads(row)["method"] for row in made] == ["bicubic", "lanczos", "bicubic"]


@pytest.mark.parametrize("name", ["measured.png", "clean.png"])
def test_what_a_report_shows_is_made_again(restore, photo, name):
    arguments = (photo, "-m", "bicubic", "-o", "done", "--report", "page.html")
    for _ in range(2):
        assert _compare(restore, *arguments).code == 0
        Path("done/photo", name).unlink()


def test_another_kernel_in_the_same_file_is_another_comparison(restore, photo):
    deblur = ("compare", photo, "--task", "deblur", "--kernel", "k.npy", "--crop", "24", "-m",
              "wiener", "-o", "done")  # fmt: skip
    for side, code in ((3, 0), (3, 0), (5, 2)):
        np.save("k.npy", np.ones((side, side)))
        done = restore(*deblur)
        assert done.code == code, done.err
    assert "holds a comparison with another kernel" in done.err


def test_another_comparison_in_the_folder_is_refused(restore, photo):
    assert _compare(restore, photo, "-m", "bicubic", "-o", "done").code == 0
    other = _compare(restore, photo, "-m", "bicubic", "-o", "done", "--samples", "2")
    assert other.code == 2
    assert len(other.err.splitlines()) == 1
    assert "another samples (1, now 2)" in other.err
    assert _compare(
        restore, photo, "-m", "bicubic", "-o", "done", "--samples", "2", "--overwrite"
    ).code == 0  # fmt: skip


def test_an_option_that_is_left_away_is_another_comparison(restore, photo):
    command = (photo, "-m", "bicubic", "-o", "done")
    assert _compare(restore, *command, "--sigma", "0.1").code == 0
    other = _compare(restore, *command)
    assert other.code == 2
    assert "another sigma (0.1, now null)" in other.err


def test_a_measured_picture_with_and_without_its_truth(restore, tmp_path, photo):
    small = tmp_path / "small.png"
    Image.open(photo).resize((20, 15), Image.Resampling.BICUBIC).save(small)
    options = ("--task", "super-resolve", "--scale", "2", "-m", "bicubic", "-m", "ddrm", "--nfe",
               "4", "--json")  # fmt: skip
    scored = restore("compare", small, "--reference", photo, *options)
    assert scored.code == 0, scored.err
    assert all(row["psnr"] > 20 for row in scored.records)
    blind = restore("compare", small, "--measured", *options)
    assert blind.code == 0, blind.err
    assert all(row["psnr"] is None and row["residual"] is not None for row in blind.records)


def test_a_mask_is_cropped_with_its_picture(restore, tmp_path, photo, mask):
    Image.open(photo).crop((12, 7, 28, 23)).save(tmp_path / "small.png")
    Image.open(mask).crop((12, 7, 28, 23)).save(tmp_path / "small_mask.png")
    run = ("--task", "inpaint", "-m", "biharmonic", "--json", "--mask")
    found = [
        restore("compare", *arguments).records[0]["psnr"]
        for arguments in (
            ("small.png", *run, "small_mask.png"),
            (photo, "--crop", "16", *run, mask),
            (photo, "--crop", "16", *run, "small_mask.png"),
        )
    ]
    assert found[0] == found[1] == found[2] > 20
    # So is a hole in the picture's own alpha.
    holed = Image.open(photo).convert("RGBA")
    holed.putalpha(Image.open(mask).point(lambda level: 255 - level))
    holed.save(tmp_path / "holed.png")
    row = restore("compare", "holed.png", "--crop", "16", *run[:-1]).records[0]
    assert row["psnr"] == found[0]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (("inpaint", "--mask", "mask.png"), "mask.png within --crop 4: the mask is all black"),
        (("inpaint",), "photo.png within --crop 4: no mask"),
        (("deblur", "--kernel", "box:9"), "photo.png within --crop 4"),
    ],
)
@pytest.mark.parametrize("folder", [(), ("-o", "done")])
def test_what_fails_within_a_crop_is_said_of_the_file_that_was_given(
    restore, tmp_path, photo, task, said, folder
):
    hole = np.zeros((30, 40), np.uint8)
    hole[0, 0] = 255
    Image.fromarray(hole).save("mask.png")
    done = restore("compare", "photo.png", "--task", *task, "--crop", "4", "-m", "pnp", *folder)
    assert done.code == 2
    assert said in done.err
    assert not any(made in done.err for made in ("clean.png", "measured.png", "done", "/tmp"))


def test_a_file_of_an_option_is_neither_an_input_nor_written_over(restore, tmp_path, photo, mask):
    (tmp_path / "blur.png").write_bytes(mask.read_bytes())
    Image.fromarray(np.full((3, 3), 255, np.uint8)).save(tmp_path / "box.png")
    inpaint = ("--task", "inpaint", "-m", "biharmonic", "--mask", mask)
    names = ["blur.png", "photo.png"]
    for _ in range(2):  # nor are the pictures of the first time
        run = restore("compare", ".", "--recursive", *inpaint, "--json", "-o", "done")
        rows = [row for row in run.records if row["input"] != "*"]
        assert [row["input"] for row in rows if row["input"] != "box.png"] == names
    named = restore("compare", mask, *inpaint, "--json").records
    assert named[0]["input"] == str(mask)
    (tmp_path / "alone").mkdir()
    mask.rename(tmp_path / "alone" / "mask.png")
    alone = restore("compare", "alone", *inpaint[:-1], "alone/mask.png")
    assert alone.code == 2
    assert "alone: no picture but" in alone.err
    deblur = ("--task", "deblur", "-m", "wiener", "--kernel", "box.png")
    before = (tmp_path / "box.png").read_bytes()
    over = restore("compare", photo, *deblur, "--csv", "box.png")
    assert over.code == 2
    assert "--csv: its output box.png is an input" in over.err
    assert (tmp_path / "box.png").read_bytes() == before
    record = restore("compare", photo, *deblur, "-o", "done2", "--csv", "done2/rows.jsonl")
    assert record.code == 2
    assert "done2/rows.jsonl" in record.err


def test_no_input_is_written_over(restore, photo, second):
    folder = photo.parent / "photo"
    folder.mkdir()
    theirs = folder / "bicubic.png"
    theirs.write_bytes(second.read_bytes())
    done = _compare(restore, photo, theirs, "-m", "bicubic", "-o", ".")
    assert done.code == 2
    assert "photo/bicubic.png" in done.err
    assert theirs.read_bytes() == second.read_bytes()


def test_results_among_the_inputs_that_are_searched_are_refused(restore, photo):
    done = _compare(restore, ".", "--recursive", "-m", "bicubic", "-o", ".")
    assert done.code == 2
    assert "--output .: is searched for inputs" in done.err
    assert not Path("rows.jsonl").exists()


@pytest.mark.parametrize("name", ["...png", "rows.jsonl.png"])
def test_a_name_that_the_folder_has_taken_is_numbered(restore, photo, name):
    source = photo.rename(photo.with_name(name))
    for _ in range(2):
        assert _compare(restore, source, "-m", "bicubic", "-o", "deep/done").code == 0
    place = Path("deep/done") / f"{Path(name).stem}-2"
    assert (place / "bicubic.png").exists()
    assert not Path("deep/bicubic.png").exists()


@pytest.mark.parametrize("line", [b"5", b"\xff\xfe", b"{}"])
def test_a_line_that_is_no_row_is_passed_over(restore, photo, line):
    arguments = (photo, "-m", "bicubic", "-o", "done", "--json")
    first = _compare(restore, *arguments)
    with Path("done/rows.jsonl").open("ab") as lines:
        lines.write(line + b"\n")
    again = _compare(restore, *arguments)
    assert (again.code, again.records) == (0, first.records)
    Path("done/configuration.json").write_text("[]")
    refused = _compare(restore, *arguments)
    assert refused.code == 2
    assert "configuration.json: a JSON list; expected the configuration" in refused.err


def test_rows_of_a_model_with_another_card_are_not_kept(restore, photo):
    shutil.copytree(data_folder() / "models" / "photo", "model")
    arguments = (photo, "-m", "pnp", "-n", "model", "-o", "done")
    assert _compare(restore, *arguments).code == 0
    card = json.loads(Path("model/card.json").read_text())
    card["network"]["data_mean"] += 0.1
    Path("model/card.json").write_text(json.dumps(card))
    refused = _compare(restore, *arguments)
    assert refused.code == 2
    assert "data_mean" in refused.err


OWN = """
from dataclasses import dataclass
from typing import ClassVar

from restore.methods import Method


@dataclass(frozen=True)
class Own(Method):
    steps: int = 1
    how: str = "fill"
    name: ClassVar[str] = "own"
    title: ClassVar[str] = "One value, or no value, or none at all"
    reference: ClassVar[str] = "none"
    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(self, problem, prior, *, noise, on_step=None):
        x = prior(problem.operator.adjoint(problem.y) * 0 + 0.5, 0.1)
        if self.how == "exit":
            raise SystemExit(0)
        return {"fill": x, "divide": x / 0 * 0, "twice": x.repeat(2, 1, 1, 1)}[self.how]
"""


@pytest.fixture
def _own_method(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("mine", None)


@pytest.mark.usefixtures("_own_method")
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("divide", "NaN or infinity"),
        ("raise", "KeyError: 'raise'"),
        ("exit", "SystemExit"),
        ("fill", None),
    ],
)
def test_whatever_fails_in_a_method_of_ones_own_is_a_row(restore, photo, how, error):
    done = _compare(restore, photo, "-m", "mine:Own", "-m", "bicubic", "--json", "--set",
                    f"mine:Own.how={how}", "-o", "done")  # fmt: skip
    assert done.code == (1 if error else 0)
    own, bicubic, *summary = done.records
    assert bicubic["psnr"] > 0
    if error is None:
        assert own["evaluations"] == 1
        return
    assert error in own["error"]
    assert error in summary[1]["error"]
    assert "error" not in summary[0]
    shown = _compare(
        restore, photo, "-m", "mine:Own", "-m", "bicubic", "-o", "done", "--set",
        f"mine:Own.how={how}",
    )  # fmt: skip
    assert "failed" in shown.out
    assert error in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.usefixtures("_own_method")
@pytest.mark.parametrize("arguments", [("PHOTO", "--task", "denoise", "--sigma", "0.1"),
                                       ("--exact", "--operator", "mask")])  # fmt: skip
def test_debug_shows_the_traceback_of_a_method_that_failed(restore, photo, arguments):
    given = [str(photo) if argument == "PHOTO" else argument for argument in arguments]
    run = ("compare", *given, "-m", "mine:Own", "--set", "mine:Own.how=raise", "--quiet")
    done = restore(*run, "--debug", *(() if "--exact" in given else ("--crop", "8")))
    assert done.code == 1
    assert "Traceback" in done.err
    assert "mine.py" in done.err
    # pytest hangs its own there.
    assert not any(isinstance(handler, console._ToStderr) for handler in FAILURES.handlers)


def test_what_is_said_of_inputs_is_said_once(restore, photo, tmp_path):
    other = tmp_path / "other.png"
    shutil.copy(photo, other)
    run = ("compare", photo, other, "--task", "denoise", "--measured", "-m", "non-local-means")
    told = [line for line in restore(*run).out.splitlines() if "noise estimated" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{photo}: ")
    assert "noise estimated" not in restore(*run, "--quiet", "--overwrite").out


def test_only_these_inputs_count(restore, photo, second):
    both = _compare(restore, photo, second, "-m", "bicubic", "-o", "done", "--json").records
    one = _compare(
        restore, second, "-m", "bicubic", "-o", "done", "--json", "--csv", "rows.csv"
    ).records
    assert [row["input"] for row in one] == [str(second), "*"]
    assert one[1]["count"] == 1
    assert one[1]["psnr"] == one[0]["psnr"] == both[1]["psnr"]
    assert len(Path("rows.csv").read_text().splitlines()) == 2


def test_an_input_that_has_changed_is_done_again(restore, photo, second):
    run = ("-m", "bicubic", "-o", "done", "--json")
    before = _compare(restore, photo, *run).records[0]
    Image.open(second).point(lambda level: level // 2).save(photo)
    after = _compare(restore, photo, *run).records[0]
    assert after["psnr"] != before["psnr"]
    assert after == _compare(restore, photo, *run).records[0]


class _Sources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]


def test_a_perfect_method_comes_first_and_means_are_over_the_same_inputs(restore, photo, tmp_path):
    Image.open(photo).convert("L").convert("RGB").save(tmp_path / "grey.png")
    run = ("--task", "colorize", "--crop", "16", "-m", "pnp", "-m", "grey", "--nfe", "2")
    alone = restore("compare", "grey.png", *run, "--json").records
    assert alone[1]["psnr"] is None
    assert [row["method"] for row in alone[2:]] == ["grey", "pnp"]
    assert [row["equal"] for row in alone[2:]] == [1, None]
    assert [row["inputs"] for row in alone[2:]] == [1, 1]
    assert alone[3]["psnr"] == alone[0]["psnr"] > 20
    page = restore("compare", "grey.png", *run, "--report", "page.html")
    assert page.code == 0, page.err
    assert "<option selected>grey</option>" in Path("page.html").read_text()
    # The grey picture counts for no mean PSNR, since it has none by one of them.
    both = restore("compare", photo, "grey.png", *run, "--json").records
    pnp, grey, pnp_of_grey, _ = both[:4]
    levels = {row["method"]: row["psnr"] for row in both[4:]}
    assert levels == {"pnp": pnp["psnr"], "grey": grey["psnr"]}
    assert all((row["inputs"], row["count"], row["psnr_se"]) == (1, 2, None) for row in both[4:])
    means = {row["method"]: row["ssim"] for row in both[4:]}
    assert means["pnp"] == pytest.approx((pnp["ssim"] + pnp_of_grey["ssim"]) / 2)


@pytest.mark.usefixtures("_own_method")
def test_an_input_on_which_a_method_failed_counts_for_none(restore, photo, second, tmp_path):
    text = (tmp_path / "mine.py").read_text()
    # It fails on the input that is brighter at the top.
    test = "x / 0 * 0 if problem.y[..., 0, :].mean() > problem.y[..., -1, :].mean() else x"
    (tmp_path / "mine.py").write_text(text.replace('"fill": x,', f'"fill": {test},'))
    done = _compare(restore, photo, second, "-m", "mine:Own", "-m", "bicubic", "--json")
    assert done.code == 1
    rows, summary = done.records[:4], {row["method"]: row for row in done.records[4:]}
    (kept,) = [row["input"] for row in rows if row["method"] == "mine:Own" and "error" not in row]
    (bicubic,) = [
        row["psnr"] for row in rows if row["method"] == "bicubic" and row["input"] == kept
    ]
    assert summary["bicubic"]["psnr"] == bicubic
    assert [row["inputs"] for row in summary.values()] == [1, 1]
    assert (summary["bicubic"]["count"], summary["mine:Own"]["failed"]) == (2, 1)


def test_report_and_csv(restore, photo, second):
    methods = ("-m", "ddrm", "-m", "tds", "-m", "bicubic")
    done = _compare(
        restore, photo, second, *methods, "--samples", "2", "--report", "page.html", "--csv",
        "rows.csv",
    )  # fmt: skip
    assert done.code == 1
    assert "PSNR" in done.out
    parser = _Sources()
    page = Path("page.html").read_text()
    parser.feed(page)
    assert all(source.startswith(("data:", "#")) for source in parser.found)
    assert "photo.png" in page
    assert "at least 80 evaluations" in page
    with Path("rows.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["method"] for row in rows] == ["ddrm", "tds", "bicubic"] * 2
    assert float(rows[0]["psnr"]) > 0


def test_inputs_of_one_name_are_told_apart_on_the_page(restore, photo, tmp_path):
    other = tmp_path / "sub" / photo.name
    other.parent.mkdir()
    other.write_bytes(photo.read_bytes())
    assert _compare(restore, photo, other, "-m", "bicubic", "--report", "page.html").code == 0
    page = Path("page.html").read_text()
    assert f"<h2>{photo}</h2>" in page
    assert f"<h2>{other}</h2>" in page


def test_a_name_that_is_not_utf_8(restore, photo, tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (tmp_path / name).write_bytes(photo.read_bytes())
    except OSError:
        pytest.skip("the file system takes no such name")
    done = _compare(restore, name, "-m", "bicubic", "--csv", "rows.csv", "--report", "page.html")
    assert done.code == 0, done.err
    assert b"caf\xe9.png,super-resolve,bicubic" in Path("rows.csv").read_bytes()
    assert "caf?.png" in Path("page.html").read_text(encoding="utf-8")
    denoised = restore("denoise", name, "--sigma", "0.1", "--report", "one.html", "--quiet")
    assert denoised.code == 0, denoised.err
    assert "caf?.png: denoise" in Path("one.html").read_text(encoding="utf-8")


def test_exact(restore):
    done = restore(
        "compare", "--exact", "-m", "ddrm", "-m", "ddrm-cg", "--operator", "downsample", "--sigma",
        "0", "--sigma", "0.05", "--steps", "10", "--samples", "20", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert [(row["method"], row["noise_std"]) for row in done.records] == [
        ("ddrm", 0.0), ("ddrm-cg", 0.0), ("ddrm", 0.05), ("ddrm-cg", 0.05),
    ]  # fmt: skip
    keys = {
        "method", "operator", "noise_std", "steps", "mean_error", "std_ratio_observed",
        "std_ratio_null", "sliced_w2", "samples",
    }  # fmt: skip
    assert all(keys <= row.keys() and row["steps"] == 10 for row in done.records)
    shown = restore("compare", "--exact", "-m", "ddrm", "--operator", "mask", "--samples", "10")
    assert shown.code == 0
    assert "exact" in shown.out


@pytest.mark.usefixtures("_own_method")
def test_exact_goes_on_after_a_failure(restore):
    """One with too long steps, one of one's own that divides by zero, one with too few."""
    problem = ("compare", "--exact", "--operator", "mask", "--sigma", "0.05", "--samples", "4")
    methods = ("-m", "snips", "-m", "mine:Own", "-m", "ddrm")
    done = restore(*problem, *methods, "--steps", "3", "--set", "snips.variant=level", "--json")
    assert done.code == 1
    snips, own, ddrm = done.records
    assert (snips["method"], snips["operator"], snips["noise_std"]) == ("snips", "mask", 0.05)
    assert "steps is 3" in snips["error"]
    assert own["mean_error"] > 0
    assert ddrm["steps"] == 3
    shown = restore(*problem, "-m", "tds", "-m", "ddrm", "--nfe", "3", "--csv", "rows.csv")
    assert shown.code == 1
    assert "mask, noise 0.05: tds: tds with 16 particles needs" in shown.err
    assert "tds" not in shown.out
    with Path("rows.csv").open(newline="") as lines:
        assert [row["method"] for row in csv.DictReader(lines)] == ["exact", "tds", "ddrm"]


@pytest.mark.usefixtures("_own_method")
def test_exact_tells_methods_of_one_name_apart(restore, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from restore.methods import DDRM\n\n\nclass Mine(DDRM):\n    pass\n"
    )
    done = restore(
        "compare", "--exact", "--operator", "mask", "--sigma", "0.05", "--samples", "4", "--nfe",
        "3", "-m", "ddrm", "-m", "mine:Mine", "--seed", str(10**17), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert [row["method"] for row in done.records] == ["ddrm", "mine:Mine"]


@pytest.mark.usefixtures("_own_method")
def test_a_method_of_ones_own_that_changes_or_has_no_steps_runs(restore, photo, tmp_path):
    arguments = (photo, "-m", "mine:Own", "-o", "done", "--json")
    (tmp_path / "mine.py").write_text(OWN.replace("    steps: int = 1\n", ""))
    first = _compare(restore, *arguments)
    assert first.code == 0, first.err
    assert _compare(restore, *arguments).records == first.records
    sys.modules.pop("mine")
    (tmp_path / "mine.py").write_text(OWN.replace("* 0 + 0.5", "* 0 + 0.1"))
    assert _compare(restore, *arguments).records[0]["psnr"] != first.records[0]["psnr"]


@pytest.mark.usefixtures("_own_method")
def test_exact_scores_no_other_number_of_samples(restore):
    done = restore(
        "compare", "--exact", "--operator", "mask", "--sigma", "0.05", "--samples", "4", "-m",
        "mine:Own", "--set", "mine:Own.how=twice", "--json",
    )  # fmt: skip
    assert done.code == 1
    assert "the samples are [48, 1, 8, 8]; expected [24, 1, 8, 8]" in done.records[0]["error"]


def test_exact_refuses_what_fits_nothing_before_any_work(restore):
    done = restore(
        "compare", "--exact", "--operator", "masked-blur", "--sigma", "0.05", "--samples", "4",
        "-m", "ddrm-cg", "-m", "ddrm", "--json",
    )  # fmt: skip
    assert (done.code, done.out) == (2, "")
    assert "--method ddrm: fits none of these problems; expected one of" in done.err
    assert " ddrm-cg," in done.err
    assert " ddrm," not in done.err


def test_exact_says_which_pair_does_not_fit(restore):
    problem = ("compare", "--exact", "--operator", "masked-blur", "--operator", "mask", "--sigma",
               "0.05", "--samples", "4", "--steps", "3", "-m", "ddrm")  # fmt: skip
    done = restore(*problem)
    assert done.code == 0
    assert "masked-blur, noise 0.05: ddrm needs a fast SVD, which Mask @ Blur has not" in done.err
    assert done.out.count("ddrm") == 1
    assert restore(*problem, "--quiet").err == ""


def test_exact_takes_parameters(restore):
    problem = ("compare", "--exact", "-m", "ddrm", "--operator", "mask", "--sigma", "0.05",
               "--samples", "4", "--steps", "3", "--json")  # fmt: skip
    plain, other, named, seeded = (
        restore(*problem, *more).records[0]
        for more in ((), ("--set", "ddrm.eta=0.1"), ("--set", "ddrm.steps=5"), ("--seed", 1))
    )
    assert seeded["mean_error"] != plain["mean_error"]
    assert other["steps"] == plain["steps"] == 3
    assert other["mean_error"] != plain["mean_error"]
    assert named["steps"] == 5
    wrong = restore(*problem, "--set", "ddrm.eta=high")
    assert wrong.code == 1
    assert "eta is 'high'" in wrong.records[0]["error"]


def test_a_package_that_is_not_ours_is_offered_where_it_is(restore, photo, monkeypatch):
    from restore.tasks import classical

    options = ("--task", "denoise", "--crop", "8", "-m")
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    done = restore("compare", photo, *options, "bm3d")
    assert done.code == 2
    assert "needs the package bm3d, which is not installed" in done.err
    assert "at hand are non-local-means" in done.err
    monkeypatch.setattr(classical, "find_spec", lambda name: object())
    nearest = restore("compare", photo, *options, "bm3b")
    assert "did you mean bm3d?" in nearest.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--task", "denoise"), ("INPUT",)),
        (("PHOTO",), ("--task", "expected one of", "denoise")),
        (("PHOTO", "--task", "denoize"), ("--task denoize", "denoise")),
        (("PHOTO", "--task", "denoise", "-m", "ddrn"), ("ddrn", "ddrm")),
        (("PHOTO", "--task", "denoise", "-m", "biharmonic"), ("biharmonic", "non-local-means")),
        (("PHOTO", "--task", "inpaint", "-m", "bm3d"), ("bm3d: not for inpaint", "biharmonic")),
        (
            ("PHOTO", "--task", "denoise", "--simulate", "--reference", "PHOTO"),
            ("--simulate", "--reference"),
        ),
        (("PHOTO", "--task", "denoise", "--nfe", "0"), ("--nfe 0", "own")),
        (("PHOTO", "--task", "denoise", "--crop", "1000"), ("photo.png", "40x30", "1000")),
        (("PHOTO", "--task", "denoise", "--set", "eta=1"), ("METHOD.NAME=VALUE",)),
        (
            ("PHOTO", "--task", "denoise", "-m", "ddrm", "--set", "pnp.steps=3"),
            ("--set pnp", "ddrm"),
        ),
        (
            ("PHOTO", "--task", "denoise", "-m", "ddrm", "--set", "ddrm.etta=1"),
            ("--set ddrm.etta", "eta"),
        ),
        (("PHOTO", "--task", "denoise", "--report", "PHOTO"), ("--report", "is an input")),
        (("PHOTO", "--task", "denoise", "--csv", "PHOTO"), ("--csv", "is an input")),
        (("PHOTO", "--task", "denoise", "--set", "ddrm.eta=nan"), ("ddrm.eta=nan", "finite")),
        (
            ("PHOTO", "--task", "denoise", "-m", "tv", "--set", "tv.x=1"),
            ("--set tv.x", "none"),
        ),
        (
            ("PHOTO", "--task", "denoise", "-m", "ddrm", "--report", "photo.png/page.html"),
            ("photo.png/page.html", "writable folder"),
        ),
        (("--exact", "--csv", "photo.png/rows.csv"), ("photo.png/rows.csv", "writable folder")),
        (("PHOTO", "--task", "denoise", "--operator", "mask"), ("--operator", "--exact")),
        (("PHOTO", "--exact"), ("--exact", "INPUT")),
        (("PHOTO", "--exact", "--task", "denoise"), ("--exact", "no INPUT, --task")),
        (("--exact", "-n", "nonexistent"), ("--exact", "no --model")),
        (
            ("--exact", "--crop", "5", "-o", "nofolder", "--scale", "3"),
            ("--exact", "no --crop, --output, --scale"),
        ),
        (("--exact", "--measured", "--recursive"), ("--exact", "no --measured, --recursive")),
        (("--exact", "--report", "page.html"), ("--exact", "no --report")),
        (("--exact", "--device", "cpu", "--overwrite"), ("no --device, --overwrite",)),
        (("--exact", "--set", "ddrm.etta=1"), ("--set ddrm.etta", "eta")),
        (("--exact", "-m", "ddrm", "--set", "pnp.steps=3"), ("--set pnp", "ddrm")),
        (("--exact", "--set", "eta=1"), ("METHOD.NAME=VALUE",)),
        (("--exact", "--steps", "5", "--nfe", "9"), ("--steps and --nfe",)),
        (
            ("--exact", "-m", "ddrm", "--nfe", "9", "--set", "ddrm.steps=5"),
            ("--nfe 9 and --set ddrm.steps",),
        ),
        (
            ("PHOTO", "--task", "denoise", "-m", "ddrm", "--nfe", "9", "--set", "ddrm.steps=5"),
            ("--nfe 9 and --set ddrm.steps",),
        ),
        (
            ("PHOTO", "--task", "denoise", "-m", "ddrm", "--csv", "."),
            (".: is a folder", "the name of a file"),
        ),
        (
            ("PHOTO", "--task", "denoise", "--scale", "3"),
            ("--scale: not for denoise", "only for super-resolve"),
        ),
        (
            ("PHOTO", "--task", "denoise", "--mask", "nope.png"),
            ("--mask: not for denoise", "only for inpaint"),
        ),
        (
            ("PHOTO", "--task", "denoise", "--kernel", "bogus"),
            ("--kernel: not for denoise", "super-resolve and deblur"),
        ),
        (("PHOTO", "--task", "deblur", "--hints", "PHOTO"), ("--hints: not for deblur",)),
        (("PHOTO", "--task", "inpaint", "--border", "zero"), ("--border: not for inpaint",)),
        (("PHOTO", "--task", "inpaint", "--quality", "9"), ("--quality: not for inpaint",)),
        (("PHOTO", "--task", "dejpeg", "--measured", "--quality", "9"), ("--quality: of the",)),
        (("--exact", "--operator", "hose"), ("--operator hose", "mask")),
        (("--exact", "-m", "nothing"), ("nothing",)),
        (("--exact", "--sigma", "auto"), ("--sigma auto",)),
    ],
)
def test_refusals(restore, photo, arguments, parts):
    done = restore("compare", *(photo if one == "PHOTO" else one for one in arguments))
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert all(part in done.err for part in parts), done.err


def test_steps_of_a_method_are_not_those_of_the_budget(restore, photo):
    own = ("--set", "ddrm.steps=7", "--json")
    rows = restore("compare", photo, "--task", "denoise", "-m", "ddrm", "-m", "ddrm-cg",
                   "--crop", "16", *own).records  # fmt: skip
    assert {row["method"]: row["evaluations"] for row in rows[:2]} == {"ddrm": 7, "ddrm-cg": 100}
    exact = ("--operator", "mask", "--sigma", "0.05", "--samples", "5", "-m", "ddrm")
    assert restore("compare", "--exact", *exact, *own).records[-1]["steps"] == 7


def test_by_default_only_what_the_budget_suffices_for_is_compared(restore, photo, own):
    options = (
        "compare", photo, "--task", "denoise", "--sigma", "0.1", "--nfe", 2, "-n", own, "--json",
    )  # fmt: skip
    done = restore(*options)
    assert done.code == 0
    assert "left out" in done.err
    assert all(name in done.err for name in ("tds", "mcgdiff"))
    compared = {row["method"] for row in done.records}
    assert "ddrm" in compared
    assert not compared & {"tds", "mcgdiff"}
    named = restore(*options, "-m", "tds")
    assert named.code == 1
    assert "left out" not in named.err


def test_a_method_of_which_a_parameter_is_set_is_not_left_out(restore, photo, own):
    done = restore(
        "compare", photo, "--task", "denoise", "--sigma", "0.1", "--nfe", 20, "--json", "--crop", 8,
        "--set", "tds.particles=2", "-n", own,
    )  # fmt: skip
    assert "tds" in {row["method"] for row in done.records if "error" not in row}
    assert "left out" in done.err
