"""`restore mri` from files to files, at small sizes."""

import json
from pathlib import Path

import h5py
import ismrmrd
import ismrmrd.xsd as xsd
import nibabel
import numpy as np
import pydicom
import pytest
import scipy.io
import torch
from typer.testing import CliRunner, Result

from operators import NonCartesianMRI
from operators.fourier import centred_fft
from restore.cli.app import app
from restore.io.bart import read_bart, write_bart
from restore.io.dicom import read_dicom, write_dicom
from restore.mri.coils import simulated_coils
from restore.mri.phase import smooth_phase

ROWS, COLUMNS, COILS = 48, 40, 5
NOISE = 0.01


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def head() -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    inside = (y / 0.85) ** 2 + (x / 0.75) ** 2 < 1
    image = inside * (0.7 + 0.3 * np.cos(5 * x) * np.cos(4 * y))
    image[20:28, 14:18] *= 0.3
    return image.astype(np.float32)


def coil_maps() -> torch.Tensor:
    return simulated_coils(COILS, (ROWS, COLUMNS))


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    real, imaginary = torch.randn((2, *shape), generator=generator)
    return NOISE * torch.complex(real, imaginary)


def coil_images() -> torch.Tensor:
    return coil_maps() * torch.from_numpy(head()) * smooth_phase((ROWS, COLUMNS), 3)


def kspace() -> np.ndarray:
    """[coils, rows, columns] of the head."""
    return (centred_fft(coil_images()) + noise(COILS, ROWS, COLUMNS)).numpy()


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    np.save(tmp_path / "scan.npy", kspace())
    return tmp_path / "scan.npy"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["mri", *map(str, arguments)])


def record(*arguments: object) -> dict[str, object]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def notes(output: Path) -> str:
    return " ".join(json.loads(output.with_suffix(".json").read_text())["notes"])


@pytest.mark.parametrize("mask", ["equispaced", "gaussian1d", "poisson", "radial"])
def test_a_mask_that_is_made_leaves_a_small_scan_the_lines_for_its_maps(
    scan: Path, tmp_path: Path, mask: str
) -> None:
    options = ("--mask", mask, "-m", "zero-filled", "-o", tmp_path / "out.npy")
    assert record(scan, *options)["metrics"] is not None
    refused = run(scan, *options, "--center-fraction", 0.08, "--overwrite")
    assert refused.exit_code == 2
    assert "expected 8 for coil maps" in refused.stderr


def test_undersampled_kspace_becomes_the_image(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    said = record(
        scan, "--acceleration", 3, "--center-fraction", 0.2, "--fast", "--save-complex", "-o", out
    )
    image = np.load(out)
    assert image.dtype == np.float32
    assert image.shape == (ROWS, COLUMNS)
    metrics, baseline = said["metrics"], said["baseline"]
    assert isinstance(metrics, dict)
    assert isinstance(baseline, dict)
    assert baseline["name"] == "cg-sense"
    assert metrics["psnr"] > max(baseline["psnr"] + 1, 28)
    assert float(np.abs(image - head()).mean()) < 0.03
    complex_image = np.load(tmp_path / "out_complex.npy")
    assert complex_image.shape == image.shape
    assert np.allclose(np.abs(complex_image), image, atol=1e-5)
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert sidecar["coils"] == COILS
    assert sidecar["acceleration"] == pytest.approx(3, rel=0.05)
    # An image this small still has signal at the edge of k-space.
    assert 0.9 < said["noise_std"] * sidecar["scale"] / NOISE < 3
    again = tmp_path / "again.npy"
    assert run(scan, "--config", out.with_suffix(".json"), "-o", again).exit_code == 0
    assert np.array_equal(np.load(again), image)


@pytest.mark.parametrize("method", ["zero-filled", "cg-sense", "l1-wavelet", "tv"])
def test_classical_images_have_the_same_unit(scan: Path, tmp_path: Path, method: str) -> None:
    said = record(scan, "-m", method, "-o", tmp_path / "out.npy")
    assert (said["model"], said["evaluations"]) == (None, 0)
    image = np.load(tmp_path / "out.npy")
    assert np.linalg.norm(image - head()) < 0.06 * np.linalg.norm(head())


def test_every_kind_of_output(tmp_path: Path) -> None:
    slices = np.stack([kspace(), 0.5 * kspace()])
    np.save(tmp_path / "two.npy", slices)
    for name in ("a.npy", "a.h5", "a.nii", "a.dcm", "a.png", "a.cfl"):
        output = tmp_path / name.replace(".", "_") / name
        output.parent.mkdir()
        said = record(tmp_path / "two.npy", "-m", "zero-filled", "-o", output)
        assert said["slices"] == 2
    whole = np.load(tmp_path / "a_npy" / "a.npy")
    assert np.allclose(whole[1], 0.5 * whole[0], rtol=1e-3)
    with h5py.File(tmp_path / "a_h5" / "a.h5") as file:
        assert np.array_equal(file["reconstruction"][()], whole)
    # What is written can be what another is scored with.
    for name in ("a.npy", "a.h5", "a.nii", "a.cfl"):
        reference = tmp_path / name.replace(".", "_") / name
        said = record(
            tmp_path / "two.npy", "-m", "zero-filled", "--reference", reference,
            "-o", tmp_path / f"{reference.parent.name}.npy",
        )  # fmt: skip
        assert said["metrics"]["nmse"] < 1e-10
    assert nibabel.load(tmp_path / "a_nii" / "a.nii").shape[-1] == 2
    assert np.allclose(read_bart(tmp_path / "a_cfl" / "a")[:, :, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                                                           0, 0], whole[1])  # fmt: skip
    header = pydicom.dcmread(next((tmp_path / "a_dcm").rglob("*.dcm")))
    assert header.Modality == "MR"
    assert header.ImageType[0] == "DERIVED"


def test_samples_of_a_pattern_without_an_svd(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    said = record(
        scan, "--mask", "poisson", "--acceleration", 4, "--center-fraction", 0.25, "--samples", 2,
        "--steps", 3, "--save-std", "-o", out, "--report", tmp_path / "page.html",
    )  # fmt: skip
    assert said["method"] == "diffpir"
    # From where the error of CG-SENSE does not stay in every sample.
    assert json.loads((tmp_path / "out.json").read_text())["parameters"]["sigma_max"] == 1
    for name in ("out_0.npy", "out_1.npy", "out_std.npy", "out_std.png", "out.png", "page.html"):
        assert (tmp_path / name).exists(), name
    samples = np.stack([np.load(tmp_path / f"out_{i}.npy") for i in range(2)])
    assert np.allclose(np.load(out), samples.mean(0), atol=1e-6)
    assert np.allclose(np.load(tmp_path / "out_std.npy"), samples.std(0, ddof=1), atol=1e-6)


def test_samples_are_averaged_as_they_are_written_and_an_average_before(
    tmp_path: Path, rows: list[int]
) -> None:
    np.save(tmp_path / "image.npy", head()[::2, ::2])
    common = (tmp_path / "image.npy", "--simulate", "--coils", 1, "--acceleration", 3, "-n",
              "noting:prior", "--steps", 2, "--batch-size", 2, "--save-complex")  # fmt: skip
    images = {}
    for option in ("samples", "average"):
        assert run(*common, f"--{option}", 3, "-o", tmp_path / f"{option}.npy").exit_code == 0
        images[option] = np.load(tmp_path / f"{option}.npy")
    # A real and an imaginary part of each.
    assert set(rows) == {4, 2}
    written = np.mean([np.load(tmp_path / f"samples_{i}.npy") for i in range(3)], 0)
    assert np.allclose(images["samples"], written, atol=1e-6)
    mean = np.load(tmp_path / "average_complex.npy")
    assert np.allclose(images["average"], np.abs(mean), atol=1e-6)
    # Where phases differ the magnitude of a mean is less than the mean of magnitudes.
    assert images["average"].mean() < 0.99 * images["samples"].mean()
    config = ("--config", tmp_path / "average.json", "-o")
    assert run(tmp_path / "image.npy", *config, tmp_path / "again.npy").exit_code == 0
    assert np.array_equal(np.load(tmp_path / "again.npy"), images["average"])


def test_another_seed_is_another_sample_of_a_scan(scan: Path, tmp_path: Path) -> None:
    common = (scan, "-m", "diffpir", "--steps", 1, "--average", 1, "--coils", 1)
    for seed in (0, 1):
        record(*common, "--seed", seed, "-o", tmp_path / f"{seed}.npy")
    assert not np.array_equal(np.load(tmp_path / "0.npy"), np.load(tmp_path / "1.npy"))


def test_a_sample_of_one_slice_of_fewer_coils(scan: Path, tmp_path: Path) -> None:
    said = record(
        scan, "--acceleration", 3, "--center-fraction", 0.2, "--samples", 1, "--steps", 3, "-o",
        tmp_path / "out.npy", "--slice", 0, "--coils", 4,
    )  # fmt: skip
    assert said["method"] == "diffpir"
    assert json.loads((tmp_path / "out.json").read_text())["coils"] == 4


def test_a_folded_image_has_two_sets_of_maps(tmp_path: Path) -> None:
    """Every second line of a head that then lies on itself: half of the field of view."""
    np.save(tmp_path / "folded.npy", kspace()[:, :, ::2])
    out = tmp_path / "out.npy"
    said = record(
        tmp_path / "folded.npy", "--samples", 1, "--steps", 3, "--save-complex", "-o", out
    )
    assert "two sets of coil maps" in notes(out)
    assert np.load(tmp_path / "out_complex.npy").shape == (2, ROWS, COLUMNS // 2)
    # Both sets are denoised, each by its real and its imaginary part.
    assert (said["steps"], said["evaluations"]) == (3, 3 * 2 * 2)
    assert record(tmp_path / "folded.npy", "--fast", "-o", tmp_path / "fast.npy")["residual"] < 0.05


def test_given_maps_and_masks(scan: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", coil_maps().numpy())
    mask = np.arange(COLUMNS) % 2 == 0
    np.save(tmp_path / "mask.npy", mask)
    said = record(
        scan, "--maps", tmp_path / "maps.npy", "--mask", tmp_path / "mask.npy", "-m", "cg-sense",
        "-o", tmp_path / "out.npy",
    )  # fmt: skip
    metrics = said["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["psnr"] > 25
    assert not (tmp_path / "cache").exists()
    assert json.loads((tmp_path / "out.json").read_text())["acceleration"] == 2


def spiral() -> np.ndarray:
    """[samples, arms, 2] in cycles per pixel."""
    t = np.linspace(0, 1, 120)[:, None]
    angle = 2 * np.pi * (4 * t + np.arange(12) / 12)
    return 0.5 * t[..., None] * np.stack([np.sin(angle), np.cos(angle)], -1)


def spiral_samples(places: np.ndarray) -> np.ndarray:
    """[samples, arms, coils]."""
    flat = torch.from_numpy(places.reshape(-1, 2))
    along = NonCartesianMRI(flat, (1, ROWS, COLUMNS))(coil_images()[:, None])
    samples = along[:, 0] + noise(COILS, len(flat))
    return samples.T.reshape(*places.shape[:2], COILS).numpy()


@pytest.mark.parametrize("weights", ["given", "found"])
def test_a_spiral_of_matlab(tmp_path: Path, weights: str) -> None:
    places = spiral()
    radius = np.hypot(places[..., 0], places[..., 1])
    scipy.io.savemat(
        tmp_path / "spiral.mat",
        {
            "k": places[..., 1] + 1j * places[..., 0],
            "data": spiral_samples(places),
            "w": 7 * radius,
        },
    )
    np.save(tmp_path / "truth.npy", head())
    path = tmp_path / "spiral.mat"
    given = ["--dcf", path] if weights == "given" else []
    said = record(
        path, "--traj", path, *given, "--size", f"{COLUMNS}x{ROWS}", "--reference",
        tmp_path / "truth.npy", "-m", "pnp", "--steps", 4, "-o", tmp_path / "out.npy",
    )  # fmt: skip
    metrics, baseline = said["metrics"], said["baseline"]
    assert isinstance(metrics, dict)
    assert isinstance(baseline, dict)
    assert metrics["psnr"] > 24
    # Whatever the scale of the weights, the image inside is about 1.
    scale = json.loads((tmp_path / "out.json").read_text())["scale"]
    assert scale == pytest.approx(np.quantile(head(), 0.99), rel=0.2)
    # The maps that were kept are those that were made, to the last bit of what follows.
    again = tmp_path / "again.npy"
    assert run(path, "--config", tmp_path / "out.json", "-o", again).exit_code == 0
    assert np.array_equal(np.load(again), np.load(tmp_path / "out.npy"))


def test_slices_share_a_trajectory(tmp_path: Path) -> None:
    places, turned = spiral(), torch.from_numpy(head()[::-1].copy())
    images = torch.stack([coil_images(), 0.5 * coil_maps() * turned])
    flat = torch.from_numpy(places.reshape(-1, 2))
    samples = NonCartesianMRI(flat, (1, ROWS, COLUMNS))(images[:, :, None])[:, :, 0]
    np.save(tmp_path / "k.npy", (samples + noise(2, COILS, len(flat))).numpy())
    np.save(tmp_path / "t.npy", flat.numpy())
    options = (
        tmp_path / "k.npy", "--traj", tmp_path / "t.npy", "--size", f"{COLUMNS}x{ROWS}",
        "-m", "cg-sense",
    )  # fmt: skip
    assert record(*options, "-o", tmp_path / "all.npy")["slices"] == 2
    found = np.load(tmp_path / "all.npy")
    for image, truth in zip(found, (head(), 0.5 * turned.numpy()), strict=True):
        assert np.linalg.norm(image - truth) < 0.1 * np.linalg.norm(truth)
    # Each with maps of its own: alone, the second is the same.
    record(*options, "--slice", 1, "-o", tmp_path / "one.npy")
    alone = np.load(tmp_path / "one.npy")
    assert np.linalg.norm(alone - found[1]) < 0.02 * np.linalg.norm(alone)
    for slices in (1, 2, 3):
        np.save(tmp_path / "maps.npy", coil_maps().expand(slices, 1, -1, -1, -1).numpy())
        done = run(*options, "--maps", tmp_path / "maps.npy", "-o", tmp_path / f"{slices}.npy")
        assert done.exit_code == (2 if slices == 3 else 0)
    assert "maps of 3 slices in 1 set, expected one set" in done.output
    one, two = (np.load(tmp_path / f"{slices}.npy") for slices in (1, 2))
    assert np.array_equal(one, two)
    assert np.linalg.norm(two[1] - alone) < 0.1 * np.linalg.norm(alone)


def test_a_trajectory_of_bart(tmp_path: Path) -> None:
    side = 2 * (max(ROWS, COLUMNS) // 2)
    places = spiral()
    flat = torch.from_numpy(places.reshape(-1, 2))
    image = torch.zeros(1, side, side, dtype=torch.complex64)
    image[0, :ROWS, :COLUMNS] = torch.from_numpy(head())
    samples = NonCartesianMRI(flat, (1, side, side))(image)[0]
    coordinates = np.zeros((3, *places.shape[:2]), np.complex64)
    coordinates[:2] = side * places.transpose(2, 0, 1)
    write_bart(tmp_path / "t", coordinates)
    write_bart(tmp_path / "k", samples.numpy().reshape(1, *places.shape[:2]))
    record(
        tmp_path / "k.cfl", "--traj", tmp_path / "t", "-m", "l1-wavelet", "-o", tmp_path / "o.npy"
    )
    found = np.load(tmp_path / "o.npy")
    assert found.shape == (side, side)
    assert np.linalg.norm(found - image[0].abs().numpy()) < 0.15 * np.linalg.norm(head())


def write_ismrmrd(path: Path, data: np.ndarray, noise_scan: np.ndarray) -> None:
    def space(x: int, y: int) -> xsd.encodingSpaceType:
        return xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=x, y=y, z=1),
            fieldOfView_mm=xsd.fieldOfViewMm(x=2.0 * x, y=2.0 * y, z=5.0),
        )

    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=128_000_000),
        encoding=[
            xsd.encodingType(
                encodedSpace=space(ROWS, COLUMNS), reconSpace=space(ROWS, COLUMNS - 4),
                trajectory=xsd.trajectoryType.CARTESIAN, encodingLimits=xsd.encodingLimitsType(),
            )
        ],
    )  # fmt: skip
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(header.toXML("utf-8"))
    scan = ismrmrd.Acquisition.from_array(np.ascontiguousarray(noise_scan))
    scan.setFlag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    dataset.append_acquisition(scan)
    for step in range(COLUMNS):
        line = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data[:, :, step]))
        line.idx.kspace_encode_step_1, line.center_sample = step, ROWS // 2
        dataset.append_acquisition(line)
    dataset.close()


def test_ismrmrd_is_whitened_and_cut(tmp_path: Path) -> None:
    mixing = np.eye(COILS) + 0.3 * np.random.default_rng(0).normal(size=(COILS, COILS))
    mixed = np.einsum("dc,chw->dhw", mixing, kspace()).astype(np.complex64)
    noise_scan = (mixing @ noise(COILS, 4000).numpy()).astype(np.complex64)
    write_ismrmrd(tmp_path / "scan.h5", mixed, noise_scan)
    out = tmp_path / "out.nii"
    said = record(tmp_path / "scan.h5", "-m", "cg-sense", "-o", out)
    assert (said["height"], said["width"]) == (ROWS, COLUMNS - 4)
    assert nibabel.load(out).header.get_zooms()[:2] == pytest.approx((2, 2))
    # One coil whose noise is not positive is no covariance.
    write_ismrmrd(tmp_path / "bad.h5", mixed, np.ones((COILS, 4000), np.complex64))
    result = run(tmp_path / "bad.h5", "-o", tmp_path / "bad.npy")
    assert result.exit_code == 2
    assert "not positive" in result.stderr


@pytest.mark.parametrize("name", ["out.hdr", "out_0.hdr", "out_std.hdr"])
def test_a_header_of_a_pair_is_not_replaced(tmp_path: Path, scan: Path, name: str) -> None:
    (tmp_path / name).write_text("of another array")
    result = run(scan, "--samples", 2, "--save-std", "--steps", 1, "-o", tmp_path / "out.cfl")
    assert result.exit_code == 2
    assert f"{name}: exists already" in result.stderr
    assert (tmp_path / name).read_text() == "of another array"


def test_slices_of_a_series_may_be_named_by_their_uids(tmp_path: Path) -> None:
    series = tmp_path / "series"
    write_dicom(series / "s.dcm", 900 * np.stack([head(), head()]), "MR")
    for number, file in enumerate(series.iterdir()):
        file.rename(series / f"1.2.840.{number}")
    (series / "notes.txt").write_text("of the study")
    said = record(series, "--simulate", "-m", "cg-sense", "-o", tmp_path / "out.npy")
    assert said["slices"] == 2
    alone = record(series / "1.2.840.1", "--simulate", "-m", "cg-sense", "-o", tmp_path / "1.npy")
    assert alone["slices"] == 1


def test_a_dicom_series_is_simulated(tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    write_dicom(series / "s.dcm", 900 * np.stack([head(), head()]), "MR", spacing=(1.5, 1.5, 4.0))
    said = record(
        series, "--simulate", "--acceleration", 3, "--center-fraction", 0.2, "--sigma", 0.02,
        "--fast", "-o", tmp_path / "out.dcm",
    )  # fmt: skip
    assert said["slices"] == 2
    metrics = said["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["psnr"] > 27
    written = read_dicom(tmp_path / "out.dcm")
    assert written.spacing[:2] == pytest.approx((1.5, 1.5))
    assert float(np.abs(written.values[0] - 900 * head()).mean()) < 40
    assert np.load(tmp_path / "out_degraded.npy").shape == (2, 8, ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mask", "spokes"], "expected one or equispaced, random"),
        (["--acceleration", "0.5"], "expected a number from 1"),
        (["--acceleration", "8", "--center-fraction", "0.5"], "expected a smaller center fraction"),
        (["--acceleration", "4", "--center-fraction", "0.05"], "expected 8 for coil maps"),
        (["--slice", "3"], "slices 0 to 0"),
        (["--dc", "left"], "centre"),
        (["--traj", "nowhere.npy"], "no such file"),
        (["--reference", "other.npy"], "the result [1, 48, 40], expected the same"),
        (["--maps", "other.npy"], "expected the same"),
        (["--mask", "other.npy"], "expected the same"),
        (["--mask", "zero.npy"], "all zero"),
        (["--mask", "zero.npy", "--acceleration", 4], "--acceleration 4 with --mask zero.npy"),
        (["--mask", "zero.npy", "--center-fraction", 0.1], "of no mask that is made"),
        (["--center-fraction", "0.1"], "--center-fraction 0.1 of no mask that is made"),
        (["--maps", "other.npy", "--calib-size", 12], "--calib-size 12: --maps are given"),
        (["--simulate", "--calib-size", 12], "--calib-size with --simulate"),
        (["--maps", "none.npy"], "nothing but zeros, expected coil maps"),
        (["--size", "20"], "--size of samples on a grid, expected --traj too"),
        (["--dcf", "zero.npy"], "--dcf without a trajectory, expected --traj too"),
        (["-m", "ddrm", "--mask", "poisson", "--center-fraction", "0.25"], "needs a fast SVD"),
        (["--init", "other.npy"], "--init: for pictures"),
        (["--reference", "zero.npy"], "the reference has nothing above 0"),
        (["--simulate", "--maps", "other.npy"], "--maps with --simulate"),
        (["-m", "fbp"], "fbp"),
        (["-o", "out.jpg"], "does not write .jpg"),
        (["-m", "l1-wavelet", "--steps", 3], "--method l1-wavelet: classical"),
        (["-m", "zero-filled", "--samples", 2], "expected no --samples"),
        (["--sigma-range", "0-255"], "in line integrals (ct)"),
    ],
)
def test_bad_options_are_one_line(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("other.npy", np.ones((COILS, ROWS, COLUMNS + 1)))
    np.save("zero.npy", np.zeros((ROWS, COLUMNS)))
    np.save("none.npy", np.zeros((COILS, ROWS, COLUMNS)))
    options = options if "-o" in options else [*options, "-o", "out.npy"]
    # A dry run reads a scan and estimates no coil maps, which these two need.
    measured = said in ("expected 8 for coil maps", "needs a fast SVD")
    for dry in [[]] if measured else [[], ["--dry-run"]]:
        result = run(scan, *options, *dry)
        assert result.exit_code == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    whole = kspace()
    patterns = np.stack([whole, whole])
    patterns[1, :, :, 3] = 0
    nan = whole.copy()
    nan[0, 0, 0] = np.nan
    bad = {
        "real": (whole.real, "expected complex k-space"),
        "flat": (whole.ravel(), "expected [rows, columns]"),
        "nan": (nan, "not finite"),
        "zero": (0 * whole, "nothing but zeros"),
        "patterns": (patterns, "slice 1 is not sampled where others are"),
    }
    for name, (array, message) in bad.items():
        path = tmp_path / f"{name}.npy"
        np.save(path, array)
        result = run(path)
        assert result.exit_code == 2, name
        assert str(path) in result.stderr
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_maps_that_may_be_of_sets_or_of_slices_are_refused(tmp_path: Path) -> None:
    several = np.stack([kspace()] * 3)
    np.save(tmp_path / "several.npy", several)
    maps = np.broadcast_to(coil_maps().numpy()[None], several.shape)
    np.save(tmp_path / "maps.npy", maps)
    command = (tmp_path / "several.npy", "-m", "cg-sense", "-o", tmp_path / "x.npy")
    done = run(*command, "--maps", tmp_path / "maps.npy")
    assert done.exit_code == 2
    assert "which may be 3 sets or of 3 slices; expected [slices, sets, coils" in done.stderr
    np.save(tmp_path / "maps.npy", maps[:, None])
    assert run(*command, "--maps", tmp_path / "maps.npy").exit_code == 0


def test_a_pair_that_is_read_without_its_suffix_is_not_replaced(tmp_path: Path) -> None:
    from restore.io.bart import write_bart

    shape = (1, *kspace().shape[1:], len(kspace()))
    for name, array in (("pair", kspace()), ("maps", coil_maps().numpy())):
        write_bart(tmp_path / name, array.transpose(1, 2, 0).reshape(shape))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.cfl")}
    command = (tmp_path / "pair", "--maps", tmp_path / "maps", "-m", "cg-sense")
    for name in ("pair", "maps"):
        done = run(*command, "-o", tmp_path / f"{name}.cfl", "--overwrite")
        assert (done.exit_code, "is an input" in done.stderr) == (2, True), done.stderr
    assert {path: path.read_bytes() for path in tmp_path.glob("*.cfl")} == before
