from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.io.mask import hole_from_alpha, read_mask
from restore.io.picture import read_picture

SIZE = (6, 9)


def box() -> np.ndarray:
    fill = np.zeros(SIZE, dtype=bool)
    fill[2:4, 3:7] = True
    return fill


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mask.png"


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16", "LA", "RGBA"])
def test_white_is_filled(path: Path, mode: str) -> None:
    grey = np.where(box(), 255, 0).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    image.save(path)
    assert np.array_equal(read_mask(path, SIZE), box())


def test_a_jpeg_mask(tmp_path: Path) -> None:
    big = np.kron(box(), np.ones((8, 8))).astype(bool)
    Image.fromarray(np.where(big, 255, 0).astype(np.uint8)).save(tmp_path / "m.jpg", quality=40)
    assert np.array_equal(read_mask(tmp_path / "m.jpg", big.shape), big)


@pytest.mark.parametrize(("level", "filled"), [(127, False), (128, True)])
def test_grey_counts_above_half(path: Path, level: int, filled: bool) -> None:
    grey = np.zeros(SIZE, dtype=np.uint8)
    grey[0, 0], grey[5, 5] = 255, level
    Image.fromarray(grey).save(path)
    assert read_mask(path, SIZE)[5, 5] == filled


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 0), (255, 255, 255)])
def test_strokes_of_one_colour_on_transparent_ground(path: Path, colour: tuple[int, ...]) -> None:
    array = np.zeros((*SIZE, 4), dtype=np.uint8)
    array[..., :3] = 77  # of no account where it is transparent
    array[box()] = (*colour, 255)
    array[0, 0] = (*colour, 100)
    Image.fromarray(array).save(path)
    assert np.array_equal(read_mask(path, SIZE), box())


def test_black_and_white_with_transparent_ground(path: Path) -> None:
    array = np.zeros((*SIZE, 4), dtype=np.uint8)
    array[box()] = 255
    array[5, :] = (0, 0, 0, 255)
    Image.fromarray(array).save(path)
    assert np.array_equal(read_mask(path, SIZE), box())


def test_what_shows_through_counts_as_far_as_it_is_opaque(path: Path) -> None:
    array = np.zeros((*SIZE, 4), dtype=np.uint8)
    array[..., 3] = 255
    array[box()] = 255
    array[0, 0], array[0, 1] = (255, 255, 255, 120), (200, 200, 200, 150)
    Image.fromarray(array).save(path)
    assert np.array_equal(read_mask(path, SIZE), box())


def test_refuses_another_size(path: Path) -> None:
    Image.new("L", (100, 80)).save(path)
    with pytest.raises(InputError) as caught:
        read_mask(path, (80, 120))
    assert str(caught.value) == f"{path}: mask is 100x80, the picture is 120x80; expected the same"


@pytest.mark.parametrize(("level", "why"), [(255, "nothing is known"), (0, "nothing to fill")])
def test_refuses_all_of_one_colour(path: Path, level: int, why: str) -> None:
    Image.new("L", (9, 6), level).save(path)
    with pytest.raises(InputError, match=rf"mask\.png: the mask is all .*{why}"):
        read_mask(path, SIZE)


def test_refuses_what_is_no_picture(path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_mask(path, SIZE)


def test_hole_of_a_photo(path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    array[..., 3] = np.where(box(), 0, 255)
    array[0, 0, 3], array[0, 1, 3] = 127, 128
    Image.fromarray(array).save(path)
    expected = box()
    expected[0, 0] = True
    assert np.array_equal(hole_from_alpha(read_picture(path)), expected)


@pytest.mark.parametrize(
    ("alpha", "why"),
    [
        (None, "no mask and no transparency"),
        (255, "its alpha has no hole, so nothing to fill"),
        (0, "all transparent, so nothing is known"),
    ],
)
def test_photo_without_a_hole(path: Path, alpha: int | None, why: str) -> None:
    image = Image.new("RGB", (4, 4), (9, 9, 9))
    if alpha is not None:
        image.putalpha(alpha)
    image.save(path)
    with pytest.raises(InputError, match=rf"mask\.png: {why}[,;] expected a mask"):
        hole_from_alpha(read_picture(path))
