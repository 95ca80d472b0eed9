"""What the page's handlers share: the sessions, the engine's line, and what may be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from restore.errors import InputError
from restore.web.files import Session, Store
from restore.web.run import Line, Run

if TYPE_CHECKING:
    from restore.methods.base import StepCallback

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for.

    Attributes:
        upload_bytes: of one file.
        pixels: of a result, times the samples that are in memory at once.
        waiting: runs that wait behind the one that is done.
    """

    upload_bytes: int = 50 * 2**20
    pixels: int = 25_000_000
    waiting: int = 16

    def check(self, width: int, height: int, samples: int = 1) -> None:
        """Refuse results that would fill the memory.

        Raises:
            InputError: with more pixels than allowed.
        """
        if width * height * samples > self.pixels:
            many = f" times {samples} samples" if samples > 1 else ""
            raise InputError(
                f"the result would have {width}x{height} pixels{many}; expected at most "
                f"{self.pixels / 1e6:g} million (restore serve --max-megapixels)"
            )


@dataclass(frozen=True)
class Service:
    """The page's server, as its handlers see it.

    Attributes:
        store: the sessions.
        limits: what a visitor may ask for.
        device: where the network runs.
        models: paths of models that are offered besides the bundled ones.
        line: where runs wait.
    """

    store: Store
    limits: Limits = field(default_factory=Limits)
    device: str = "auto"
    models: tuple[str, ...] = ()
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "line", Line(self.limits.waiting))

    def start(self, session: Session, work: Callable[[StepCallback], T]) -> Run[T]:
        """Start a run of a session: within what is `alone`."""
        run: Run[Any] = Run(self.line, work)
        session.run = run
        return run


Begin = Callable[Concatenate[Service, Session, P], Run[T]]


def alone(begin: Begin[P, T]) -> Begin[P, T]:
    """Begin no second run of a session: not while one goes on, nor while one begins."""

    @wraps(begin)
    def guarded(service: Service, session: Session, /, *args: P.args, **kwargs: P.kwargs) -> Run[T]:
        with session.starting():
            return begin(service, session, *args, **kwargs)

    return guarded
