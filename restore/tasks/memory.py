"""Memory: the peak of a piece of work, and what there is for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(device: torch.device) -> Callable[[], int | None]:
    """Begin to watch; the function returned gives the peak since, in bytes.

    On an accelerator of CUDA that is what torch allocated there. Otherwise it is the resident
    memory of the whole process, which Linux tells; None elsewhere.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: int(torch.cuda.max_memory_allocated(device))
    try:
        _RESET.write_text("5")  # the peak becomes what is resident now
    except OSError:
        return lambda: None
    return _resident_peak


def _resident_peak() -> int | None:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def available_memory(device: torch.device) -> int | None:
    """Bytes that work on a device may still take; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if not _MEMINFO.exists():
        return None
    for line in _MEMINFO.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
