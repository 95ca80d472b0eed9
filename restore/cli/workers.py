"""Processes that restore files side by side, with Ray."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from restore.cli.batch import Workers
from restore.cli.outputs import Job, attempted, undoing
from restore.cli.signals import ENDING, ignore_signals
from restore.errors import InputError

if TYPE_CHECKING:
    import torch

    from restore.cli.restoring import Restores
    from restore.tasks.run import Result
    from restore.tasks.settings import RunSettings

# What a worker takes before it has seen a picture, and for one of a megapixel.
_MEMORY = 2 * 10**9
# The least that Ray accepts; what workers send are a few lines a file.
_OBJECT_STORE = 80 * 2**20
# Seconds that workers have to take away what they began when a run is interrupted.
_LAST_WORDS = 10.0
_INTERRUPTING = (signal.SIGINT, *ENDING)


def restored_by_workers(
    jobs: Sequence[Job],
    opened: Callable[[Any], Restores],
    settings: RunSettings,
    suffix: str,
    workers: Workers,
) -> Generator[tuple[Job, Result | InputError], None, None]:
    """Yield each job with what came of it, in the order in which they end.

    Whatever stops one file is an error of that file. Interrupted, the workers take away what
    they began.

    Args:
        jobs: what to do.
        opened: loads the verb with its settings and its model.
        settings: of the run.
        suffix: of the outputs.
        workers: how many.

    Raises:
        InputError: if Ray is not installed, a card is asked for by its number, or no worker is
            left and none can be started.
    """
    from restore.tasks.device import choose_device

    ray = _ray()
    device = choose_device(settings.device)
    if device.index is not None:
        raise InputError(
            f"--device {settings.device}: a batch gives every worker a card, expected cuda"
        )
    count = min(workers.count or _default_count(device), len(jobs))
    with _started(ray, count):
        pool = _Pool(ray, count, device, (opened, settings))
        waiting = list(reversed(jobs))
        try:
            while waiting or pool.running:
                while waiting and pool.idle:
                    pool.begin(waiting.pop(), suffix)
                if not pool.running:
                    raise InputError(
                        f"no worker could start ({pool.failure}); expected fewer --workers"
                    )
                yield pool.next_ended()
        finally:
            ignore_signals()
            pool.stop()


def _default_count(device: torch.device) -> int:
    import torch

    from restore.tasks.memory import available_memory

    if device.type != "cpu":
        return torch.cuda.device_count() if device.type == "cuda" else 1
    memory = available_memory(device)
    cores = torch.get_num_threads()
    return cores if memory is None else max(1, min(cores, memory // _MEMORY))


class _Pool:
    """Workers, and what each of them does."""

    def __init__(
        self, ray: Any, count: int, device: torch.device,
        verb: tuple[Callable[[Any], Restores], RunSettings],
    ) -> None:  # fmt: skip
        import torch

        cards = min(1.0, torch.cuda.device_count() / count) if device.type == "cuda" else 0
        threads = max(1, torch.get_num_threads() // count)
        self._ray = ray
        # Of what a worker dies; Ray ends who takes the last of the memory.
        self._deaths = (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError)
        self._kind = ray.remote(_Worker).options(num_cpus=1, num_gpus=cards)
        self._arguments = (*verb, str(Path.cwd()), list(sys.path), threads)
        self._pids: dict[Any, int] = {}
        self.failure = ""
        self.idle = self._hired(count)
        self.running: dict[Any, tuple[Job, Any, Callable[[], None]]] = {}

    def _hired(self, count: int) -> list[Any]:
        """Those of so many new workers that could start."""
        workers = [self._kind.remote(*self._arguments) for _ in range(count)]
        numbers = [worker.pid.remote() for worker in workers]
        for worker, number in zip(workers, numbers, strict=True):
            try:
                self._pids[worker] = self._ray.get(number)
            except self._deaths as error:
                self.failure = str(error).strip().splitlines()[-1].strip()
        return [worker for worker in workers if worker in self._pids]

    def begin(self, job: Job, suffix: str) -> None:
        """Give a job to a worker that is idle."""
        worker = self.idle.pop()
        self.running[worker.restore.remote(job, suffix)] = (job, worker, undoing(job))

    def next_ended(self) -> tuple[Job, Result | InputError]:
        """Wait for a job to end; a worker that died is replaced, where that is possible."""
        (ended,), _ = self._ray.wait(list(self.running))
        job, worker, undo = self.running[ended]
        outcome: Result | InputError
        try:
            outcome = self._ray.get(ended)
        except self._deaths:
            undo()
            outcome = InputError(
                f"{job.source}: its worker died, most likely for want of memory; expected fewer "
                "--workers"
            )
            self.idle += self._hired(1)
        else:
            self.idle.append(worker)
        del self.running[ended]
        return job, outcome

    def stop(self) -> None:
        """Interrupt what still runs, and wait until what it had begun is taken away."""
        for _, worker, _ in self.running.values():
            with suppress(OSError):  # it has ended
                os.kill(self._pids[worker], signal.SIGTERM)
        if self.running:
            self._ray.wait(list(self.running), num_returns=len(self.running), timeout=_LAST_WORDS)
        # Those that had no time to do it, as on Windows, where a signal ends them at once.
        for _, _, undo in self.running.values():
            undo()


class _Worker:
    """One process: a verb with its model, as the command that started it would have it."""

    def __init__(
        self, opened: Callable[[Any], Restores], settings: RunSettings,
        folder: str, path: list[str], threads: int,
    ) -> None:  # fmt: skip
        import torch

        os.chdir(folder)
        sys.path[:] = path
        torch.set_num_threads(threads)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: clean up
        self._restorer = opened(settings)

    def restore(self, job: Job, suffix: str) -> Result | InputError:
        """What comes of a job."""
        return attempted(self._restorer, job, suffix)

    def pid(self) -> int:
        """The number of the process."""
        return os.getpid()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to its makers otherwise
    os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))  # it keeps one in the home otherwise
    try:
        import ray
    except ImportError as error:
        raise InputError(
            'restore batch: ray is not installed, expected it: `pip install ".[batch]"` in a clone'
        ) from error
    return ray


@contextmanager
def _started(ray: Any, count: int) -> Iterator[None]:
    # Ray tells of a worker that died on standard output, where the results go.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    short = "/tmp" if Path("/tmp").is_dir() else None  # the names of sockets have to be short
    with (
        _signals_as_before(),
        tempfile.TemporaryDirectory(
            prefix="restore-", dir=short, ignore_cleanup_errors=True
        ) as folder,
    ):
        try:
            _start(ray, count, folder)
            yield
        finally:
            ignore_signals()
            ray.shutdown()


def _start(ray: Any, count: int, folder: str) -> None:
    """Start Ray, whose own handler of SIGTERM, which leaves at once, stays no longer than that."""
    ending = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address="local", num_cpus=count, include_dashboard=False, log_to_driver=False,
            logging_level="error", object_store_memory=_OBJECT_STORE, _temp_dir=folder,
            _node_ip_address="127.0.0.1",
        )  # fmt: skip
    except SystemExit as ended:
        raise KeyboardInterrupt from ended
    signal.signal(signal.SIGTERM, ending)


@contextmanager
def _signals_as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in _INTERRUPTING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
