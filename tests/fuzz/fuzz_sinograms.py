"""Small CT scans of every kind of file, as bytes, and what reads them when damaged."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import h5py
import numpy as np
import tifffile
from fuzz_readers import kind_of_refusal

from restore.errors import InputError
from restore.io.sinogram import read_sinogram

_VIEWS, _ROWS, _CELLS = 5, 2, 8


def sinogram_seeds() -> dict[str, bytes]:
    """All of them by file name."""
    rng = np.random.default_rng(5)
    counts = rng.integers(100, 900, (_VIEWS, _ROWS, _CELLS)).astype(np.uint16)
    fields = rng.integers(900, 999, (2, _ROWS, _CELLS)).astype(np.float32)
    theta = np.arange(_VIEWS) * 36.0
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for packed in (False, True):
            with h5py.File(folder / ("packed.h5" if packed else "exchange.h5"), "w") as file:
                more = {"chunks": True, "compression": "gzip"} if packed else {}
                file.create_dataset("exchange/data", data=counts, **more)
                file.create_dataset("exchange/data_white", data=fields, **more)
                file["exchange/data_dark"] = np.zeros_like(fields)
                file["exchange/theta"] = theta
                file["exchange/theta"].attrs["units"] = "degrees"
        np.savez(folder / "scan.npz", sinogram=counts[:, 0] / 500, theta=theta)
        for path in folder.iterdir():
            made[path.name] = path.read_bytes()
    for name, array, kind in (
        ("float.tif", counts / np.float32(500), None),
        ("packed.tif", counts, "zlib"),
    ):
        out = io.BytesIO()
        tifffile.imwrite(out, array, photometric="minisblack", compression=kind, metadata=None)
        made[name] = out.getvalue()
    return made


def sinogram_outcome(path: Path) -> str:
    """As `fuzz_readers.outcome`."""
    try:
        found = read_sinogram(path)
    except InputError as error:
        message = str(error)
        assert "\n" not in message, message
        assert str(path.with_suffix("")) in message, message
        return kind_of_refusal(message.replace(str(path.parent), ""))
    assert found.data.ndim == 3
    assert np.isfinite(found.data).all()
    return "read"
