from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from restore.tasks.memory import peak_memory

MEGABYTE = 2**20


def test_the_peak_is_of_this_piece_of_work_alone() -> None:
    device = torch.device("cpu")
    before = peak_memory(device)()
    if before is None:
        pytest.skip("this system does not tell the peak of a process")
    peak = peak_memory(device)
    array = np.ones(200 * MEGABYTE, np.uint8)
    del array
    used = peak()
    # What was freed does not count for the next piece.
    after = peak_memory(device)()
    assert used is not None
    assert after is not None
    assert used - before > 150 * MEGABYTE
    assert used - after > 100 * MEGABYTE


def test_the_peak_is_in_bytes() -> None:
    used = peak_memory(torch.device("cpu"))()
    if used is None:
        pytest.skip("this system does not tell the peak of a process")
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert used == pytest.approx(resident, rel=0.01)
