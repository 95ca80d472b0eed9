import numpy as np
import pytest

from restore.errors import InputError
from restore.training.patches import Patches


def test_the_order_depends_on_seed_and_step_alone(pictures, recipe):
    first, second = Patches(pictures, recipe), Patches(pictures, recipe)
    second.batch(0)
    assert np.array_equal(first.batch(7), second.batch(7))
    assert not np.array_equal(first.batch(7), first.batch(8))
    other = Patches(pictures, recipe.model_copy(update={"seed": 1}))
    assert not np.array_equal(first.batch(7), other.batch(7))


def test_patches_have_the_recipes_form(pictures, recipe):
    batch = Patches(pictures, recipe).batch(0)
    assert batch.shape == (4, 16, 16, 3)
    assert batch.dtype == np.uint8
    grey = Patches(pictures, recipe.model_copy(update={"channels": 1})).batch(0)
    assert grey.shape == (4, 16, 16, 1)


def test_held_out_pictures_are_not_trained_on(pictures, recipe):
    patches = Patches(pictures, recipe)
    assert len(patches.training) == 4
    assert len(patches.held_out) == 1
    assert not set(patches.training) & set(patches.held_out)


def test_bad_folders_are_one_line(tmp_path, recipe):
    with pytest.raises(InputError, match="not a folder; expected a folder of pictures"):
        Patches(tmp_path / "absent", recipe)
    with pytest.raises(InputError, match="found 0 pictures, none of 16 pixels or more"):
        Patches(tmp_path, recipe)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"broken.png: .*; expected a picture"):
        Patches(tmp_path, recipe)
