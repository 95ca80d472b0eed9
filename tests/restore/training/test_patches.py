import re

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

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
    assert batch.shape == (4, 3, 16, 16)
    assert batch.dtype == torch.float32
    grey = Patches(pictures, recipe.model_copy(update={"channels": 1})).batch(0)
    brighter = Patches(pictures, recipe.model_copy(update={"channels": 1, "white": 1.5})).batch(0)
    assert grey.shape == (4, 1, 16, 16)
    assert 0 <= grey.min() < grey.max() <= 1
    assert torch.allclose(brighter, 1.5 * grey)


def test_real_parts_are_patches_times_the_cosine_of_a_smooth_phase(pictures, recipe):
    grey = recipe.model_copy(update={"channels": 1})
    magnitude = Patches(pictures, grey).batch(3)
    real = Patches(pictures, grey.model_copy(update={"phase": True})).batch(3)
    cosine = real / magnitude.clamp_min(1e-3)
    assert torch.all(real.abs() <= magnitude)
    assert real.min() < 0 < real.max()
    assert cosine.where(magnitude > 0.1, cosine.new_tensor(0)).std() > 0.2
    steps = (cosine.diff(dim=-1)).where(magnitude[..., 1:].minimum(magnitude[..., :-1]) > 0.1, 0)
    assert steps.abs().max() < 0.6


def test_sizes_and_orientations_are_as_the_recipe_says(tmp_path, recipe):
    """Of 600 patches of a picture that is a slope, whose slope tells scale and turn."""
    columns = np.tile(np.arange(120), (120, 1))
    Image.fromarray((2 * columns).astype(np.uint8)).save(tmp_path / "slope.png")
    sizes = recipe.model_copy(
        update={
            "channels": 1,
            "batch_size": 600,
            "pyramid": (1.0, 0.75, 0.5),
            "full_size_share": 0.7,
        }
    )
    patches = 255 * Patches(tmp_path, sizes).batch(0)[:, 0] / 2
    right = patches.diff(dim=2).mean(dim=(1, 2))
    down = patches.diff(dim=1).mean(dim=(1, 2))
    slopes = right.abs().maximum(down.abs())
    # 0.7 are of full size, and a third of the others. Three standard errors of 600: 0.06.
    for slope, share in ((1, 0.8), (21 / 16, 0.1), (2, 0.1)):
        assert float(((slopes - slope).abs() < 0.1).float().mean()) == pytest.approx(
            share, abs=0.06
        )
    for turned in (right > 0.5, right < -0.5, down > 0.5, down < -0.5):
        assert float(turned.float().mean()) == pytest.approx(0.25, abs=0.06)


def test_patches_are_mirrored_too(tmp_path, recipe):
    """All eight orientations of a picture that has none of them twice."""
    corner = np.zeros((16, 16), np.uint8)
    corner[:2, :8] = 255
    Image.fromarray(corner).save(tmp_path / "corner.png")
    sizes = recipe.model_copy(update={"channels": 1, "batch_size": 100})
    seen = {patch.numpy().tobytes() for patch in Patches(tmp_path, sizes).batch(0)}
    assert len(seen) == 8


def test_held_out_pictures_are_not_trained_on(pictures, recipe):
    patches = Patches(pictures, recipe)
    assert len(patches.training) == 4
    assert len(patches.held_out) == 1
    assert not set(patches.training) & set(patches.held_out)


def test_bad_folders_are_one_line(tmp_path, recipe):
    with pytest.raises(InputError, match="not a folder; expected a folder of pictures"):
        Patches(tmp_path / "absent", recipe)
    with pytest.raises(InputError, match="no picture in this folder, expected at least one"):
        Patches(tmp_path, recipe)
    Image.new("L", (15, 40)).save(tmp_path / "narrow.png")
    with pytest.raises(InputError, match="found 1 picture, none of 16 pixels or more"):
        Patches(tmp_path, recipe)


def test_what_cannot_be_read_is_left_out_with_a_line(pictures, recipe):
    whole = Patches(pictures, recipe)
    (pictures / "broken.png").write_bytes(b"not a picture")
    cut = whole.training[0]
    cut.write_bytes(cut.read_bytes()[:-100])
    lines: list[str] = []
    patches = Patches(pictures, recipe, lines.append)
    assert patches.training == whole.training
    assert len(lines) == 1
    assert re.fullmatch(r".*broken\.png: not a picture, expected .*; left out", lines[0])
    for step in range(8):
        assert patches.batch(step).isfinite().all()
    assert len(lines) == 2
    assert lines[1].startswith(f"{cut}: ")
    assert (Patches(pictures, recipe).batch(3) == patches.batch(3)).all()


def test_a_folder_of_cut_pictures_is_refused(recipe, pictures):
    for path in pictures.glob("*.png"):
        path.write_bytes(path.read_bytes()[:-100])
    patches = Patches(pictures, recipe)
    assert patches.validation() == []
    with pytest.raises(InputError, match="no picture can be read; expected pictures to learn from"):
        patches.batch(0)


@pytest.mark.parametrize("pictures_before", [4, 39])  # the last, and the fortieth
def test_a_picture_that_cannot_be_read_is_not_what_is_validated(tmp_path, recipe, pictures_before):
    """Else the PSNR would be NaN, which no JSON has; nor is it one that was learned from."""
    for i in range(pictures_before):
        Image.new("L", (16, 16), i).save(tmp_path / f"{i:02}.png")
    whole = (tmp_path / "00.png").read_bytes()
    (tmp_path / "99.png").write_bytes(whole[:45])
    patches = Patches(tmp_path, recipe)
    assert [p.stem for p in patches.held_out] == [f"{pictures_before - 1:02}"]
    assert len(patches.validation()) == 1
    assert set(patches.training) - patches.unreadable == {
        tmp_path / f"{i:02}.png" for i in range(pictures_before - 1)
    }


def test_what_the_other_verbs_take_from_a_folder_is_learned_from(tmp_path, recipe):
    """Arrays and GIFs too; hidden files, such as those that macOS puts beside each, are not."""
    (tmp_path / "more").mkdir()
    np.save(tmp_path / "a.npy", np.full((20, 20), 0.5, np.float32))
    for name in ("b.gif", "more/c.jp2", "d.png"):
        Image.new("L", (20, 20)).save(tmp_path / name)
    (tmp_path / "._d.png").write_bytes(b"of a file system")
    lines: list[str] = []
    patches = Patches(tmp_path, recipe, lines.append)
    names = {p.name for p in [*patches.training, *patches.held_out]}
    assert names == {"a.npy", "b.gif", "c.jp2", "d.png"}
    assert lines == []


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "kind", ["L.png", "I;16.png", "I;16.tif", "F.tif", "RGB;16.tif", "RGB;F.tif"]
)
def test_the_depth_of_a_picture_does_not_change_its_greys(tmp_path, recipe, kind, channels):
    """Uniform greys: mean 0.5 to 0.02 (six deviations of 48 x 48 pixels), hardly one clipped."""
    grey = np.random.default_rng(0).uniform(0, 1, (48, 48)).astype(np.float32)
    grey = np.stack([grey] * 3, -1) if kind.startswith("RGB") else grey
    photometric = "rgb" if kind.startswith("RGB") else "minisblack"
    path = tmp_path / f"a{kind[kind.index('.') :]}"
    if "F" in kind:
        tifffile.imwrite(path, grey, photometric=photometric)
    else:
        top, dtype = (65535, np.uint16) if "16" in kind else (255, np.uint8)
        stored = np.rint(grey * top).astype(dtype)
        if path.suffix == ".tif":
            tifffile.imwrite(path, stored, photometric=photometric)
        else:
            Image.fromarray(stored).save(path)
    lines: list[str] = []
    patches = Patches(tmp_path, recipe.model_copy(update={"channels": channels}), lines.append)
    (crop,) = patches.validation()
    assert lines == []
    assert crop.mean().item() == pytest.approx(grey.mean(), abs=0.004)
    assert crop.mean().item() == pytest.approx(0.5, abs=0.02)
    assert ((crop == 0) | (crop == 1)).float().mean() < 0.01


def test_eight_bits_are_read_as_they_are_stored(pictures, recipe):
    patches = Patches(pictures, recipe)
    with Image.open(patches.held_out[0]) as image:
        stored = np.asarray(image.convert("RGB"))
        grey = np.asarray(image.convert("L"))
    (crop,) = patches.validation()
    assert np.array_equal(np.rint(crop[0].numpy() * 255), stored.transpose(2, 0, 1))
    (crop,) = Patches(pictures, recipe.model_copy(update={"channels": 1})).validation()
    assert np.array_equal(np.rint(crop[0].numpy() * 255), grey[None])


def test_validation_is_of_the_middle(tmp_path, recipe):
    """Of 250 × 231 pixels: 192 × 192 from row 19 and column 29 on."""
    rows, columns = np.mgrid[:231, :250]
    Image.fromarray(np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)).save(
        tmp_path / "place.png"
    )
    (crop,) = Patches(tmp_path, recipe).validation()
    assert crop.shape == (1, 3, 192, 192)
    assert (255 * crop[0, :2, 0, 0]).round().tolist() == [19, 29]


def test_patches_come_from_everywhere(tmp_path, recipe):
    """Of 17 × 17 pixels all four of 16 × 16, each in all eight orientations."""
    pixels = np.random.default_rng(0).integers(0, 256, (17, 17), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = recipe.model_copy(update={"channels": 1, "batch_size": 400, "full_size_share": 1.0})
    assert len({p.numpy().tobytes() for p in Patches(tmp_path, whole).batch(0)}) == 32


def test_colours_that_nobody_sees_are_not_learned(tmp_path, recipe):
    pixels = np.full((40, 40, 4), 255, np.uint8)
    for name in ("opaque", "too"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    pixels[0, 0, 3] = 254
    Image.fromarray(pixels).save(tmp_path / "sticker.png")
    lines: list[str] = []
    patches = Patches(tmp_path, recipe, lines.append)
    for step in range(20):
        patches.batch(step)
    assert lines == [
        f"{tmp_path}/sticker.png: has transparent parts, expected colours that are seen; left out"
    ]
    assert patches.unreadable == {tmp_path / "sticker.png"}
