import numpy as np
import pytest
from PIL import Image

from restore.training.recipe import Recipe


@pytest.fixture
def recipe():
    """A network that trains in a second."""
    return Recipe(
        name="tiny", widths=(8, 8), blocks=(1, 1), batch_size=4, patch=16, steps=12, warmup=2
    )


@pytest.fixture
def pictures(tmp_path):
    """Six smooth pictures, one of them too small to learn from."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(5):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        coarse.resize((50, 40), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / "more" / "s.png")
    return folder
