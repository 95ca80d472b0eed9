"""Memory: the peak of a piece of work, and what there is for one."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from restore.errors import InputError, counted

# Of a result in float32: what a run holds at the least.
_COPIES = 8
# Of one slice's k-space: what is made of it at a time, at the least.
_SLICE_COPIES = 8
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
    _give_back()
    try:
        _RESET.write_text("5")  # the peak becomes what is resident now
    except OSError:
        return lambda: None
    return _resident_peak


def _give_back() -> None:
    """Let the system have what earlier work has freed, or it would count as that of the next."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # of the GNU C library
        trim(0)


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


def check_room(name: str, shape: tuple[int, float, float], device: torch.device) -> None:
    """Refuse a result that cannot be held, before it is begun.

    Args:
        name: what asks for it, a file or an option.
        shape: of the result, (C, H, W).
        device: where it is made.

    Raises:
        InputError: if the memory that is left is too small.
    """
    channels, height, width = shape
    needed = 4 * _COPIES * channels * height * width
    _check(f"{name}: a result of {width:.0f}x{height:.0f}", needed, "a smaller one", device)


def check_scan_room(name: str, shape: tuple[int, ...], arrays: int) -> None:
    """Refuse a scan that cannot be held on the host, before anything is made of it.

    Args:
        name: the file.
        shape: of the k-space, (slices, coils, rows, columns), complex.
        arrays: how many of that size are still to be made.

    Raises:
        InputError: if the memory that is left is too small.
    """
    slices, coils, rows, columns = shape
    needed = 8 * (slices * arrays + _SLICE_COPIES) * coils * rows * columns
    what = f"{name}: a scan of {counted(slices, 'slice')} of {coils}x{rows}x{columns}"
    _check(what, needed, "fewer slices (--slice)", torch.device("cpu"))


def _check(what: str, needed: float, expected: str, device: torch.device) -> None:
    there = available_memory(device)
    if there is not None and needed > there:
        raise InputError(
            f"{what} needs {needed / 1e9:.3g} GB of memory, and {there / 1e9:.3g} GB are free; "
            f"expected {expected}"
        )
