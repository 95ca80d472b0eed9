"""What is never read: pipes and devices, for what may never come, and what is locked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restore.errors import InputError
from restore.io.dicom import read_dicom
from restore.io.kernel import read_kernel
from restore.io.kspace import read_kspace
from restore.io.nifti import read_nifti
from restore.io.picture import read_picture
from restore.io.sinogram import read_sinogram
from restore.io.tiff_stack import read_tiff_stack

readers = pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.png", read_picture),
        ("a.npy", read_picture),
        ("a.npy", read_kernel),
        *((f"a{suffix}", read_kspace) for suffix in (".npy", ".npz", ".mat", ".h5", ".hdr")),
        *((f"a{suffix}", read_sinogram) for suffix in (".npy", ".tif", ".h5")),
        ("a.tif", read_tiff_stack),
        ("a.nii", read_nifti),
        ("a.dcm", read_dicom),
    ],
)


@readers
def test_a_pipe(tmp_path: Path, name: str, read: Callable[[Path], Any]) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=rf"/{name}: .*expected"):
        read(tmp_path / name)


@readers
def test_a_locked_file(
    tmp_path: Path, name: str, read: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"locked")
    monkeypatch.setattr(os, "access", lambda *_: False)  # to the administrator none is
    with pytest.raises(InputError, match=rf"/{name}: permission denied, expected a readable file$"):
        read(tmp_path / name)
