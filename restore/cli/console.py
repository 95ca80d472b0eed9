"""What the user sees: progress on stderr, results on stdout, errors in one line."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import typer

from restore.cli.signals import INTERRUPTED
from restore.errors import FAILURES, InputError, in_one_line

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

USAGE_ERROR = 2
SOME_FAILED = 1


def print_line(text: str, *, err: bool = False) -> None:
    """One line; what a name may hold besides letters would break it, or steer the terminal."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    typer.echo("".join(shown), err=err)


def print_error(message: str) -> None:
    """One line on stderr, where there is one."""
    print_line(" ".join(message.splitlines()), err=True)


def print_whole(table: Table) -> None:
    """A table as wide as it is: a terminal scrolls or wraps lines, and a program reads them."""
    from rich.console import Console

    width = Console(width=1000).measure(table).maximum
    Console(width=width).print(table)


def run_command(body: Callable[[], int], *, debug: bool | None = None) -> None:
    """Run a command and leave with its exit code; an error becomes one line.

    Args:
        body: the command.
        debug: whether tracebacks are shown; None for a command that has no such option, where
            what nobody foresaw is one anyway.

    Raises:
        typer.Exit: always.
    """
    try:
        with _logged() if debug else nullcontext():
            code = body()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise  # a reader that has seen enough, which typer ends quietly
    except (InputError, OSError) as error:
        code = USAGE_ERROR
        print_error(told(error))
        if debug:
            traceback.print_exc()
    except Exception as error:
        if debug is None and not _is_out_of_memory(error):
            raise
        code = USAGE_ERROR
        print_error(unforeseen(error))
        if debug:
            traceback.print_exc()
    except KeyboardInterrupt:
        code = INTERRUPTED
        print_error("interrupted")
    raise typer.Exit(code)


def _is_out_of_memory(error: BaseException) -> bool:
    if not isinstance(error, (MemoryError, RuntimeError)):
        return False  # without the import of torch
    from restore.prior.tiled import is_out_of_memory

    return is_out_of_memory(error)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(self.format(record), err=True)


@contextmanager
def _logged() -> Iterator[None]:
    """Show the traceback of an error after which the command goes on."""
    handler = _ToStderr()
    FAILURES.addHandler(handler)
    FAILURES.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        FAILURES.removeHandler(handler)
        FAILURES.setLevel(logging.NOTSET)


def unforeseen(error: BaseException) -> str:
    """What is said of an error that is not about an input, as one in a model of the user's own."""
    if _is_out_of_memory(error):
        return "out of memory; expected more of it, or a smaller task"
    return f"{in_one_line(error)} (--debug shows where)"


def told(error: InputError | OSError) -> str:
    """What an error says, with the file that a failure of the system is about."""
    if isinstance(error, InputError) or error.strerror is None:
        return str(error)
    unnamed = "the current folder" if error.errno == errno.ENOENT else "standard output"
    return f"{error.filename or unnamed}: {error.strerror.lower()}"


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
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    shown = visible and console.is_terminal and not console.is_dumb_terminal
    with Progress(
        *columns, console=console, disable=not shown, transient=True,
        redirect_stdout=False, redirect_stderr=False,
    ) as progress:  # fmt: skip
        yield progress


@contextmanager
def without_bar(progress: Progress) -> Iterator[None]:
    """Take the bars away while something is printed, which would stand on their lines."""
    # Stopped and started again they would clear as many lines as they had: those just printed.
    shown = [task.id for task in progress.tasks if task.visible]
    for bar in shown:
        progress.update(bar, visible=False)
    progress.refresh()
    try:
        yield
    finally:
        for bar in shown:
            progress.update(bar, visible=True)
