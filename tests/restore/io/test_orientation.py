from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from restore.io.orientation import apply_orientation, undo_orientation


@pytest.mark.parametrize("code", range(1, 9))
def test_is_what_pillow_does(code: int, rng: np.random.Generator) -> None:
    stored = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(stored)
    image.getexif()[274] = code
    expected = np.moveaxis(np.asarray(ImageOps.exif_transpose(image)), -1, 0)
    assert np.array_equal(apply_orientation(np.moveaxis(stored, -1, 0), code), expected)


@pytest.mark.parametrize("code", range(10))
def test_undo_is_the_inverse(code: int) -> None:
    stored = np.arange(30).reshape(1, 5, 6)
    assert np.array_equal(undo_orientation(apply_orientation(stored, code), code), stored)
