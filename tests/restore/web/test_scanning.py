"""Scans and comparisons on the page are those of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from restore.cli.app import app
from restore.errors import InputError
from restore.io import sinogram as sinograms
from restore.tasks.settings import Settings
from restore.web import comparing
from restore.web.choices import angles, center, numeric, settings_of, whole
from restore.web.comparing import methods_for, start_comparing
from restore.web.restoring import open_picture, start_restoring
from restore.web.scanning import open_scan, start_scanning
from restore.web.service import Limits, Service
from restore.web.status import outcome_html

QUICK = {"steps": 2, "seed": 3}


def command(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr


@pytest.fixture
def sinogram(tmp_path):
    """Of a disc, in parallel beams."""
    along = np.linspace(-1, 1, 24)
    row = 0.4 * np.sqrt(np.clip(0.36 - along**2, 0, None))
    path = tmp_path / "disc.npy"
    np.save(path, np.tile(row, (12, 1)).astype(np.float32))
    return path


@pytest.fixture
def kspace(tmp_path):
    """Of a bright square, one coil."""
    image = np.zeros((24, 20), np.complex64)
    image[6:18, 5:15] = 1
    path = tmp_path / "square.npy"
    data = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image), norm="ortho"))
    noise = np.random.default_rng(0).normal(size=(2, *image.shape)) * 0.01
    np.save(path, (data + noise[0] + 1j * noise[1]).astype(np.complex64))
    return path


@pytest.fixture
def scanned(service, upload):
    def done(verb, path, own, common=QUICK, ext="nii"):
        session = service.store.session("visitor")
        source = open_scan(session, [upload(path)], verb)[0]
        return start_scanning(service, session, verb, source, common, own, ext).result()

    return done


def test_a_sinogram_gives_what_the_command_line_gives(scanned, sinogram, tmp_path):
    pytest.importorskip("nibabel", reason="the extra `ct` is not installed")
    common = QUICK | {"samples": 2}
    outcome = scanned("ct", sinogram, {"angles": "0:180:12", "center": "11.5"}, common)
    written = tmp_path / "terminal" / "disc_ct.nii"
    command(
        "ct", sinogram, "--angles", "0:180:12", "--center", "11.5", "--steps", 2, "--seed", 3,
        "--samples", 2, "--save-std", "-o", written,
    )  # fmt: skip
    by_name = {file.name: file for file in outcome.files}
    for name in ("disc_ct.nii", "disc_ct.png", "disc_ct_0.nii", "disc_ct_std.nii"):
        assert by_name[name].read_bytes() == (written.parent / name).read_bytes(), name
    assert outcome.shown[1] == by_name["disc_ct.png"]
    assert outcome.spread == by_name["disc_ct_std.png"]
    assert "disc.npy" in outcome.report
    assert str(tmp_path / "root") not in outcome.report
    sidecar = json.loads(by_name["disc_ct.json"].read_text())
    assert sidecar["input"] == "disc.npy"


def test_k_space_gives_what_the_command_line_gives(scanned, kspace, tmp_path):
    outcome = scanned("mri", kspace, {"acceleration": 2.0}, ext="dcm")
    written = tmp_path / "square_mri.png"
    command("mri", kspace, "--acceleration", 2, "--steps", 2, "--seed", 3, "-o", written)
    assert outcome.files[0].suffix == ".dcm"
    assert outcome.shown[1].read_bytes() == written.read_bytes()
    assert outcome.record["metrics"]["psnr"] > 10


def test_classical_methods_are_offered_too(scanned, kspace):
    outcome = scanned("mri", kspace, {}, {"method": "zero-filled"})
    assert outcome.record["evaluations"] == 0
    assert "<th>method</th>" in (said := outcome_html(outcome))
    assert "<th>model</th>" not in said
    assert outcome.spread is None
    assert outcome.files[-1].read_text(encoding="utf-8") == outcome.report


def test_a_scan_is_one_file_or_a_pair(service, upload, kspace):
    session = service.store.session("visitor")
    pair = [upload(kspace, "scan.hdr"), upload(kspace, "scan.cfl")]
    assert [path.name for path in open_scan(session, pair, "mri")] == ["scan.cfl", "scan.hdr"]
    with pytest.raises(InputError, match=r"a\.npy, b\.npy: expected one scan"):
        open_scan(session, [upload(kspace, "a.npy"), upload(kspace, "b.npy")], "mri")
    with pytest.raises(InputError, match="nothing is uploaded"):
        open_scan(session, [], "mri")


def test_samples_that_would_fill_the_memory_are_refused(service, upload, kspace):
    narrow = Service(service.store, Limits(upload_bytes=2000))
    session = service.store.session("visitor")
    source = open_scan(session, [upload(kspace)], "mri")[0]
    with pytest.raises(InputError, match=r"32 samples of a scan of .* MB; expected at most"):
        start_scanning(narrow, session, "mri", source, {"samples": 32}, {}, "nii")


@pytest.mark.parametrize("which", ["scan", "flat"])
def test_a_scan_is_refused_by_what_it_would_be_unpacked(
    service, upload, sinogram, tmp_path, monkeypatch, which
):
    monkeypatch.setattr(sinograms, "read_arrays", None)
    np.savez_compressed(tmp_path / "large.npz", data=np.zeros((500, 1000), np.float32))
    assert (tmp_path / "large.npz").stat().st_size < 3000
    narrow = Service(service.store, Limits(upload_bytes=3000))
    session = service.store.session("visitor")
    large = open_scan(session, [upload(tmp_path / "large.npz")], "ct")[0]
    source, own = large, {}
    if which == "flat":
        own = {"flat": session.take(upload(tmp_path / "large.npz"), "ct-flat")}
        source = open_scan(session, [upload(sinogram)], "ct")[0]
    with pytest.raises(InputError, match=r"^large.npz: unpacked it has 2.0 MB; expected at most"):
        start_scanning(narrow, session, "ct", source, QUICK, own, "nii")


def test_what_cannot_be_written_is_refused(service, upload, kspace):
    session = service.store.session("visitor")
    source = open_scan(session, [upload(kspace)], "mri")[0]
    with pytest.raises(InputError, match=r"kind of file \.exe: expected one of"):
        start_scanning(service, session, "mri", source, QUICK, {}, "exe")


@pytest.mark.parametrize("text", ["/etc/passwd", "0:180", "0:180:9:1:1", "a:b:c", "0:1:/x"])
def test_angles_are_numbers_and_no_file(text):
    with pytest.raises(InputError, match="expected START:STOP:N"):
        angles(text)


def test_numbers():
    assert (angles(" "), angles("0:180:90"), angles("-90:90.5:8")) == (
        None,
        "0:180:90",
        "-90:90.5:8",
    )
    assert (center(""), center(" 11.5 ")) == (None, "11.5")
    assert (numeric("x", None), numeric("x", ""), numeric("x", "2.5")) == (None, None, 2.5)
    assert (whole("x", None), whole("x", 3.0)) == (0, 3)
    for value in ("nan", "inf", "x"):
        with pytest.raises(InputError, match="expected a number"):
            numeric("x", value)


def test_what_a_run_may_cost_is_bounded(service):
    assert whole("steps", 1000, 1000) == 1000
    for ask in (
        lambda: whole("steps", "1001", 1000),
        lambda: angles("0:180:10001"),
        lambda: settings_of(service, "denoise", Settings, {"steps": 1001}, {}),
        lambda: settings_of(service, "denoise", Settings, {"samples": 33.0}, {}),
    ):
        with pytest.raises(InputError, match=r"expected at most \d+"):
            ask()


@pytest.mark.parametrize("number", [0, 7, 2**53 + 1, 2**64 - 1, 10**99])
def test_whole_numbers_are_taken_to_the_last_digit(number):
    assert (whole("seed", number), whole("seed", str(number))) == (number, number)


@pytest.mark.parametrize(
    ("value", "part"),
    [(2.0**53 + 2, "rounded; expected at most 9007199254740991"), ("1e17", "rounded"),
     ("9007199254740993.0", "rounded; expected"), (-1, "from 0"), ("-3", "from 0"), (1.5, "from 0"),
     (True, "a number"), ("9" * 5000, "a number")],
)  # fmt: skip
def test_what_is_no_whole_number_is_refused(value, part):
    with pytest.raises(InputError, match=part):
        whole("seed", value)


def test_a_comparison_has_the_figures_of_the_command_line(service, upload, photo, tmp_path):
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "compare")
    names = ["bicubic", "ddrm"]
    run = start_comparing(
        service, session, "super-resolve", source, names, {"scale": 2.0},
        nfe=2, samples=1, crop=0, seed=5,
    )  # fmt: skip
    compared = run.result()
    assert run.progress.total == 4  # two methods of two evaluations
    folder = tmp_path / "terminal"
    command(
        "compare", photo, "--task", "super-resolve", "--scale", 2, "-m", "bicubic", "-m", "ddrm",
        "--nfe", 2, "--seed", 5, "-o", folder,
    )  # fmt: skip
    for name in names:
        made = next(file for file in compared.files if file.stem == name)
        assert made.read_bytes() == (folder / "photo" / f"{name}.png").read_bytes()
    assert [row["method"] for row in compared.summary] == sorted(
        names, key=lambda name: -next(r["psnr"] for r in compared.summary if r["method"] == name)
    )
    assert str(tmp_path / "root") not in compared.report
    assert "photo.png" in compared.report


def test_a_comparison_names_files_without_their_folders(
    service, upload, photo, hole, tmp_path, monkeypatch
):
    def full(self, *_):
        raise OSError(f"{self._record.folder}/a.png: no room")

    monkeypatch.setattr(comparing.Comparison, "_estimates", full)
    Image.fromarray(hole).save(tmp_path / "hole.png")
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "compare")
    mask = session.take(upload(tmp_path / "hole.png"), "compare-mask")
    compared = start_comparing(
        service, session, "inpaint", source, ["biharmonic"], {"mask": mask},
        nfe=1, samples=1, crop=0, seed=0,
    ).result()  # fmt: skip
    assert "no room" in compared.summary[0]["error"]
    assert "hole.png" in compared.report
    assert "versions" in compared.report
    assert [file.name for file in compared.files] == ["photo_compare.html"]
    assert str(session.folder) not in compared.report + str(compared.summary)


@pytest.mark.parametrize(("name", "size"), [("photo", "40x30"), ("mask", "50x30")])
def test_pictures_with_too_many_pixels_are_not_compared(
    service, upload, photo, tmp_path, monkeypatch, name, size
):
    monkeypatch.setattr(comparing, "read_picture", None)
    narrow = Service(service.store, Limits(pixels=1000 if name == "photo" else 1200))
    session = service.store.session("visitor")
    Image.new("L", (50, 30)).save(tmp_path / "mask.png")
    mask = session.take(upload(tmp_path / "mask.png"), "compare-mask")
    source = session.take(upload(photo), "compare-upload")
    with pytest.raises(InputError, match=f"{size} pixels; expected at most"):
        start_comparing(
            narrow, session, "inpaint", source, ["biharmonic"], {"mask": mask},
            nfe=1, samples=1, crop=0, seed=0,
        )  # fmt: skip


def test_of_a_large_picture_the_centre_is_compared(service, upload, photo):
    narrow = Service(service.store, Limits(pixels=3000))
    session = service.store.session("visitor")
    source, _ = open_picture(narrow, session, upload(photo), "compare")
    chosen = (narrow, session, "denoise", source, ["ddrm"], {"sigma": "0.1"})
    for crop in (0, 1000):  # a centre has no more than the picture
        with pytest.raises(InputError, match="40x30 pixels times 4 samples; expected at most"):
            start_comparing(*chosen, nfe=1, samples=4, crop=crop, seed=0)
    compared = start_comparing(*chosen, nfe=1, samples=4, crop=16, seed=0).result()
    assert compared.summary[0]["samples"] == 4
    with Image.open(compared.files[1]) as image:
        assert image.size == (16, 16)


def test_nothing_is_read_while_a_run_of_the_visitor_is_not_over(service):
    session = service.store.session("visitor")
    session.run = SimpleNamespace(
        alive=True, cancel=lambda: None, wait=lambda _: None, then=lambda _: None
    )
    gone, figures = Path("gone.png"), {"nfe": 1, "samples": 1, "crop": 0, "seed": 0}
    for start in (
        lambda: start_restoring(service, session, "denoise", gone, {}, {}),
        lambda: start_scanning(service, session, "mri", gone, {}, {}, "nii"),
        lambda: start_comparing(service, session, "denoise", gone, ["ddrm"], {}, **figures),
    ):
        with pytest.raises(InputError, match="a run of yours is not over yet"):
            start()
    assert list(session.folder.iterdir()) == []


def test_a_comparison_is_cancelled_as_a_whole(service, upload, photo):
    from restore.web.run import Cancelled

    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "compare")
    run = start_comparing(
        service, session, "denoise", source, ["ddrm", "ddnm", "pnp"], {"sigma": "0.1"},
        nfe=500, samples=1, crop=0, seed=0,
    )  # fmt: skip
    next(progress for progress in run.events() if progress.total)
    run.cancel()
    with pytest.raises(Cancelled):
        run.result()


def test_only_what_fits_is_compared(service, upload, photo):
    session = service.store.session("visitor")
    source, _ = open_picture(service, session, upload(photo), "compare")
    figures = {"nfe": 2, "samples": 1, "crop": 0, "seed": 0}
    for names, match in ((["os:system"], "method os:system: expected one of"), ([], "no method")):
        with pytest.raises(InputError, match=match):
            start_comparing(service, session, "denoise", source, names, {}, **figures)
    with pytest.raises(InputError, match="task sample: expected one of"):
        methods_for("sample")
