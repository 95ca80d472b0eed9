"""Whatever a run writes: never over what is there, and never over what it reads."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.io import atomic
from restore.tasks import sidecar

QUICK = ("denoise", "photo.png", "--sigma", 0.05, "--steps", 1)
EVERYTHING = (
    *QUICK,
    "--samples",
    2,
    "--save-std",
    "--simulate",
    "--report",
    "r.html",
    "-o",
    "x.png",
)


@pytest.mark.parametrize(
    "name", ["x_0.png", "x_1.png", "x_std.npy", "x_std.png", "x_degraded.png", "x.json", "r.html"]
)
def test_each_file_of_a_run_is_refused_where_it_exists(restore, tmp_path, photo, name):
    (tmp_path / name).write_bytes(b"mine")
    done = restore(*EVERYTHING)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{name}: exists already")
    assert (tmp_path / name).read_bytes() == b"mine"
    assert {file.name for file in tmp_path.iterdir()} == {"photo.png", name}
    assert restore(*EVERYTHING, "--overwrite").code == 0
    assert (tmp_path / name).read_bytes() != b"mine"


def test_a_sidecar_gives_way_where_its_output_is_gone(restore, tmp_path, photo):
    assert restore(*QUICK, "-o", "x.png").code == 0
    done = restore(*QUICK, "-o", "x.tif")
    assert done.code == 2
    assert done.err.startswith("x.json: exists already")
    assert not (tmp_path / "x.tif").exists()
    (tmp_path / "x.png").unlink()
    assert restore(*QUICK, "-o", "x.tif").code == 0


def test_a_link_to_nowhere_is_not_replaced(restore, tmp_path, photo):
    (tmp_path / "x.png").symlink_to("nowhere.png")
    done = restore(*QUICK, "-o", "x.png")
    assert (done.code, done.err.startswith("x.png: exists already")) == (2, True)
    assert (tmp_path / "x.png").is_symlink()


def test_a_sidecar_repeats_the_kind_of_its_output(restore, tmp_path, photo):
    assert restore(*QUICK, "--ext", "tif", "-o", "a/").code == 0
    again = ("--config", "a/photo_denoise.json")
    assert restore("denoise", "photo.png", *again, "-o", "b/").code == 0
    first, second = (tmp_path / folder / "photo_denoise.tif" for folder in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert restore("denoise", "photo.png", *again, "--ext", "png", "-o", "b/").code == 2
    assert restore("denoise", "photo.png", *again, "--ext", "png", "-o", "c/").code == 0
    assert (tmp_path / "c" / "photo_denoise.png").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [(("-o", "link.png"), "link.png is an input"), (("-o", "true.png"), "true.png is an input"),
     (("-o", "x.png", "--report", "photo.png"), "--report: its output photo.png is an input"),
     (("-o", "x.png", "--report", "x.json"), "--report: its output x.json is that of photo.png")],
)  # fmt: skip
def test_no_file_that_is_read_is_written(restore, tmp_path, photo, options, part):
    shutil.copy(photo, tmp_path / "true.png")
    (tmp_path / "link.png").symlink_to("photo.png")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    done = restore(*QUICK, "--reference", "true.png", *options, "--overwrite")
    assert (done.code, done.out) == (2, "")
    assert part in done.err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_report_without_a_place_is_refused_before_any_work(restore, tmp_path, photo):
    done = restore(*QUICK, "--report", "/proc/r.html")
    assert (done.code, done.out) == (2, "")
    assert list(tmp_path.iterdir()) == [photo]


def test_a_map_needs_samples(restore, tmp_path, photo):
    done = restore(*QUICK, "--save-std")
    said = "--save-std: the spread of samples; expected --samples N, from 2 on\n"
    assert (done.code, done.err) == (2, said)
    done = restore(*QUICK, "--save-std", "--samples", 1)
    assert (done.code, done.err) == (2, said)


@pytest.mark.parametrize("name", ["x_degraded.png", "r.html", "x_0.png", "x_std.png"])
def test_what_is_not_ours_is_not_replaced_by_skipping(restore, tmp_path, photo, name):
    (tmp_path / name).write_bytes(b"mine")
    done = restore(*EVERYTHING, "--skip-existing")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith(f"{name}: exists already")
    assert {file.name for file in tmp_path.iterdir()} == {"photo.png", name}
    assert (tmp_path / name).read_bytes() == b"mine"


def test_samples_beside_an_output_without_them_are_not_ours(restore, tmp_path, photo):
    assert restore(*QUICK, "-o", "x.png").code == 0
    (tmp_path / "x_1.png").write_bytes(b"mine")
    done = restore(*QUICK, "--samples", 2, "-o", "x.png", "--skip-existing")
    assert (done.code, done.err.startswith("x_1.png: exists already")) == (2, True)


def test_a_run_that_lacks_what_is_asked_for_is_done_again(restore, tmp_path, photo):
    assert restore(*QUICK, "-o", "x.png").code == 0
    asked = (*QUICK, "--samples", 2, "--save-std", "-o", "x.png", "--skip-existing", "--json")
    assert len(restore(*asked).records) == 1
    files = ("x.png", "x_0.png", "x_1.png", "x_std.png", "x_std.npy")
    assert all((tmp_path / name).exists() for name in files)
    assert restore(*asked).records == []
    before = (tmp_path / "x.png").read_bytes()
    for name in files:
        (tmp_path / name).unlink()
        assert len(restore(*asked).records) == 1
        assert (tmp_path / name).exists()
        assert (tmp_path / "x.png").read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"task": "deblur"}, {"input": "other.png"}, {"output": "x.tif"}]
)
def test_an_output_that_something_else_made_is_left_alone(restore, tmp_path, photo, change):
    assert restore(*QUICK, "-o", "x.png").code == 0
    made = tmp_path / "x.json"
    made.write_text(json.dumps(json.loads(made.read_text()) | change))
    (tmp_path / "x.png").write_bytes(b"mine")
    done = restore(*QUICK, "--samples", 2, "-o", "x.png", "--skip-existing")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("x.png: left as it is")
    assert (tmp_path / "x.png").read_bytes() == b"mine"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, InputError("x_1.png: no space left")])
@pytest.mark.parametrize("name", ["x_1.png", "x_std.npy", "x.png", "x.json"])
def test_a_run_that_ends_early_leaves_nothing(restore, tmp_path, photo, monkeypatch, name, failure):
    whole = atomic.atomic_path

    def full(path):
        if Path(path).name == name:
            raise failure
        return whole(path)

    for module in (atomic, sidecar):
        monkeypatch.setattr(module, "atomic_path", full)
    command = (*QUICK, "--samples", 2, "--save-std", "--simulate", "-o", "x.png")
    assert restore(*command).code == (130 if failure is KeyboardInterrupt else 2)
    assert list(tmp_path.iterdir()) == [photo]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert restore(*command, "--skip-existing").code == 0
    assert len(list(tmp_path.iterdir())) == 8
    old = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for module in (atomic, sidecar):
        monkeypatch.setattr(module, "atomic_path", full)
    assert restore(*command, "--overwrite", "--seed", 1).code != 0
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert restore(*command, "--skip-existing", "--seed", 1).code == 0
    new = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert new["x_0.png"] != old["x_0.png"]
    assert json.loads(new["x.json"])["seed"] == 1


def test_what_was_there_before_it_failed_stays(restore, tmp_path, photo):
    Image.new("RGB", (5, 5)).save(tmp_path / "small.png")
    assert restore(*QUICK, "-o", "x.png").code == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    refused = restore(*QUICK, "--reference", "small.png", "--overwrite", "-o", "x.png")
    assert refused.code == 2
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_an_output_is_written_after_its_samples(restore, tmp_path, photo, monkeypatch):
    """What a run leaves that is killed, and cannot clean up, does not look done."""
    order, whole = [], atomic.atomic_path

    def seen(path):
        order.append(Path(path).name)
        return whole(path)

    for module in (atomic, sidecar):
        monkeypatch.setattr(module, "atomic_path", seen)
    assert restore(*QUICK, "--samples", 2, "--save-std", "-o", "x.png").code == 0
    assert order[-2:] == ["x.png", "x.json"]
    assert set(order[:-2]) == {"x_0.png", "x_1.png", "x_std.png", "x_std.npy"}


@pytest.mark.parametrize(
    ("options", "name"),
    [(("deblur", "photo.png", "--kernel", "k.png", "-o", "k.png"), "k.png"),
     ((*QUICK, "--config", "c.json", "-o", "c.png"), "c.json"),
     ((*QUICK, "--config", "c.json", "--report", "c.json"), "c.json")],
)  # fmt: skip
def test_no_file_of_an_option_is_written(restore, tmp_path, photo, options, name):
    Image.fromarray(np.full((3, 3), 255, np.uint8)).save(tmp_path / "k.png")
    (tmp_path / "c.json").write_text('{"seed": 3}')
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    done = restore(*options, "--overwrite")
    assert (done.code, done.out) == (2, "")
    assert f"its output {name} is an input" in done.err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_sidecar_gives_way_where_its_own_output_is_made_again(restore, tmp_path, photo):
    assert restore(*QUICK, "--seed", 3, "-o", "x.png").code == 0
    again = (*QUICK, "--config", "x.json", "--overwrite")
    assert restore(*again, "-o", "x.png").code == 0
    assert json.loads((tmp_path / "x.json").read_text())["seed"] == 3
    done = restore(*again, "-o", "x.tif")
    assert (done.code, "its output x.json is an input" in done.err) == (2, True)
