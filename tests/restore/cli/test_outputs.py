"""Whatever a run writes: never over what is there, and never over what it reads."""

import shutil

import pytest

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


def test_a_sidecar_gives_way_to_that_of_another_kind_of_file(restore, tmp_path, photo):
    assert restore(*QUICK, "-o", "x.png").code == 0
    assert restore(*QUICK, "-o", "x.tif").code == 0


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
    assert (done.code, done.err) == (2, "--save-std: the spread of samples; expected --samples N\n")
