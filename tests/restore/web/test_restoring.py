"""What the page makes is what the command line and Python make."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from restore.cli.app import app
from restore.errors import InputError
from restore.tasks.photo import Restorer
from restore.tasks.registry import TASKS
from restore.tasks.settings import Settings
from restore.web import restoring
from restore.web.photo_verbs import blur
from restore.web.restoring import open_drawing, open_picture, start_restoring
from restore.web.run import Cancelled
from restore.web.service import Limits, Service

from .conftest import as_drawing, smooth


def opened(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


QUICK = {"steps": 2, "seed": 7}


@pytest.fixture
def visit(service, upload):
    """Restore on the page: the outcome of a verb."""

    def done(verb, path, own=None, drawing=None, common=QUICK):
        session = service.store.session("visitor")
        source, _ = open_picture(service, session, upload(path), verb)
        return start_restoring(service, session, verb, source, common, own or {}, drawing).result()

    return done


def test_page_command_line_and_python_write_the_same_bytes(visit, photo, hole, tmp_path):
    outcome = visit("inpaint", photo, drawing=as_drawing(hole))
    mask = tmp_path / "mask.png"
    Image.fromarray(hole).save(mask)

    terminal = tmp_path / "terminal.png"
    arguments = ["inpaint", photo, "--mask", mask, "--steps", 2, "--seed", 7, "-o", terminal]
    assert CliRunner().invoke(app, [str(a) for a in arguments]).exit_code == 0

    python = tmp_path / "python.png"
    settings = Settings(mask=mask, seed=7, parameters={"steps": 2})
    Restorer(TASKS["inpaint"], settings).restore(photo, python, suffix="_inpaint")

    result = outcome.files[0]
    assert result.name == "photo_inpaint.png"
    assert result.read_bytes() == terminal.read_bytes() == python.read_bytes()
    # What lies outside the hole stays.
    assert (opened(result)[hole == 0] == smooth(40, 30)[hole == 0]).all()


def test_the_sidecar_repeats_the_run_where_it_was_downloaded(
    visit, photo, hole, tmp_path, monkeypatch
):
    outcome = visit("inpaint", photo, drawing=as_drawing(hole))
    names = [file.name for file in outcome.files]
    assert names == ["photo_inpaint.png", "photo_inpaint.json", "photo_mask.png"]
    assert str(tmp_path / "root") not in outcome.files[1].read_text()
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for file in [*outcome.files, photo]:
        (downloads / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(downloads)
    again = ["inpaint", "photo.png", "--config", "photo_inpaint.json", "-o", "again.png"]
    assert CliRunner().invoke(app, again).exit_code == 0
    assert (downloads / "again.png").read_bytes() == outcome.files[0].read_bytes()


def test_a_kernel_of_ones_own_is_named_as_it_was_uploaded(service, upload, photo, tmp_path):
    (path := tmp_path / "kernel.npy").write_bytes(b"")
    np.save(path, np.ones((3, 3), np.float32))
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "deblur")
    own = blur(service, session, "gaussian", None, None, "valid", upload(path))
    outcome = start_restoring(service, session, "deblur", source, QUICK, own).result()
    sidecar = outcome.files[1].read_text()
    assert json.loads(sidecar)["config"]["kernel"] == "kernel.npy"
    assert outcome.notes[0].startswith("kernel kernel.npy: 3x3")
    assert str(session.folder) not in sidecar + json.dumps(outcome.record) + str(outcome.notes)


def test_one_sample_has_no_spread(visit, photo, hole):
    outcome = visit("inpaint", photo, drawing=as_drawing(hole), common=QUICK | {"samples": 1})
    assert not any("_std" in file.name for file in outcome.files)
    assert outcome.spread is None


def test_a_result_that_does_not_fit_is_said_to(visit, photo, monkeypatch):
    restore = Restorer.restore
    monkeypatch.setattr(
        Restorer, "restore", lambda *a, **k: replace(restore(*a, **k), consistent=False)
    )
    assert visit("denoise", photo).consistent is False


def test_samples_come_with_the_map_of_their_spread(visit, photo, hole):
    outcome = visit("inpaint", photo, drawing=as_drawing(hole), common=QUICK | {"samples": 2})
    names = {file.name for file in outcome.files}
    assert {"photo_inpaint_0.png", "photo_inpaint_1.png", "photo_inpaint_std.npy"} <= names
    assert outcome.spread.name == "photo_inpaint_std.png"


def test_before_and_after_have_the_size_of_the_result(visit, photo):
    outcome = visit("super-resolve", photo, {"scale": 2.0, "kernel": "bicubic"})
    before, after = map(opened, outcome.shown)
    assert before.shape == after.shape
    assert (before[::2, ::2] == smooth(40, 30)).all()
    assert (before[1::2, 1::2] == smooth(40, 30)).all()
    assert (after == opened(outcome.files[0])).all()
    assert outcome.record["width"] == 80
    assert outcome.record["output"] == "photo_super-resolve.png"


def test_an_upload_of_any_name_is_shown(service, upload, photo):
    session = service.store.session("visitor")
    for name in ("shown", "picture.png"):
        source, shown = open_picture(service, session, upload(photo, name), "inpaint")
        assert source.name == name
        assert (opened(shown) == smooth(40, 30)).all()
        assert source.read_bytes() == photo.read_bytes()


def test_what_is_transparent_is_shown_so(service, upload, photo, hole, tmp_path):
    pixels = np.dstack([smooth(40, 30), hole])
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    session = service.store.session("visitor")
    _, shown = open_picture(service, session, upload(tmp_path / "clear.png"), "inpaint")
    assert (opened(shown)[..., 3] == hole).all()


def test_an_uploaded_mask_is_read_as_the_command_line_reads_it(service, upload, photo, tmp_path):
    session = service.store.session("visitor")
    source, shown = open_picture(service, session, upload(photo), "inpaint")
    assert (opened(shown) == smooth(40, 30)).all()
    grey = np.zeros((30, 40), np.uint8)
    grey[3:6, 7:9], grey[20, 20] = 128, 127  # above and below a half
    path = tmp_path / "grey.tif"
    Image.fromarray(grey).save(path)
    made = open_drawing(service, session, "inpaint", upload(path), source)
    assert (opened(made) == np.where(grey == 128, 255, 0)).all()
    small = tmp_path / "small.png"
    Image.fromarray(grey[:10]).save(small)
    with pytest.raises(InputError, match="mask is 40x10, the picture is 40x30"):
        open_drawing(service, session, "inpaint", upload(small), source)
    Image.new("L", (50, 30)).save(large := tmp_path / "large.png")
    narrow = Service(service.store, Limits(pixels=1200))
    with pytest.raises(InputError, match="50x30 pixels; expected at most"):
        open_drawing(narrow, session, "inpaint", upload(large), source)


def test_uploaded_strokes_keep_their_colours(service, upload, photo, tmp_path):
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "colorize")
    strokes = np.zeros((30, 40, 4), np.uint8)
    strokes[5, 6] = (208, 32, 16, 255)
    strokes[7, 8] = (10, 20, 30, 100)  # less than half opaque
    path = tmp_path / "strokes.png"
    Image.fromarray(strokes).save(path)
    made = opened(open_drawing(service, session, "colorize", upload(path), source))
    assert made[5, 6].tolist() == [208, 32, 16, 255]
    assert np.argwhere(made[..., 3]).tolist() == [[5, 6]]


def test_what_is_no_picture_is_refused(service, upload, tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    with pytest.raises(InputError, match=r"notes\.png.*expected"):
        open_picture(service, service.store.session("a"), upload(path), "inpaint")


@pytest.mark.parametrize(
    ("own", "common", "match"),
    [
        ({}, {"method": "pathlib:Path"}, "method pathlib:Path: expected one of"),
        ({}, {"model": "/etc/passwd"}, "model /etc/passwd: expected one of"),
        ({}, {"steps": -1}, "steps -1: expected a whole number"),
        ({}, {"seed": 0.5}, "seed 0.5: expected a whole number"),
        ({}, {"preset": "wild"}, "quality wild: expected one of"),
        ({}, {"sigma": "loud"}, "--sigma loud"),
        ({"scale": 40.0}, {}, "1600x1200 pixels; expected at most 1 million"),
        ({"scale": 20.0}, {"samples": 4}, "800x600 pixels times 4 samples; expected at most"),
    ],
)
def test_what_the_page_does_not_offer_is_refused(service, upload, photo, own, common, match):
    narrow = Service(service.store, Limits(pixels=1_000_000))
    session = service.store.session("visitor")
    source, _ = open_picture(narrow, session, upload(photo), "super-resolve")
    with pytest.raises(InputError, match=match):
        start_restoring(narrow, session, "super-resolve", source, common, own).result()


@pytest.mark.parametrize(
    ("verb", "common", "match"),
    [
        ("super-resolve", {}, "160x120 pixels; expected"),  # by the scale that it has of its own
        ("inpaint", {"preset": "best"}, r"40x30 pixels times \d+ samples"),  # that it averages
    ],
)
def test_the_size_is_that_of_what_the_verb_would_make(service, upload, photo, verb, common, match):
    narrow = Service(service.store, Limits(pixels=1200))
    session = service.store.session("visitor")
    source, _ = open_picture(narrow, session, upload(photo), verb)
    with pytest.raises(InputError, match=match):
        start_restoring(narrow, session, verb, source, common, {})


def test_only_kinds_of_files_that_are_offered_are_made(service, upload, photo):
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "denoise")
    with pytest.raises(InputError, match=r"kind of file exe: expected one of auto, png"):
        start_restoring(service, session, "denoise", source, QUICK, {}, ext="exe")


def test_a_picture_with_too_many_pixels_is_refused_by_its_header(service, upload, photo):
    narrow = Service(service.store, Limits(pixels=1000))
    with pytest.raises(InputError, match="40x30 pixels; expected at most"):
        open_picture(narrow, service.store.session("visitor"), upload(photo), "inpaint")


def test_so_are_a_kernel_and_a_tiff_that_pillow_does_not_know(service, upload, tmp_path):
    narrow = Service(service.store, Limits(pixels=1000))
    session = service.store.session("visitor")
    Image.new("1", (41, 31)).save(tmp_path / "kernel.png")
    with pytest.raises(InputError, match="41x31 pixels; expected at most"):
        blur(narrow, session, "gaussian", None, None, "valid", upload(tmp_path / "kernel.png"))
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((31, 41, 3), np.float32), photometric="rgb")
    with pytest.raises(InputError, match="41x31 pixels; expected at most"):
        open_picture(narrow, session, upload(tmp_path / "deep.tif"), "denoise")


def test_so_is_a_heic_that_is_the_first_of_a_server(service, upload, tmp_path, monkeypatch):
    pillow_heif.from_pillow(Image.fromarray(smooth(32, 32))).save(tmp_path / "phone.heic")
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    monkeypatch.setattr(restoring, "read_picture", None)
    narrow = Service(service.store, Limits(pixels=1000))
    with pytest.raises(InputError, match="32x32 pixels; expected at most"):
        open_picture(narrow, service.store.session("a"), upload(tmp_path / "phone.heic"), "denoise")


@pytest.mark.parametrize(("drawn", "size"), [(False, "40x30"), (True, "50x30")])
def test_what_a_quick_page_sends_is_refused_before_it_is_decoded(
    service, upload, photo, monkeypatch, drawn, size
):
    monkeypatch.setattr(restoring, "read_picture", None)
    narrow = Service(service.store, Limits(pixels=1200 if drawn else 1000))
    session = service.store.session("visitor")
    source = session.take(upload(photo), "inpaint-upload")
    drawing = as_drawing(np.zeros((30, 50), np.uint8)) if drawn else None
    with pytest.raises(InputError, match=f"{size} pixels; expected at most"):
        start_restoring(narrow, session, "inpaint", source, QUICK, {}, drawing)


@pytest.mark.parametrize("drawing", ["/etc/passwd", "data:image/png;base64,!", "data:text/html,x"])
def test_a_drawing_is_a_png(service, upload, photo, drawing):
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "inpaint")
    with pytest.raises(InputError, match="the drawing is no PNG"):
        start_restoring(service, session, "inpaint", source, QUICK, {}, drawing)


def test_a_session_has_one_run_which_can_be_cancelled(service, upload, photo, hole):
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "inpaint")
    many = {"steps": 1000, "method": "ddrm"}
    run = start_restoring(service, session, "inpaint", source, many, {}, as_drawing(hole))
    seen = next(progress for progress in run.events() if progress.total)
    assert seen.total == 1000
    assert seen.preview.startswith("data:image/jpeg;base64,")
    with pytest.raises(InputError, match="not over yet"):
        start_restoring(service, session, "inpaint", source, many, {}, as_drawing(hole))
    run.cancel()
    with pytest.raises(Cancelled):
        run.result()
    assert run.progress.step < 1000
