"""Folders: at any depth, mixed kinds, bad files, and going on where a run stopped."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def album(tmp_path, photo):
    """Good pictures of several kinds at two depths, and three bad ones."""
    folder = tmp_path / "in"
    (folder / "deep" / "er").mkdir(parents=True)
    picture = Image.open(photo)
    picture.save(folder / "a.png")
    picture.convert("L").save(folder / "b.tif")
    picture.save(folder / "deep" / "c.jpg", quality=90)
    picture.convert("P").save(folder / "deep" / "er" / "d.gif")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:100])
    (folder / "deep" / "empty.jpg").write_bytes(b"")
    (folder / "deep" / "words.png").write_text("not a picture")
    (folder / "notes.txt").write_text("not taken from a folder")
    return folder


COMMAND = ("denoise", "in", "-o", "out", "--sigma", 0.05, "--recursive")
MADE = {"a_denoise.png", "b_denoise.tif", "deep/c_denoise.png", "deep/er/d_denoise.png"}


def made(folder):
    return {
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.suffix in (".png", ".tif")
    }


def test_bad_files_do_not_stop_the_rest(restore, tmp_path, album):
    done = restore(*COMMAND, "--json")
    assert done.code == 1
    assert made(tmp_path / "out") == MADE
    bad = {record["input"] for record in done.records if "error" in record}
    assert bad == {"in/cut.png", "in/deep/empty.jpg", "in/deep/words.png"}
    # One line each, at the end, that begins with the file.
    lines = done.err.splitlines()
    assert len(lines) == 3
    assert all(any(name in line for line in lines) for name in bad)


def test_a_locked_file_does_not_stop_the_rest(restore, tmp_path, photo, monkeypatch):
    for name in ("locked.png", "locked.h5"):
        (tmp_path / name).write_bytes(b"locked")
    access = os.access
    # To the administrator nothing is locked.
    monkeypatch.setattr(os, "access", lambda p, mode: Path(p).stem != "locked" and access(p, mode))
    done = restore("denoise", "locked.png", photo, "--sigma", 0.05)
    assert (done.code, done.err) == (1, "locked.png: permission denied, expected a readable file\n")
    assert (tmp_path / "photo_denoise.png").exists()
    for verb in ("mri", "ct"):
        done = restore(verb, "locked.h5", "-m", "tv")
        assert done.err == "locked.h5: permission denied, expected a readable file\n"
        assert done.code == 2


def test_without_recursive_folders_inside_are_left_alone(restore, tmp_path, album):
    (album / "cut.png").unlink()
    assert restore(*COMMAND[:-1]).code == 0
    assert made(tmp_path / "out") == {"a_denoise.png", "b_denoise.tif"}


def test_skip_existing_goes_on_where_a_run_stopped(restore, tmp_path, album):
    for bad in ("cut.png", "deep/empty.jpg", "deep/words.png"):
        (album / bad).unlink()
    assert restore(*COMMAND).code == 0
    first = {name: (tmp_path / "out" / name).read_bytes() for name in MADE}
    # As if it had been interrupted: two are missing, one of them in a folder that is not there.
    (tmp_path / "out" / "a_denoise.png").unlink()
    shutil.rmtree(tmp_path / "out" / "deep" / "er")
    kept = tmp_path / "out" / "b_denoise.tif"
    kept.write_bytes(b"mine")
    done = restore(*COMMAND, "--skip-existing", "--json")
    assert done.code == 0
    assert {record["input"] for record in done.records} == {"in/a.png", "in/deep/er/d.gif"}
    assert kept.read_bytes() == b"mine"
    for name in MADE - {"b_denoise.tif"}:
        assert (tmp_path / "out" / name).read_bytes() == first[name]
    # With nothing left to do nothing is done.
    again = restore(*COMMAND, "--skip-existing", "--json")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_a_run_over_its_own_folder_leaves_its_results_out(restore, tmp_path, album):
    for bad in ("cut.png", "deep/empty.jpg", "deep/words.png"):
        (album / bad).unlink()
    command = ("denoise", "in", "--sigma", 0.05, "--recursive")
    assert restore(*command).code == 0
    before = {file for file in album.rglob("*") if file.is_file()}
    assert restore(*command, "--skip-existing").code == 0
    assert {file for file in album.rglob("*") if file.is_file()} == before


def test_memory_that_runs_out_on_one_picture_does_not_stop_the_rest(
    restore, tmp_path, album, monkeypatch
):
    from restore.tasks import parts

    whole = parts.solve

    def full(problem, *rest, **more):
        if problem.y.shape[1] == 1:
            raise MemoryError
        return whole(problem, *rest, **more)

    monkeypatch.setattr(parts, "solve", full)
    (album / "cut.png").unlink()
    done = restore(*COMMAND[:-1])
    assert done.code == 1
    assert made(tmp_path / "out") == {"a_denoise.png"}
    assert len(done.err.splitlines()) == 1
    assert "b.tif: out of memory at 40x30" in done.err


def test_one_picture_in_several_formats(restore, tmp_path, photo):
    (tmp_path / "in").mkdir()
    picture = Image.open(photo)
    for kind in ("png", "jpg", "webp"):
        picture.save(tmp_path / "in" / f"a.{kind}", lossless=True)
    done = restore("denoise", "in", "-o", "out", "--sigma", 0.05, "--json")
    assert done.code == 0
    names = {"a_jpg_denoise.png", "a_png_denoise.png", "a_webp_denoise.webp"}
    assert {record["output"] for record in done.records} == {f"out/{name}" for name in names}
    assert len(list((tmp_path / "out").iterdir())) == 6
    for record in done.records:
        assert json.loads((tmp_path / record["sidecar"]).read_text())["input"] == record["input"]


def test_what_simulate_wrote_into_a_folder_is_no_input(restore, tmp_path, photo):
    command = ("denoise", tmp_path, "--simulate", "--sigma", 0.05, "--json")
    assert restore(*command).code == 0
    (record,) = restore(*command, "--overwrite").records
    assert record["input"] == str(photo)


@pytest.mark.parametrize(
    ("verb", "option", "more"),
    [("inpaint", "--mask", ("-m", "biharmonic")), ("denoise", "--reference", ("--sigma", 0.05)),
     ("denoise", "--init", ("-m", "pnp")), ("deblur", "--kernel", ("-m", "wiener")),
     ("colorize", "--hints", ("-m", "grey"))],
)  # fmt: skip
def test_a_file_of_an_option_is_no_input(restore, tmp_path, photo, mask, verb, option, more):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(photo, folder / "a.png")
    shutil.copy(mask if option == "--mask" else photo, folder / "b.png")
    if option == "--kernel":
        Image.new("L", (3, 3), 255).save(folder / "b.png")
    if option == "--hints":
        Image.new("RGBA", (40, 30), (200, 0, 0, 255)).save(folder / "b.png")
    done = restore(verb, "in", option, "in/b.png", *more, "-o", "out", "--json")
    assert (done.code, [record["input"] for record in done.records]) == (0, ["in/a.png"])
    (folder / "a.png").unlink()
    done = restore(verb, "in", option, "in/b.png", *more, "-o", "out", "--json")
    assert (done.code, done.out) == (2, "")
    assert "in: no picture in this folder but those of options" in done.err


def test_a_slash_at_its_end_makes_a_folder_of_any_name(restore, tmp_path, photo):
    command = ("denoise", photo, "--sigma", 0.05, "-m", "non-local-means")
    for name in ("new.v2/", "new.png/"):
        assert restore(*command, "-o", name).code == 0
        assert (tmp_path / name / "photo_denoise.png").exists()
    assert restore(*command, "-o", "new").code == 0
    assert restore(*command, "-o", "file.v2").err.startswith("file.v2: ")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_an_empty_folder_among_inputs_leaves_the_others(restore, tmp_path, photo, options):
    (tmp_path / "empty").mkdir()
    done = restore("denoise", "empty", photo, "-o", "out", "--sigma", 0.05, "--json", *options)
    assert done.code == 1
    assert done.err == "empty: is a folder, expected a picture file\n"
    assert [record["input"] for record in done.records] == ["empty", str(photo)]
    assert (tmp_path / "out" / "photo_denoise.png").exists() != bool(options)


def test_a_failure_by_the_file_of_an_option_tells_of_which_input(restore, tmp_path, photo, mask):
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    command = ("inpaint", photo, "other.png", "--mask", mask, "-m", "biharmonic", "--json")
    told = f"other.png: {mask}: mask is 40x30, the picture is 8x8; expected the same"
    for options in ((), ("--dry-run", "--overwrite")):
        done = restore(*command, *options)
        assert (done.code, done.err) == (1, f"{told}\n")
        assert done.records[1] == {"input": "other.png", "error": told}
