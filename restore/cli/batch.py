"""`restore batch`: a restoring verb on many workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class Workers:
    """The processes that files are spread over.

    Attributes:
        count: how many; None is as many as the machine has cores or cards for.
    """

    count: int | None


_ASKED: ContextVar[Workers | None] = ContextVar("workers", default=None)


def asked_workers() -> Workers | None:
    """What the verb that runs is spread over; None where it restores one file after the other."""
    return _ASKED.get()


@contextmanager
def _spread(workers: Workers) -> Iterator[None]:
    token = _ASKED.set(workers)
    try:
        yield
    finally:
        _ASKED.reset(token)


def batch(
    context: typer.Context,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes. [default: one for each GPU, or for each core with 2 GB of memory]",
        ),
    ] = None,
) -> None:
    """Restore folders with several workers.

    Takes any restoring verb with its options and makes the same files, several at a time. Results
    are reported as they finish, and files that failed are listed at the end. With --skip-existing
    an interrupted run continues where it stopped.
    """
    context.with_resource(_spread(Workers(workers)))
