"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restore.errors import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Bytes; with less a disk is full.
_LEAST_FREE = 1 << 16


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to it on success, removed on any failure.

    The folder is made when missing. The temporary name keeps the suffix, because libraries choose
    the format by it.

    Args:
        path: the file to write; one that exists is replaced.

    Yields:
        the path to write to; nothing is there yet.

    Raises:
        InputError: the target is not a regular file, the disk is full, the folder cannot be
            written to or made.
    """
    target = Path(path)
    # Short and independent of the name, which may be as long as the file system allows.
    temporary = target.parent / f".{uuid.uuid4().hex[:12]}.tmp{target.suffix}"
    try:
        check_regular(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        if not _is_about(error, target, temporary):
            raise
        # Of pydicom, the number is that of the error's cause.
        code = error.errno or getattr(error.__cause__, "errno", None)
        # NumPy has no number: it says how much of an array was written.
        if code in _FULL or (code is None and _free(target.parent) < _LEAST_FREE):
            raise InputError(f"{target}: no space left on the disk, nothing was written") from error
        # The words of h5py would name the temporary file.
        reason = (os.strerror(code) if code else str(error)).lower()
        raise InputError(f"{target}: {reason}, expected a place that can be written to") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_regular(target: Path) -> None:
    """Refuse to replace what is no file.

    Raises:
        InputError: likewise.
    """
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise InputError(f"{target}: is {kind}, expected the name of a file to write")


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Writes `data` to `path` whole or not at all.

    Raises:
        InputError: as `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _is_about(error: OSError, target: Path, temporary: Path) -> bool:
    """Whether the error comes from writing here, and not from another file read meanwhile."""
    if error.filename is None:
        return True
    name = Path(os.fsdecode(error.filename))
    return name in (target, temporary) or name in temporary.parents


def _free(folder: Path) -> float:
    """Bytes that are left on the disk of a folder; infinitely many where nothing says."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return float("inf")
