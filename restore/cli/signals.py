"""What ends a run from outside."""

from __future__ import annotations

import signal

INTERRUPTED = 130
# `timeout`, a scheduler, a terminal that is closed (not on Windows).
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def end_as_by_ctrl_c() -> None:
    """Let a run that is ended from outside clean up."""
    ending = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]

    def end(_number: int, _frame: object) -> None:
        for number in ending:
            signal.signal(number, signal.SIG_IGN)  # a second one must not end the cleaning up
        raise KeyboardInterrupt

    for number in ending:
        signal.signal(number, end)


def ignore_signals() -> None:
    """Go on to the end of what is being ended, also when the terminal is closed meanwhile."""
    for number in (signal.SIGINT, *ENDING):
        signal.signal(number, signal.SIG_IGN)
