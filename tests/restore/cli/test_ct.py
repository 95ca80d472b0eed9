"""`restore ct` from files to files, at small sizes."""

import json
import math
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from operators import FanBeamCT, ParallelBeamCT
from restore.cli.app import app
from restore.io.dicom import read_dicom, write_dicom
from restore.prior.tiled import TiledDenoiser
from restore.tasks.ct import Ct

SIDE, VIEWS, CELLS = 32, 24, 46
CENTER = 25.0


def phantom() -> np.ndarray:
    y, x = np.mgrid[1 : -1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    image = 0.02 * ((x / 0.7) ** 2 + (y / 0.8) ** 2 < 1).astype(np.float32)
    image[8:14, 18:24] = 0.035
    return image


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["ct", *map(str, arguments)])


def record(*arguments: object) -> dict[str, object]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def sinogram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With cells of 0.5 mm and an axis off the middle."""
    angles = torch.arange(VIEWS) * math.pi / VIEWS
    operator = ParallelBeamCT((1, SIDE, SIDE), angles, CELLS, 0.5, 0.5, CENTER)
    path = tmp_path_factory.mktemp("ct") / "scan.npy"
    np.save(path, operator(torch.from_numpy(phantom())[None])[0].numpy())
    np.save(path.with_name("truth.npy"), phantom())
    return path


def test_a_sinogram_becomes_attenuation(sinogram: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    said = record(
        sinogram, "--angles", f"0:180:{VIEWS}", "--det-spacing", 0.5, "--size", SIDE,
        "--pixel-size", 0.5, "--reference", sinogram.with_name("truth.npy"), "-o", out,
    )  # fmt: skip
    image = np.load(out)
    assert image.dtype == np.float32
    assert image.shape == (SIDE, SIDE)
    assert float(np.abs(image - phantom()).mean()) < 0.0015
    assert said["task"] == "ct"
    metrics, baseline = said["metrics"], said["baseline"]
    assert isinstance(metrics, dict)
    assert isinstance(baseline, dict)
    assert baseline["name"] == "fbp"
    assert metrics["psnr"] > baseline["psnr"] + 3
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert sidecar["center"] == pytest.approx(CENTER, abs=0.5)
    again = tmp_path / "again.npy"
    assert run(sinogram, "--config", out.with_suffix(".json"), "-o", again).exit_code == 0
    assert np.array_equal(np.load(again), image)


def test_no_noise_is_a_little_of_it_for_what_needs_some(sinogram: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    done = run(sinogram, "--center", CENTER, "-m", "cg", "--sigma", 0, "-o", out)
    assert done.exit_code == 0, done.output
    assert np.isfinite(np.load(out)).all()


def test_a_detector_of_two_cells_and_one_of_thousands(tmp_path: Path) -> None:
    """Nothing is measured of the picture by the first; the image of the other has 2²⁴ pixels."""
    for size, method in ((2, "tv"), (4200, "fbp")):
        np.save(tmp_path / "y.npy", np.ones((2, size), np.float32))
        out = tmp_path / f"{size}.npy"
        done = run(tmp_path / "y.npy", "--sigma", 0.01, "-m", method, "--center", 0.5, "-o", out)
        assert done.exit_code == 0, done.output
        assert np.load(out).shape[-1] == size


@pytest.mark.parametrize("method", ["fbp", "sirt", "tv", "cg"])
def test_classical_images_have_the_same_unit(sinogram: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "out.npy"
    said = record(
        sinogram, "--angles", f"0:180:{VIEWS}", "--det-spacing", 0.5, "-m", method,
        "--center", CENTER, "--size", SIDE, "-o", out,
    )  # fmt: skip
    assert (said["model"], said["evaluations"]) == (None, 0)
    assert np.load(out).mean() == pytest.approx(phantom().mean(), rel=0.1)


def test_counts_binning_rings_and_tried_centers(sinogram: Path, tmp_path: Path) -> None:
    lines = np.load(sinogram)
    np.save(tmp_path / "counts.npy", 1000 * np.exp(-lines) + 20)
    np.save(tmp_path / "flat.npy", np.full(CELLS, 1020.0))
    np.save(tmp_path / "dark.npy", np.full(CELLS, 20.0))
    record(
        tmp_path / "counts.npy", "--flat", tmp_path / "flat.npy", "--dark", tmp_path / "dark.npy",
        "--angles", f"0:180:{VIEWS}", "--bin", 2, "--rings", "--photons", 1e5, "-m", "fbp",
        "--center", "try:21:29:2", "-o", tmp_path / "out.tif",
    )  # fmt: skip
    assert (tmp_path / "out_centers.png").exists()
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert sidecar["center"] == 25
    assert sidecar["photons"] == 1e5
    again = ("--config", tmp_path / "out.json", "-o", tmp_path / "again.tif")
    record(tmp_path / "counts.npy", *again)
    assert json.loads((tmp_path / "again.json").read_text())["center"] == 25


def test_counts_without_the_open_beam_are_told_of(sinogram: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "counts.npy", 1000 * np.exp(-5 * np.load(sinogram)))
    told = run(tmp_path / "counts.npy", "-m", "fbp", "--center", CENTER, "-o", tmp_path / "a.npy")
    assert "as counts are; line integrals are made of those with --flat" in told.output
    told = run(sinogram, "-m", "fbp", "--center", CENTER, "-o", tmp_path / "b.npy")
    assert told.exit_code == 0
    assert "WARNING" not in told.output


def test_the_output_is_written_after_what_lies_beside_it(
    sinogram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, before, write = tmp_path / "out.npy", set(), Ct.write

    def noted(self: Ct, path: Path, *images: Any) -> list[Path]:
        if path == out:
            before.update(file.name for file in tmp_path.iterdir())
        return write(self, path, *images)

    monkeypatch.setattr(Ct, "write", noted)
    record(sinogram, "--center", CENTER, "--samples", 2, "--save-std", "--steps", 2, "-o", out)
    assert before == {file.name for file in tmp_path.iterdir()} - {"out.npy", "out.json"}


def test_a_fan_beam(tmp_path: Path) -> None:
    angles = torch.arange(30) * 2 * math.pi / 30
    operator = FanBeamCT(
        (1, SIDE, SIDE), angles, 60, 1.5, 1.0, source_origin=60, source_detector=90
    )
    np.save(tmp_path / "fan.npy", operator(torch.from_numpy(phantom())[None])[0].numpy())
    np.save(tmp_path / "truth.npy", phantom())
    said = record(
        tmp_path / "fan.npy", "--angles", "0:360:30", "--dso", 60, "--dsd", 90, "--det-spacing",
        1.5, "--size", SIDE, "--reference", tmp_path / "truth.npy", "-o", tmp_path / "out.npy",
    )  # fmt: skip
    metrics = said["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["psnr"] > 25


@pytest.mark.parametrize("detector", ["flat", "curved"])
def test_a_fan_of_either_detector(tmp_path: Path, detector: str) -> None:
    """The line integrals of a disc in closed form; with the other detector it moves."""
    radius, at, dso, dsd, cells, views = 4.0, (11.0, -9.0), 30.0, 60.0, 180, 180
    t = np.arange(views)[:, None] * 2 * np.pi / views
    u = (np.arange(cells) - (cells - 1) / 2) * 0.55
    gamma = u / dsd if detector == "curved" else np.arctan(u / dsd)
    off = dso * np.sin(gamma) - at[0] * np.cos(t - gamma) - at[1] * np.sin(t - gamma)
    np.save(tmp_path / "fan.npy", 0.02 * 2 * np.sqrt(np.maximum(radius**2 - off**2, 0)))
    x = (np.arange(72) - 35.5) * 0.5
    inside = np.hypot(x - at[0], -x[:, None] - at[1]) < radius - 0.5
    error = {}
    for taken in ("flat", "curved"):
        record(
            tmp_path / "fan.npy", "--angles", f"0:360:{views}", "--dso", dso, "--dsd", dsd,
            "--detector", taken, "--det-spacing", 0.55, "--size", 72, "--pixel-size", 0.5,
            "-m", "fbp", "-o", tmp_path / f"{taken}.npy",
        )  # fmt: skip
        error[taken] = np.abs(np.load(tmp_path / f"{taken}.npy")[inside] / 0.02 - 1).max()
        about = json.loads((tmp_path / f"{taken}.json").read_text())
        assert about["operator"]["detector"] == taken
    assert error.pop(detector) < 0.01
    assert all(other > 0.1 for other in error.values())


def test_an_arc_is_simulated_as_wide_as_the_image(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", phantom())
    said = record(
        tmp_path / "image.npy", "--simulate", "--views", 60, "--dso", 40, "--dsd", 70,
        "--detector", "curved", "-m", "cg", "-o", tmp_path / "out.npy",
    )  # fmt: skip
    metrics = said["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["psnr"] > 35
    # The image reaches 22.6 from the axis.
    cells = 2 * math.asin(SIDE / math.sqrt(2) / 40) * 70 / (70 / 40)
    assert np.load(tmp_path / "out_degraded.npy").shape == (60, math.ceil(cells))


def test_a_dicom_series_is_simulated_and_written_in_hu(tmp_path: Path) -> None:
    hu = np.stack([1000 * (phantom() / 0.0193 - 1)] * 2)
    series = tmp_path / "series"
    series.mkdir()
    write_dicom(series / "slice.dcm", hu, "CT", spacing=(2.0, 2.0, 3.0))
    said = record(
        series, "--simulate", "--views", 20, "--photons", 1e5, "--fast", "-o",
        tmp_path / "out.dcm", "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert said["slices"] == 2
    written = read_dicom(tmp_path / "out.dcm")
    assert written.spacing[0] == 2
    assert float(np.abs(written.values[0] - hu[0]).mean()) < 60
    # To look at, from -200 to 1200 HU, side by side.
    shown = np.asarray(Image.open(tmp_path / "out.png"))[:, :SIDE] / 65535
    assert np.abs(shown - ((written.values[0] + 200) / 1400).clip(0, 1)).max() < 1e-3
    header = pydicom.dcmread(tmp_path / "out.dcm", stop_before_pixels=True)
    source = pydicom.dcmread(series / "slice.dcm", stop_before_pixels=True)
    assert header.ImageType[0] == "DERIVED"
    assert header.SOPInstanceUID != source.SOPInstanceUID
    assert np.load(tmp_path / "out_degraded.npy").shape[:2] == (2, 20)


def test_slices_of_a_series_may_have_no_suffix(tmp_path: Path) -> None:
    series = tmp_path / "series"
    hu = np.stack([1000 * (phantom() / 0.0193 - 1)] * 2)
    for number, file in enumerate(write_dicom(series / "slice.dcm", hu, "CT")):
        file.rename(series / f"IM{number}")
    options = ("--simulate", "--views", 20, "-m", "fbp", "-o")
    assert record(series, *options, tmp_path / "out.npy")["slices"] == 2
    assert record(series / "IM0", *options, tmp_path / "one.npy")["slices"] == 1


def test_a_report_shows_what_was_written_to_look_at(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.stack([phantom()] * 2))
    page = tmp_path / "page.html"
    record(
        tmp_path / "image.npy", "--simulate", "--views", 20, "-m", "fbp", "-o",
        tmp_path / "out.tif", "--report", page,
    )  # fmt: skip
    shown = re.findall('alt="(.*?)"', page.read_text())
    assert shown == ["out.png"]


def test_nifti_is_not_mirrored_and_a_smaller_image_lies_where_it_lay(tmp_path: Path) -> None:
    affine = np.array([[1.5, 0, 0, -10], [0, 1.5, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])
    volume = np.stack([phantom().T[:, ::-1]] * 3, -1)
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "in.nii")
    common = (tmp_path / "in.nii", "--simulate", "-m", "fbp", "--slice", "1:3")
    record(*common, "-o", tmp_path / "out.nii")
    out = nibabel.load(tmp_path / "out.nii")
    affine[:3, 3] = -10, -20, 8
    assert np.allclose(out.affine, affine, atol=1e-4)
    assert np.corrcoef(out.get_fdata()[..., 0].ravel(), volume[..., 0].ravel())[0, 1] > 0.95
    record(*common, "--size", SIDE // 2, "-o", tmp_path / "half.dcm")
    slices = [pydicom.dcmread(tmp_path / name) for name in ("half.dcm", "half_slice1.dcm")]
    assert [list(one.PixelSpacing) for one in slices] == [[3, 3], [3, 3]]
    # DICOM counts to the left and to the back: the first pixel is at 10 - 0.75, 20 - 46.5 + 0.75.
    assert np.allclose(
        [one.ImagePositionPatient for one in slices], [[9.25, -25.75, 8], [9.25, -25.75, 11]]
    )
    assert np.allclose(slices[0].ImageOrientationPatient, [-1, 0, 0, 0, 1, 0])


def test_a_dry_run_names_the_method(sinogram: Path) -> None:
    assert json.loads(run(sinogram, "--dry-run").output)["method"] == "pnp"
    assert json.loads(run(sinogram, "--dry-run", "-m", "fbp").output)["method"] == "fbp"


def test_memory_that_runs_out_is_one_line(
    tmp_path: Path, sinogram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("restore.tasks.scanner.solve", full)
    refused = run(sinogram, "-o", tmp_path / "out.npy")
    assert refused.exit_code == 2
    assert "scan.npy: out of memory; expected more of it" in refused.output


def test_a_tile_that_memory_does_not_suffice_for_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TiledDenoiser._denoise

    def full(self: TiledDenoiser, x: torch.Tensor, sigma: float) -> torch.Tensor:
        if self.tile is None:
            raise torch.OutOfMemoryError("out of memory")
        return whole(self, x, sigma)

    monkeypatch.setattr(TiledDenoiser, "_denoise", full)
    np.save(tmp_path / "image.npy", np.pad(phantom(), 20))
    said = record(
        tmp_path / "image.npy", "--simulate", "--views", 20, "--fast", "-o", tmp_path / "out.npy"
    )
    notes = json.loads(Path(str(said["sidecar"])).read_text())["notes"]
    assert any(f"tiles of {SIDE + 40} pixels: 64 instead" in note for note in notes)


def test_slices_of_a_series_replace_no_file(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.stack([phantom()] * 3))
    common = (tmp_path / "in.npy", "--simulate", "--views", 8, "--pixel-size", 1, "-m", "fbp")
    (tmp_path / "out_slice1.dcm").write_text("another's")
    refused = run(*common, "-o", tmp_path / "out.dcm")
    assert refused.exit_code == 2
    assert "out_slice1.dcm: exists already" in refused.output
    assert (tmp_path / "out_slice1.dcm").read_text() == "another's"
    folder = tmp_path / "series"
    record(*common, "-o", folder / "v.dcm")
    (folder / "v.dcm").rename(folder / "w.dcm")
    for path in folder.iterdir():
        if path.suffix != ".dcm":
            path.unlink()
    given = ("--simulate", "--views", 8, "-m", "fbp", "--overwrite", "-o", folder / "v.dcm")
    refused = run(folder, *given)
    assert refused.exit_code == 2
    assert "is an input" in refused.output


@pytest.mark.parametrize("wrong", [{"views": 0}, {"bin": 0}, {"size": [0, 8]}, {"views": -3}])
def test_numbers_of_a_config_file_are_checked(
    tmp_path: Path, sinogram: Path, wrong: dict[str, object]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(wrong))
    refused = run(sinogram, "--config", tmp_path / "config.json", "-o", tmp_path / "out.npy")
    assert refused.exit_code == 2
    assert next(iter(wrong)) in refused.output
    assert len(refused.output.splitlines()) == 1


def test_the_picture_to_look_at_replaces_no_file(tmp_path: Path) -> None:
    source = tmp_path / "head.png"
    Image.fromarray((phantom() * 5000).astype(np.uint8)).save(source)
    before = source.read_bytes()
    common = ("--simulate", "-m", "fbp", "-o")
    result = run(source, *common, tmp_path / "head.npy")
    assert result.exit_code == 2
    assert "head.png is an input" in result.stderr
    (tmp_path / "other.png").write_text("of somebody else")
    result = run(source, *common, tmp_path / "other.npy")
    assert result.exit_code == 2
    assert "other.png: exists already" in result.stderr
    assert source.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["head.png", "other.png"]


def test_noise_has_the_unit_of_the_line_integrals(sinogram: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", 1e4 * np.load(sinogram))
    common = ("--angles", f"0:180:{VIEWS}", "--center", CENTER, "-m", "cg", "--size", SIDE)
    out = tmp_path / "out.npy"
    said = record(tmp_path / "large.npy", *common, "--sigma", 30, "-o", out)
    assert said["noise_std"] == pytest.approx(30)
    again = tmp_path / "again.npy"
    config = ("--config", out.with_suffix(".json"), "-o", again)
    assert record(tmp_path / "large.npy", *config)["noise_std"] == pytest.approx(30)
    assert np.array_equal(np.load(again), np.load(out))


@pytest.mark.parametrize("method", ["pnp", "tv"])
def test_faint_and_large_line_integrals_are_as_good(tmp_path: Path, method: str) -> None:
    """Of another unit, the image is the same in it, and so are noise and residual."""
    found = {}
    for unit in (10.0, 1e-4, 1e6):
        np.save(tmp_path / "in.npy", unit * phantom())
        out = tmp_path / f"{unit:g}.npy"
        options = ("--simulate", "--views", 20, "-m", method, "-o", out)
        said = record(tmp_path / "in.npy", *options, "--overwrite")
        found[unit] = (np.load(out) / unit, said["noise_std"] / unit, said["residual"] / unit)
    for unit in (1e-4, 1e6):
        assert np.abs(found[unit][0] - found[10.0][0]).max() < 1e-3 * phantom().max()
        assert found[unit][1] == pytest.approx(found[10.0][1], rel=1e-4)
        assert found[unit][2] == pytest.approx(found[10.0][2], rel=1e-2)


def inside(image: np.ndarray) -> float:
    """Of a phantom in the middle: the median of the pixels around it."""
    middle = image.shape[0] // 2
    return float(np.median(image[middle - 2 : middle + 2, middle - 2 : middle + 2]))


@pytest.mark.parametrize("options", [(), ("--bin", 2)])
def test_without_lengths_values_are_per_pixel_of_the_image(
    tmp_path: Path, options: tuple[object, ...]
) -> None:
    """Of line integrals in cells that are 0.02 each, in pixels of one cell or of two."""
    angles = torch.arange(60) * math.pi / 60
    lines = ParallelBeamCT((1, SIDE, SIDE), angles, CELLS)(torch.from_numpy(phantom())[None])
    np.save(tmp_path / "in.npy", lines[0].numpy())
    out = tmp_path / "out.npy"
    record(
        tmp_path / "in.npy", "--angles", "0:180:60", "--center", 22.5, "-m", "fbp", *options,
        "-o", out,
    )  # fmt: skip
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["unit"] == "1/pixel"
    assert about["operator"]["pixel_size"] == (2 if options else 1)
    assert inside(np.load(out)) == pytest.approx(0.04 if options else 0.02, rel=0.03)


def test_a_fan_without_lengths_is_per_pixel_and_says_what_a_cell_is(tmp_path: Path) -> None:
    """Cells of 1 are pixels of 0.5 at the axis: 0.02 per cell is 0.01 per pixel."""
    angles = torch.arange(90) * 2 * math.pi / 90
    scanner = FanBeamCT(
        (1, SIDE, SIDE), angles, 60, 1.0, 0.5, source_origin=200, source_detector=400
    )
    np.save(tmp_path / "in.npy", scanner(torch.from_numpy(phantom())[None])[0].numpy())
    fan = (tmp_path / "in.npy", "--dso", 200, "--dsd", 400, "-m", "fbp")
    result = run(*fan, "-o", tmp_path / "out.npy")
    assert result.exit_code == 0
    assert "no --det-spacing: a detector cell is taken as 1 mm" in result.stdout
    assert inside(np.load(tmp_path / "out.npy")) == pytest.approx(0.01, rel=0.03)
    record(*fan, "--det-spacing", 1, "-o", tmp_path / "known.nii")
    known = nibabel.load(tmp_path / "known.nii")
    assert inside(known.get_fdata()[..., 0]) == pytest.approx(0.02, rel=0.03)
    assert known.header.get_zooms()[:2] == (0.5, 0.5)
    assert json.loads((tmp_path / "known.json").read_text())["spacing"] == 0.5


def test_a_simulation_without_lengths_is_scored_per_pixel_of_its_size(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", phantom())
    options = ("--simulate", "--views", 60, "-m", "fbp", "--size", SIDE // 2)
    said = record(tmp_path / "in.npy", *options, "-o", tmp_path / "out.npy")
    assert inside(np.load(tmp_path / "out.npy")) == pytest.approx(0.04, rel=0.05)
    metrics = said["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["psnr"] > 25


@pytest.mark.parametrize("fan", [(), ("--dso", 40, "--dsd", 60)])
def test_a_pixel_of_known_side_is_a_detector_cell_at_the_axis(
    tmp_path: Path, fan: tuple[object, ...]
) -> None:
    angles = torch.arange(60) * (2 if fan else 1) * math.pi / 60
    scanner = (
        FanBeamCT((1, SIDE, SIDE), angles, 60, 0.75, 0.5, source_origin=40, source_detector=60)
        if fan
        else ParallelBeamCT((1, SIDE, SIDE), angles, 60, 0.5, 0.5)
    )
    np.save(tmp_path / "in.npy", scanner(torch.from_numpy(phantom())[None])[0].numpy())
    np.save(tmp_path / "truth.npy", phantom())
    said = record(
        tmp_path / "in.npy", "--pixel-size", 0.5, "--size", SIDE, "-m", "fbp", "--center", 29.5,
        "--reference", tmp_path / "truth.npy", *fan, "-o", tmp_path / "out.npy",
    )  # fmt: skip
    metrics = said["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["psnr"] > 20
    about = json.loads((tmp_path / "out.json").read_text())
    assert about["unit"] == "1/mm"
    assert about["operator"]["det_spacing"] == (0.75 if fan else 0.5)


def test_photons_of_a_ray_are_those_of_each_binned_cell(tmp_path: Path) -> None:
    """The noise of means of four cells of 20,000 photons, 1440 of them: 0.05 is 2.7 deviations."""
    lines = np.repeat(np.clip(np.hypot(*np.mgrid[-1:1:40j, -1:1:36j]), 0, 1), 4, axis=1)
    counts = np.random.default_rng(0).poisson(20_000 * np.exp(-lines))
    np.save(tmp_path / "in.npy", -np.log(counts / 20_000))
    said = record(
        tmp_path / "in.npy", "--angles", "0:180:40", "--center", 71.5, "--photons", 20_000,
        "--bin", 4, "-m", "fbp", "-o", tmp_path / "out.npy",
    )  # fmt: skip
    binned = (-np.log(counts / 20_000) - lines).reshape(40, -1, 4).mean(-1)
    assert said["noise_std"] == pytest.approx(binned.std(), rel=0.05)
    config = ("--config", tmp_path / "out.json", "-o", tmp_path / "again.npy")
    assert record(tmp_path / "in.npy", *config)["noise_std"] == said["noise_std"]


def test_a_deviation_in_hu_has_no_offset(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", 1000 * (phantom() / 0.0193 - 1))
    record(
        tmp_path / "image.npy", "--simulate", "--views", 20, "--photons", 1e3, "--samples", 2,
        "--steps", 2, "-m", "diffpir", "--save-std", "-o", tmp_path / "out.dcm",
    )  # fmt: skip
    expected = 1000 / 0.0193 * np.load(tmp_path / "out_std.npy")
    written = read_dicom(tmp_path / "out_std.dcm").values[0]
    assert expected.max() > 5
    assert np.abs(written - expected).max() <= 0.51


def test_several_volumes_of_nifti_are_an_error_of_their_own(tmp_path: Path) -> None:
    volume = np.stack([phantom()] * 3, -1)[:, :, None]
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "four.nii")
    np.save(tmp_path / "one.npy", phantom())
    result = run(
        tmp_path / "four.nii", tmp_path / "one.npy", "--simulate", "--views", 10, "-m", "fbp",
        "--json", "-o", tmp_path / "out",
    )  # fmt: skip
    first, second = map(json.loads, result.stdout.splitlines())
    assert "3 volumes of [32, 32, 1], expected one" in first["error"]
    assert second["task"] == "ct"


def test_samples_and_their_spread(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", phantom())
    record(
        tmp_path / "image.npy", "--simulate", "--angles", "0:120:16", "--sigma", 0.01, "--samples",
        2, "--steps", 4, "--save-std", "-o", tmp_path / "out.nii",
    )  # fmt: skip
    for name in ("out_0.nii", "out_1.nii", "out_std.nii", "out_std.npy", "out_std.png", "out.png"):
        assert (tmp_path / name).exists(), name


def test_simulated_noise_is_drawn_by_the_seed(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", phantom()[::2, ::2])
    common = (tmp_path / "image.npy", "--simulate", "--views", 8, "--sigma", 0.1, "-m", "fbp")
    for seed in (0, 1):
        record(*common, "--seed", seed, "-o", tmp_path / f"{seed}.npy")
    one, other = (np.load(tmp_path / f"{seed}_degraded.npy") for seed in (0, 1))
    assert np.std(one - other) == pytest.approx(0.1 * 2**0.5, rel=0.3)


def test_radians_are_simulated_and_a_sidecar_tells_degrees(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", phantom()[::2, ::2])
    common = (tmp_path / "image.npy", "--simulate", "-m", "fbp")
    record(*common, "--angles", "0:180:8", "-o", tmp_path / "deg.npy")
    record(*common, "--angles", f"0:{math.pi}:8", "--angle-unit", "rad", "-o", tmp_path / "rad.npy")
    assert np.allclose(np.load(tmp_path / "deg.npy"), np.load(tmp_path / "rad.npy"), atol=1e-6)
    about = json.loads((tmp_path / "rad.json").read_text())["operator"]
    assert (about["first_angle"], about["last_angle"]) == pytest.approx((0, 157.5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--angles", "0:180:23"], "24 views and 23 angles"),
        (["--geometry", "fan"], "expected --dso and --dsd"),
        (["--detector", "curved"], "expected --dso, --dsd"),
        (["--detector", "round", "--dso", 60, "--dsd", 90], "--detector round: expected 'flat' or"),
        (["--detector", "curved", "--dso", 9, "--dsd", 10], "from the central ray"),
        (["--geometry", "parallel", "--dso", 9, "--dsd", 10], "--dso, --dsd of parallel rays"),
        (["--views", "99"], "the scan has 24"),
        (["--center", "middle"], "expected auto, a number"),
        (["--slice", "3"], "slices 0 to 0"),
        (["--det-spacing", "-1"], "above 0"),
        (["--bin", "40"], "the detector has 46"),
        (["--init", "truth.npy"], "--init: for pictures"),
        (["--reference", "empty.npy", "--size", SIDE], "the reference has nothing above 0"),
        (["-m", "sirt", "--steps", 3], "--method sirt: classical"),
        (["-m", "fbp", "--set", "weight=1"], "--method fbp: classical"),
        (["-m", "tv", "--samples", 2], "expected no --samples"),
        (["-m", "cg", "--average", 2], "expected no --samples, --average"),
        (["--sigma", "inf"], "--sigma inf: expected"),
        (["--sigma", "3", "--sigma-range", "0-255"], "in line integrals (ct)"),
        (["--sigma", "0.3", "--photons", "1e4"], "--sigma with --photons"),
        (["-m", "fbp", "-o", "out.dcm"], "found no length in the scan, expected --det-spacing"),
        (["--simulate", "--sigma", "0.3", "--photons", "1e4"], "--sigma with --photons"),
        (["--simulate", "--angles", "0:180:60", "--views", "20"], "--views with --simulate"),
        (["--angle-unit", "rad"], "--angle-unit rad of a scan without angles"),
        (["--simulate", "--angle-unit", "deg"], "--angle-unit with --simulate"),
        (["--simulate", "--rings"], "--rings with --simulate"),
        (["--simulate", "--flat", "truth.npy"], "--flat with --simulate"),
    ],
)
def test_bad_options_are_one_line(
    sinogram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("empty.npy", 0 * phantom())
    np.save("truth.npy", phantom())
    # A dry run does not know in what unit the images of a scan are.
    for dry in [[]] if "out.dcm" in options else [[], ["--dry-run"]]:
        result = run(sinogram, "-o", tmp_path / "out.npy", *options, *dry)
        assert result.exit_code == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    lines = np.ones((4, 8), np.float32)
    bad = {
        "nan": lines * np.nan,
        "complex": lines + 1j,
        "dimensions": np.ones((2, 2, 2, 2)),
        "zero": 0 * lines,
    }
    for name, array in bad.items():
        path = tmp_path / f"{name}.npy"
        np.save(path, array)
        result = run(path)
        assert result.exit_code == 2, name
        assert str(path) in result.stderr
        assert result.stderr.count("\n") == 1
    np.save(tmp_path / "counts.npy", 100 * lines)
    np.save(tmp_path / "flat.npy", np.zeros(8))
    result = run(tmp_path / "counts.npy", "--flat", tmp_path / "flat.npy")
    assert result.exit_code == 2
    assert "flat field" in result.stderr
    write_dicom(tmp_path / "mr.dcm", np.ones((1, 8, 8)), "MR")
    result = run(tmp_path / "mr.dcm", "--simulate")
    assert result.exit_code == 2
    assert "expected CT" in result.stderr
