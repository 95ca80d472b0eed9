from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The pictures are tiny: a second thread only waits for the first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def vectors(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """What the script of `test_NAME_agreement.py` stored in NAME.npz."""
    name = request.path.stem.removeprefix("test_").removesuffix("_agreement")
    with np.load(Path(__file__).with_name(f"{name}.npz")) as stored:
        return dict(stored)
