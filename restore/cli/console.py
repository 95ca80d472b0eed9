"""What the user sees: progress on stderr, results on stdout, errors in one line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from restore.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

USAGE_ERROR = 2
SOME_FAILED = 1
INTERRUPTED = 130


def print_error(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(" ".join(message.splitlines()) + "\n")


def run_command(body: Callable[[], int], *, debug: bool = False) -> None:
    """Run a command and leave with its exit code; an error becomes one line.

    Raises:
        typer.Exit: always.
    """
    try:
        code = body()
    except InputError as error:
        code = USAGE_ERROR
        print_error(str(error))
        if debug:
            traceback.print_exc()
    except KeyboardInterrupt:
        code = INTERRUPTED
        print_error("interrupted")
    raise typer.Exit(code)


@contextmanager
def progress_bar(*, visible: bool) -> Iterator[Progress]:
    """A bar with the time left on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    shown = visible and console.is_terminal
    with Progress(*columns, console=console, disable=not shown, transient=True) as progress:
        yield progress
