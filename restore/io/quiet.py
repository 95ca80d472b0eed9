"""Keeping the C libraries' own complaints off the terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE = threading.RLock()


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops what libtiff and libjpeg print about a file; they raise besides, which is reported.

    It acts on the file descriptor, because these libraries know nothing of `sys.stderr`. Where
    there is no standard error, nothing is done. One thread at a time: two that restore each other's
    descriptor would lose it for good.
    """
    with _ONE:
        yield from _quietened()


def _quietened() -> Iterator[None]:
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
