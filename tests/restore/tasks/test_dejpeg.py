"""`dejpeg` from file to file, with the bundled model on small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import jpeglib
import numpy as np
import pytest
import torch
from PIL import Image

from restore.errors import InputError
from restore.io.picture import read_picture
from restore.metrics import psnr
from restore.problem import Problem
from restore.tasks.certificate import IntervalCertificate, certify, rounded
from restore.tasks.photo import Restorer
from restore.tasks.registry import TASKS
from restore.tasks.settings import Settings

PHOTO = Path(__file__).parents[3] / "data" / "samples" / "noisy_truth.png"
ROUNDING = 1 / (255 * 12**0.5)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """71x67, no whole number of blocks."""
    with Image.open(PHOTO) as image:
        return image.convert("RGB").crop((80, 90, 151, 157))


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer(TASKS["dejpeg"], Settings())


def coefficients(path: Path) -> np.ndarray:
    found = jpeglib.read_dct(str(path))
    planes = (getattr(found, name) for name in ("Y", "Cb", "Cr"))
    return np.concatenate([plane.ravel() for plane in planes if plane is not None])


@pytest.mark.parametrize(
    ("kind", "quality"),
    [("4:2:0", 20), ("4:2:0", 75), ("4:4:4", 75), ("4:4:4", 95), ("grey", 95)],
)
def test_encoded_again_it_keeps_at_least_what_the_decoder_keeps(
    tmp_path, photo, restorer, kind, quality
):
    image = photo.convert("L") if kind == "grey" else photo
    options = {} if kind == "grey" else {"subsampling": kind}
    source, output = tmp_path / "a.jpg", tmp_path / "b.png"
    image.save(source, quality=quality, **options)
    result = restorer.restore(source, output, suffix="_dejpeg")
    assert result.consistent
    again, decoder = tmp_path / "c.jpg", tmp_path / "d.jpg"
    with Image.open(output) as restored:
        restored.save(again, quality=quality, **options)
    with Image.open(source) as decoded:
        decoded.load()
        Image.fromarray(np.asarray(decoded)).save(decoder, quality=quality, **options)
    measured = coefficients(source)
    kept, least = ((coefficients(path) == measured).mean() for path in (again, decoder))
    assert kept >= least - 2e-4
    truth = np.moveaxis(np.atleast_3d(np.asarray(image)), -1, 0) / 255
    gain = psnr(read_picture(output).pixels, truth) - psnr(read_picture(source).pixels, truth)
    assert gain > {20: 0.6, 75: 0.4, 95: -0.2}[quality]


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (16, 1)])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_blocks_that_are_mostly_filled_up_stay_inside(tmp_path, photo, restorer, size, quality):
    """There a pixel's rounding counts many times."""
    for left in range(0, 40, 10):
        photo.crop((left, 0, left + size[1], size[0])).save(tmp_path / "a.jpg", quality=quality)
        assert restorer.restore(tmp_path / "a.jpg", tmp_path / "b.png", suffix="").consistent


@pytest.mark.parametrize("exif", [1, 6])
@pytest.mark.parametrize("size", [(1, 16), (3, 17), (67, 71)])
def test_what_rounding_makes_inconsistent_is_mended_mcu_by_mcu(tmp_path, photo, size, exif):
    """Coefficients at the ends of their intervals, where rounding takes half of them out."""
    orientation = Image.Exif()
    orientation[274] = exif
    path = tmp_path / "a.jpg"
    photo.crop((0, 0, size[1], size[0])).save(path, quality=75, exif=orientation)
    measurement = TASKS["dejpeg"].measure(read_picture(path), Settings(), torch.device("cpu"))
    problem = measurement.problem
    noisy = measurement.start + 0.1 * torch.randn(
        measurement.start.shape, generator=torch.Generator().manual_seed(0)
    )
    x = problem.settled(noisy, 0.5).clamp(0, 1)
    broken = certify(problem, rounded(x, ROUNDING), ROUNDING)
    assert not broken.consistent
    assert measurement.mend is not None
    mended = measurement.mend(x, ROUNDING)
    assert certify(problem, rounded(mended, ROUNDING), ROUNDING).consistent
    # A picture that is consistent in every MCU is not touched.
    assert measurement.mend(mended, ROUNDING).equal(mended)


def test_a_mended_file_is_what_its_certificate_is_of(tmp_path, photo, restorer, monkeypatch):
    """Without the mend most of these are not consistent."""
    sources = [tmp_path / f"{left}.jpg" for left in (0, 8, 16, 20, 32, 36)]
    for source in sources:
        left = int(source.stem)
        photo.crop((left, 0, left + 1, 16)).save(source, quality=95)
    results = [restorer.restore(s, s.with_suffix(".png"), suffix="") for s in sources]
    assert all(result.consistent for result in results)
    for source in sources:
        problem = restorer.task.measure(read_picture(source), Settings(), restorer.device).problem
        shown = torch.from_numpy(read_picture(source.with_suffix(".png")).pixels)[None]
        assert certify(problem, shown, ROUNDING).consistent
    monkeypatch.setattr("restore.tasks.photo.mended", lambda *_: None)
    results = [restorer.restore(s, s.with_suffix(".png"), suffix="") for s in sources]
    assert not all(result.consistent for result in results)


def test_the_float_result_has_every_coefficient_in_its_interval(tmp_path, photo, restorer):
    source, output = tmp_path / "a.jpg", tmp_path / "b.npy"
    # Away from black and white, where a picture must be clipped.
    photo.point(lambda level: 60 + level // 2).save(source, quality=60)
    result = restorer.restore(source, output, suffix="_dejpeg")
    certificate = json.loads((tmp_path / "b.json").read_text())["certificate"]
    assert certificate["inside"] == 1
    assert result.consistent


def test_the_certificate_counts_coefficients(tmp_path, photo):
    path = tmp_path / "a.jpg"
    photo.save(path, quality=50)
    picture = read_picture(path)
    problem = TASKS["dejpeg"].measure(picture, Settings(), torch.device("cpu")).problem
    decoded = torch.from_numpy(picture.pixels)[None]
    shown = certify(problem, decoded, ROUNDING)
    assert isinstance(shown, IntervalCertificate)
    assert shown.inside == pytest.approx(shown.bound, abs=0.002)
    shifted = certify(problem, decoded + 0.05, ROUNDING)
    assert shifted.inside < shown.bound
    assert not shifted.consistent
    plain = Problem(problem.operator, problem.y, problem.noise_std)
    assert not isinstance(certify(plain, decoded, ROUNDING), IntervalCertificate)


def test_turned_pictures_come_back_upright(tmp_path, photo, restorer):
    exif = Image.Exif()
    exif[274] = 6
    source, output = tmp_path / "a.jpg", tmp_path / "b.png"
    photo.save(source, exif=exif, quality=50)
    assert restorer.restore(source, output, suffix="_dejpeg").consistent
    upright, decoded = read_picture(output), read_picture(source)
    assert upright.pixels.shape == decoded.pixels.shape == (3, 71, 67)
    assert psnr(upright.pixels, decoded.pixels) > 25


def test_a_jpeg_output_is_not_the_input_again(tmp_path, photo, restorer):
    source, output = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo.save(source, quality=20)
    restorer.restore(source, output, suffix="_dejpeg")
    assert jpeglib.read_dct(str(output)).qt.mean() < 0.3 * jpeglib.read_dct(str(source)).qt.mean()


def test_the_best_preset_is_the_mean_of_samples(tmp_path, photo):
    settings = Settings(preset="best", parameters={"steps": 1}, average=2)
    source = tmp_path / "a.jpg"
    photo.crop((0, 0, 24, 24)).save(source, quality=10)
    restorer = Restorer(TASKS["dejpeg"], settings)
    record = restorer.restore(source, tmp_path / "b.png", suffix="_dejpeg").record
    assert (record["method"], record["evaluations"]) == ("ddrm-jpeg", 2)


def test_levels_follow_the_tables(tmp_path, photo):
    class Prior:
        sigma_min, sigma_max = 0.002, 50.0

    task, found = TASKS["dejpeg"], []
    for quality in (5, 40, 100):
        path = tmp_path / "a.jpg"
        photo.crop((0, 0, 64, 64)).save(path, quality=quality)
        measurement = task.measure(read_picture(path), Settings(), torch.device("cpu"))
        found.append(task.method_parameters("ddrm-jpeg", measurement, Prior()))
    levels, timesteps = ([one[name] for one in found] for name in ("sigma_max", "timesteps"))
    assert levels[0] > levels[1] > levels[2] > 0.01
    assert timesteps[0] > timesteps[1] > timesteps[2] == 20


def test_a_noise_level_is_refused(tmp_path, photo):
    path = tmp_path / "a.jpg"
    photo.crop((0, 0, 16, 16)).save(path)
    picture = read_picture(path)
    with pytest.raises(InputError, match="--sigma: not with dejpeg"):
        TASKS["dejpeg"].measure(picture, Settings(sigma=0.1), torch.device("cpu"))
