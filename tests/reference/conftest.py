from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def vectors(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """What the script of `test_NAME_agreement.py` stored in NAME.npz."""
    name = request.path.stem.removeprefix("test_").removesuffix("_agreement")
    with np.load(Path(__file__).with_name(f"{name}.npz")) as stored:
        return dict(stored)
