"""Images of a scan in every format: what goes wrong is one line about the file that was meant."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from restore.errors import InputError
from restore.io.images import IMAGE_SUFFIXES, write_images

IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 150, 150)).astype(np.float32)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_suffix_in_capitals_is_the_same_one(tmp_path: Path, suffix: str) -> None:
    files = write_images(tmp_path / f"a{suffix.upper()}", IMAGES, "MR")
    assert files[0] == tmp_path / f"a{suffix.upper()}"
    assert sorted(files) == sorted(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_written(tmp_path: Path, suffix: str, value: float) -> None:
    images = IMAGES.copy()
    images[1, 2, 3] = value
    with pytest.raises(InputError, match=f"a{suffix}: NaN or infinity among the values to write"):
        write_images(tmp_path / f"a{suffix}", images, "MR")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_disk_that_takes_no_more(tmp_path: Path, suffix: str) -> None:
    """A limit on the size of files stands for it: here NumPy's error has no number."""
    path = tmp_path / f"a{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(InputError) as caught:
            write_images(path, IMAGES, "MR")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(", expected a place that can be written to")
    assert "written, " in said or "file too large" in said
    assert ".tmp" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder that nobody can write to")
@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_folder_that_cannot_be_written_to(suffix: str) -> None:
    path = Path("/sys/kernel") / f"a{suffix}"
    with pytest.raises(InputError) as caught:
        write_images(path, IMAGES, "MR")
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(", expected a place that can be written to")
    assert ".tmp" not in said
