import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.io.hints import read_hints


def strokes(alpha) -> Image.Image:
    """Red, 4x3, with a stroke of this opacity over its first row."""
    pixels = np.zeros((3, 4, 4), np.uint8)
    pixels[0] = (255, 0, 0, alpha)
    return Image.fromarray(pixels)


def test_what_is_more_than_half_opaque_is_a_hint(tmp_path):
    strokes(200).save(tmp_path / "h.png")
    known, colours = read_hints(tmp_path / "h.png", (3, 4))
    assert known.tolist() == [[True] * 4, [False] * 4, [False] * 4]
    assert np.array_equal(colours[:, 0, 0], [1, 0, 0])


def test_grey_strokes_are_hints_of_grey(tmp_path):
    strokes(255).convert("LA").save(tmp_path / "h.png")
    known, colours = read_hints(tmp_path / "h.png", (3, 4))
    assert known.sum() == 4
    assert np.array_equal(colours[0], colours[2])


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (strokes(255).resize((5, 3)), "hints are 5x3, the picture is 4x3"),
        (strokes(255).convert("RGB"), "hints without transparency; expected"),
        (strokes(100), "all transparent, so no hint; expected"),
    ],
)
def test_refuses(tmp_path, image, part):
    image.save(tmp_path / "h.png")
    with pytest.raises(InputError, match=part):
        read_hints(tmp_path / "h.png", (3, 4))
