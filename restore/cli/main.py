"""Entry point of the command `restore`: what has to be in order before the rest is imported."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from restore.cli.signals import INTERRUPTED, end_as_by_ctrl_c, ignore_signals


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file's name may hold what the terminal's encoding does not.
            stream.reconfigure(errors="backslashreplace")
    end_as_by_ctrl_c()
    _share_processors()
    try:
        from restore.cli.app import run

        run()
    except KeyboardInterrupt:  # within the imports
        ignore_signals()
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # a terminal that is closed now must not change that
            ignore_signals()
        raise


def _share_processors() -> None:
    """Let threads of torch that wait sleep, and not keep the processor for milliseconds.

    Beside another program they wait for each other at every operation
    (docs/decisions/0022-threads-that-wait.md). GNU's OpenMP reads this when it is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
