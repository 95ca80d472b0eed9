"""A run of the engine in a thread of its own: queued, followed, cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from restore.errors import InputError
from restore.web.preview import preview_of

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
# The least time between two previews, each of which is copied off the device.
PREVIEW_SECONDS = 0.5
POLL_SECONDS = 0.1


class Cancelled(BaseException):
    """The visitor has had enough, or has left.

    No `Exception`: what goes on after an error, as a comparison does, does not go on after this.
    """


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        before: runs of others that come first; 0 once it works.
        step: evaluations done, or iterations of what comes before them.
        total: of those in all; 0 while unknown.
        seconds: since it began with those.
        preview: the current estimate as a `data:` address.
    """

    before: int = 0
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    preview: str | None = None

    @property
    def left(self) -> float | None:
        """Seconds that are left; None while unknown."""
        return self.seconds / self.step * (self.total - self.step) if self.step else None


class Line:
    """Who waits for the engine, which does one run at a time, first come first served.

    Args:
        waiting: how many may wait behind the run that is done.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting = waiting
        self._line: list[object] = []
        self._moved = threading.Condition()

    @property
    def busy(self) -> bool:
        """Whether a run has the engine."""
        return bool(self._line)

    @contextmanager
    def turn(self, while_waiting: Callable[[int], None]) -> Iterator[None]:
        """Hold the engine.

        Args:
            while_waiting: called with the number of those before; an exception leaves the line.

        Raises:
            InputError: if too many wait.
        """
        ticket = object()
        with self._moved:
            if len(self._line) > self._waiting:
                raise InputError(f"{self._waiting} runs wait already; expected another try later")
            self._line.append(ticket)
        try:
            with self._moved:
                while before := self._line.index(ticket):
                    while_waiting(before)
                    self._moved.wait(POLL_SECONDS)
            yield
        finally:
            with self._moved:
                self._line.remove(ticket)
                self._moved.notify_all()


class Run(Generic[T]):
    """One piece of work, started at once.

    Args:
        line: where it waits for its turn.
        work: given `on_step`, which it calls after each evaluation of the network; the exception
            that this raises after `cancel` must reach the caller.
    """

    def __init__(self, line: Line, work: Callable[[Callable[[int, int, Tensor], None]], T]) -> None:
        self._line, self._work = line, work
        self._cancelled = threading.Event()
        self.progress = Progress()
        self._began = self._seen = self._shown = 0.0
        self._result: T | None = None
        self._error: BaseException | None = None
        self._actions: list[Callable[[], None]] = []
        self._over, self._ending = False, threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it waits or works."""
        return self._thread.is_alive()

    def cancel(self) -> None:
        """End the run after the evaluation that it is in."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> None:
        """Return when it has ended, or after so long."""
        self._thread.join(seconds)

    def then(self, action: Callable[[], None]) -> None:
        """Do something when it has ended; at once, if it has."""
        with self._ending:
            if not self._over:
                self._actions.append(action)
                return
        action()

    def events(self) -> Iterator[Progress]:
        """How far it is, whenever that has changed, until it ends."""
        last = None
        while self._thread.is_alive():
            if self.progress is not last:
                last = self.progress
                yield last
            self._thread.join(POLL_SECONDS)

    def result(self) -> T:
        """What the work gave.

        Raises:
            Cancelled: if it was.
            Exception: what the work raised.
        """
        self.wait()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def _run(self) -> None:
        try:
            with self._line.turn(self._wait_for):
                self._check()
                self._began = time.monotonic()
                self.progress = Progress()
                self._result = self._work(self._on_step)
        except (Exception, Cancelled) as error:  # reaches the visitor through `result`
            self._error = error
        with self._ending:
            self._over = True
        for action in self._actions:
            action()

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _wait_for(self, before: int) -> None:
        self._check()
        if before != self.progress.before:
            self.progress = Progress(before)

    def _on_step(self, step: int, total: int, x_hat: Tensor) -> None:
        self._check()
        now = time.monotonic()
        if step <= self.progress.step:  # of another part, which takes its own time
            self._began = self._seen
        self._seen = now
        preview = self.progress.preview
        if preview is None or now - self._shown > PREVIEW_SECONDS:
            preview, self._shown = preview_of(x_hat), now
        self.progress = Progress(0, step, total, now - self._began, preview)
