"""Our decoding and encoding of JPEG against libjpeg's, on a photograph at many qualities."""

from __future__ import annotations

from pathlib import Path

import jpeglib
import numpy as np
import pytest
import torch
from PIL import Image

from restore.io.jpeg_file import read_jpeg
from restore.io.orientation import apply_orientation
from restore.io.picture import read_picture
from restore.jpeg import decode, jpeg_operator, jpeg_problem, measured, typical_error
from restore.quantised import QuantisedProblem

PHOTO = Path(__file__).parents[2] / "data" / "samples" / "noisy_truth.png"
KINDS = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey", "rgb")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """[131, 150, 3], no whole number of blocks."""
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB"))[:131, :150].copy()


def save(path: Path, levels: np.ndarray, quality: int, kind: str, **options: object) -> None:
    if kind == "grey":
        Image.fromarray(levels).convert("L").save(path, quality=quality, **options)
    elif kind == "rgb":
        Image.fromarray(levels).save(path, quality=quality, keep_rgb=True, **options)
    elif kind == "4:4:0":  # which Pillow does not write
        made = jpeglib.from_spatial(np.ascontiguousarray(levels))
        made.samp_factor = kind
        made.write_spatial(str(path), qt=quality)
    else:
        Image.fromarray(levels).save(path, quality=quality, subsampling=kind, **options)


def luma(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Y as libjpeg decodes it, without conversion of colours."""
    with Image.open(path) as image:
        image.draft("YCbCr", shape[::-1])
        plane = np.asarray(image)
    return plane if plane.ndim == 2 else plane[..., 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quality", [5, 30, 75, 95])
def test_decodes_as_libjpeg(tmp_path, photo, kind, quality):
    path = tmp_path / "a.jpg"
    save(path, photo, quality, kind)
    picture = read_picture(path)
    file = read_jpeg(picture)
    operator = jpeg_operator(file)
    y = measured(operator, file)
    error = 255 * np.abs(decode(operator, y).numpy() - picture.pixels)
    assert error.max() < 3.01
    assert (error < 1.01).mean() > 0.99
    if kind != "rgb":
        ours = 255 * operator.samples(y)[0].clamp(0, 1).round(decimals=6).numpy()
        assert np.abs(ours - luma(path, ours.shape)).max() < 1.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("quality", "share"), [(5, 1.0), (30, 0.999), (75, 0.997), (95, 0.97)])
def test_encodes_a_decoded_picture_as_libjpeg(tmp_path, photo, kind, quality, share):
    """libjpeg rounds Y, Cb and Cr to whole levels before its cosines, which we do not."""
    path = tmp_path / "a.jpg"
    levels = photo[:128, :144] if kind == "4:4:0" else photo
    save(path, levels, quality, kind)
    decoded = read_picture(path).pixels
    again = np.moveaxis(np.rint(255 * decoded), 0, -1).astype(np.uint8)
    save(path, again[..., 0] if kind == "grey" else again, quality, kind)
    file = read_jpeg(read_picture(path))
    operator = jpeg_operator(file)
    found = (operator(torch.from_numpy(decoded)) - operator.level_shift()).round()
    difference = (found - torch.from_numpy(file.coefficients)).abs()
    assert difference.max() <= (2 if quality == 95 else 1)
    assert (difference == 0).double().mean() >= share


@pytest.mark.parametrize("code", range(1, 9))
def test_the_problem_is_of_the_upright_picture(tmp_path, photo, code):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[274] = code
    save(path, photo, 80, "4:4:4", exif=exif)
    picture = read_picture(path)
    problem = jpeg_problem(read_jpeg(picture))
    upright = torch.from_numpy(picture.pixels)[None]
    assert problem.operator.domain.shape == picture.pixels.shape
    assert problem.inside(upright).float().mean() > 0.98
    seen = apply_orientation(np.moveaxis(photo, -1, 0), code) / 255
    assert np.abs(problem.decode(problem.y)[0].numpy() - seen).mean() < 0.03


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0"])
def test_blocks_over_the_border_that_no_picture_has(tmp_path, photo, kind):
    """An encoder that pads with green: those blocks alone are measured anew."""
    path = tmp_path / "a.jpg"
    padded = np.full((64, 64, 3), (0, 255, 0), np.uint8)
    padded[:50, :51] = photo[:50, :51]
    save(path, padded, 90, kind)
    path.write_bytes(path.read_bytes().replace(bytes([0, 64, 0, 64]), bytes([0, 50, 0, 51]), 1))
    picture = read_picture(path)
    assert picture.pixels.shape == (3, 50, 51)
    file = read_jpeg(picture)
    operator = jpeg_operator(file)
    difference = (jpeg_problem(file).y[0] - measured(operator, file)).abs() > 0.01
    changed = difference.any(-1).any(-1)[: 7 * 7].reshape(7, 7)
    assert changed[6].float().mean() > 0.8
    assert changed[:, 6].float().mean() > 0.8
    assert not changed[:6, :6].any()
    # The decoded picture is, nearly, a solution.
    assert jpeg_problem(file).inside(torch.from_numpy(picture.pixels)[None]).float().mean() > 0.95


@pytest.mark.parametrize(("quality", "expected"), [(5, 0.083), (40, 0.034), (90, 0.016)])
def test_the_typical_error_of_a_quality(tmp_path, photo, quality, expected):
    save(tmp_path / "a.jpg", photo, quality, "4:2:0")
    assert typical_error(read_jpeg(read_picture(tmp_path / "a.jpg"))) == pytest.approx(
        expected, abs=0.001
    )


def turned(path, photo, kind, code):
    """The problem of a JPEG with an orientation, and its picture [1, C, H, W]."""
    exif = Image.Exif()
    exif[274] = code
    save(path, photo, 40, kind, exif=exif)
    picture = read_picture(path)
    return jpeg_problem(read_jpeg(picture)), torch.from_numpy(picture.pixels)[None]


@pytest.mark.parametrize(("kind", "code"), [("4:2:0", 1), ("4:2:2", 6), ("grey", 3)])
def test_mcu_by_mcu_is_as_the_picture_whole(tmp_path, photo, monkeypatch, kind, code):
    """In bands of one or two rows of MCUs, with a margin at both borders."""
    monkeypatch.setattr("operators.jpeg._BAND", 16 * 150 * 2)
    one, x = turned(tmp_path / "a.jpg", photo, kind, code)
    whole = QuantisedProblem(one.operator, one.y)
    x = x + 0.1 * torch.randn(2, *x.shape[1:], generator=torch.Generator().manual_seed(0))
    for picture_alone in x[:, None]:
        for half in (0.49, 0.2):
            ours, theirs = one.projected(picture_alone, half), whole.projected(picture_alone, half)
            assert torch.allclose(ours, theirs, atol=1e-4)
        if one.turn is None:
            ours, theirs = one.expected(picture_alone, 0.1), whole.expected(picture_alone, 0.1)
            assert torch.allclose(ours, theirs, atol=1e-3)
        settled = one.settled(picture_alone)
        assert bool(one.inside(settled).all())
        assert (settled - whole.settled(picture_alone)).abs().max() < 0.02
    assert one.by_mcus(lambda _, mcus: mcus, x).equal(x)


@pytest.mark.parametrize(("kind", "code"), [("4:2:0", 1), ("4:2:2", 6), ("4:4:4", 3)])
def test_bands_make_up_the_whole(tmp_path, photo, monkeypatch, kind, code):
    monkeypatch.setattr("restore.jpeg._BAND", 16 * 150 * 2)
    problem, x = turned(tmp_path / "a.jpg", photo, kind, code)
    parts, decoded, pictures = zip(*problem.bands(x), strict=True)
    assert len(parts) > 3
    upright = problem.turn.adjoint if problem.turn else torch.nn.Identity()
    assert upright(torch.cat(pictures, -2)).equal(x)
    whole = problem.decode(problem.y)
    assert torch.allclose(upright(torch.cat(decoded, -2)), whole, atol=1e-5)
    misfits = [
        (part.operator(x) - part.y).flatten() for part, x in zip(parts, pictures, strict=True)
    ]
    found, expected = torch.cat(misfits), (problem.operator(x) - problem.y).flatten()
    assert torch.allclose(found.sort().values, expected.sort().values, atol=1e-4)


def test_a_corner_stands_for_a_large_picture(tmp_path, photo, monkeypatch):
    monkeypatch.setattr("restore.jpeg._CORNER", 40)
    save(tmp_path / "a.jpg", photo, 40, "4:2:0")
    problem = jpeg_problem(read_jpeg(read_picture(tmp_path / "a.jpg")))
    # 131 x 150 from a multiple of 16 on, 40 pixels before the border at least.
    assert problem.sampled.domain.shape == (3, 131 - 80, 150 - 96)
    x = torch.rand(problem.operator.domain.shape)
    x[:, :80] = x[:, :, :96] = 0
    corner = problem.sampled(x[:, 80:, 96:])
    assert problem.operator(x).norm() == pytest.approx(float(corner.norm()), rel=1e-5)
    monkeypatch.setattr("restore.jpeg._CORNER", 150)
    assert problem.sampled is problem.operator
