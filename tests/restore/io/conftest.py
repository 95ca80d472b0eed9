from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    """The folder of real pictures beside the repository; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"no real pictures at {SHARED}")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2024)


@pytest.fixture
def smooth() -> np.ndarray:
    """A colour picture [40, 56, 3] uint8 without noise, which JPEG keeps well."""
    rows, columns = np.mgrid[0:40, 0:56]
    channels = [
        128 + 100 * np.sin(rows / 9.0) * np.cos(columns / 13.0),
        60 + 2.5 * columns,
        200 - 3.0 * rows,
    ]
    return np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)
