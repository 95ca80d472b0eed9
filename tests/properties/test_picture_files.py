"""Pictures of random sizes, modes and depths, written and read again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from restore.io.levels import to_integer
from restore.io.picture import read_picture, write_picture

SIZES = st.tuples(st.integers(1, 21), st.integers(1, 21))
SEEDS = st.integers(0, 2**32 - 1)
PILLOW = {".png": ("1", "L", "LA", "RGB", "RGBA"), ".tif": ("1", "L", "LA", "RGB", "RGBA")}
DEEPEST = {".png": 16, ".tif": 32, ".npy": 32, ".webp": 8, ".bmp": 8}


@settings(max_examples=120)
@given(
    size=SIZES,
    seed=SEEDS,
    suffix=st.sampled_from(sorted(DEEPEST)),
    channels=st.sampled_from([1, 3]),
    bits=st.sampled_from([8, 16, 32]),
    alpha=st.booleans(),
)
def test_what_is_written_is_read(size, seed, suffix, channels, bits, alpha):
    """Every level of every depth that the format has comes back; so does alpha where it can."""
    rng = np.random.default_rng(seed)
    depth = min(bits, DEEPEST[suffix])
    depth = 32 if suffix == ".npy" else depth
    pixels = rng.random((channels, *size), dtype=np.float32)
    opacity = rng.random(size, dtype=np.float32) if alpha else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        notes = write_picture(path, pixels, bits=bits, alpha=opacity)
        found = read_picture(path)
    grey_kept = suffix != ".webp"
    wanted = pixels if grey_kept else np.broadcast_to(pixels, (3, *size))
    assert (found.bits, found.height, found.width) == (depth, *size)
    assert found.channels == len(wanted)
    if depth == 32:
        assert np.array_equal(found.pixels, wanted)
    else:
        assert np.array_equal(to_integer(found.pixels, depth), to_integer(wanted, depth))
    assert any("bits" in note for note in notes) == (bits > depth)
    if opacity is None or suffix == ".bmp":
        assert found.alpha is None
    elif suffix == ".webp" and to_integer(opacity, 8).min() == 255:
        pass  # an opaque plane is not stored
    elif depth == 32:
        assert np.array_equal(found.alpha[0], opacity)
    else:
        assert np.array_equal(to_integer(found.alpha[0], depth), to_integer(opacity, depth))


@settings(max_examples=80)
@given(data=st.data(), size=SIZES, seed=SEEDS, suffix=st.sampled_from(sorted(PILLOW)))
def test_pictures_of_another_program_keep_mode_and_levels(data, size, seed, suffix):
    """A file by Pillow, read and written like itself, is the same to Pillow."""
    mode = data.draw(st.sampled_from(PILLOW[suffix]))
    rng = np.random.default_rng(seed)
    if mode == "1":
        image = Image.fromarray(rng.integers(0, 2, size).astype(bool))
    else:
        bands = len(mode)
        levels = rng.integers(0, 256, (*size, bands) if bands > 1 else size, dtype=np.uint8)
        image = Image.fromarray(levels, mode)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / f"a{suffix}", Path(folder) / f"b{suffix}"
        image.save(first)
        picture = read_picture(first)
        write_picture(second, picture.pixels, picture)
        with Image.open(second) as again:
            assert picture.mode == mode
            assert again.mode == ("L" if mode == "1" else mode)
            assert np.array_equal(np.asarray(again), np.asarray(image.convert(again.mode)))


@settings(max_examples=40)
@given(size=SIZES, seed=SEEDS, quality=st.integers(1, 100), grey=st.booleans())
def test_a_jpeg_uses_its_own_tables_again(size, seed, quality, grey):
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, size if grey else (*size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "a.jpg", Path(folder) / "b.jpg"
        Image.fromarray(levels).save(first, quality=quality)
        picture = read_picture(first)
        write_picture(second, picture.pixels, picture)
        assert read_picture(second).jpeg == picture.jpeg
    assert picture.pixels.shape == (1 if grey else 3, *size)
