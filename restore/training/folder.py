"""The folder of a training run: its states, whose run it is, and that nobody else works in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from pydantic import ValidationError

from restore.errors import InputError
from restore.io.atomic import write_bytes
from restore.prior.models import CARD, WEIGHTS
from restore.training.recipe import Recipe

CHECKPOINT, TRUNK, RECIPE, LOG = "checkpoint.pt", "trunk.pt", "recipe.json", "log.jsonl"
_LOCK = ".lock"


class RunFolder:
    """`checkpoint.pt`, the last state, with the recipe and the pictures that it is of.

    Beside it lie `trunk.pt` (the state at which the learning rate began to fall: a finished run
    that is given more steps goes on from there), `recipe.json` (the checkpoint's recipe, to be
    read) and `log.jsonl`. Each is replaced whole or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Work in it alone. Of a run that comes to nothing, nothing stays.

        Raises:
            InputError: if another run works in it, or it cannot be written to.
        """
        made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: {error.strerror}, expected a folder to write"
            ) from error
        lock = FileLock(self.path / _LOCK)
        try:
            # A file system without locks, as some of clusters, has one run there as well.
            with suppress(NotImplementedError):
                lock.acquire(blocking=False)
        except Timeout:
            raise InputError(
                f"{self.path}: another run works in it; expected its end, or another output folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.path}: {error.strerror}, expected a folder to write"
            ) from error
        try:
            yield
        finally:
            lock.release()
            if not (self.path / CHECKPOINT).exists():
                (self.path / _LOCK).unlink(missing_ok=True)
                with suppress(OSError):  # something else is there
                    if made:
                        self.path.rmdir()

    def recipe(self) -> Recipe | None:
        """The recipe of the run that is there; else as `last`."""
        found = self.last()
        return None if found is None else found[1]

    def last(self, device: torch.device | str = "cpu") -> tuple[dict[str, Any], Recipe] | None:
        """The last state of the run that is there, and its recipe; None in a folder without one.

        Raises:
            InputError: if what is there is damaged, or a model or a part of a run, which would be
                lost.
        """
        if not (self.path / CHECKPOINT).exists():
            for name in (CARD, WEIGHTS, RECIPE, TRUNK):
                if (self.path / name).exists():
                    raise InputError(
                        f"{self.path}: holds {name} and no {CHECKPOINT} of a run to go on with; "
                        "expected another output folder, which begins anew"
                    )
            return None
        return self.read(CHECKPOINT, device)

    def write(self, name: str, state: dict[str, Any], recipe: Recipe) -> None:
        """Write a state; with a checkpoint, its recipe to be read.

        Raises:
            InputError: if it cannot be written.
        """
        # Into memory first: of a full disk torch says something of its own.
        content = io.BytesIO()
        torch.save(state | {"recipe": recipe.model_dump_json()}, content)
        write_bytes(self.path / name, content.getbuffer())
        if name == CHECKPOINT:
            recipe.save(self.path / RECIPE)

    def read(self, name: str, device: torch.device | str = "cpu") -> tuple[dict[str, Any], Recipe]:
        """A state and the recipe of its run.

        Raises:
            InputError: if it is missing, cut or damaged.
        """
        try:
            state = torch.load(self.path / name, map_location=device, weights_only=True)
            if isinstance(state["step"], int):
                return dict(state), Recipe.model_validate_json(state["recipe"])
        except ValidationError as error:
            raise Recipe.refused(str(self.path / name), error) from None
        except Exception as error:  # torch and its unpickler raise anything on a damaged file
            raise self.damaged(name) from error
        raise self.damaged(name)

    def damaged(self, name: str) -> InputError:
        """What is said of a state that is none."""
        return InputError(
            f"{self.path / name}: missing, cut or damaged, expected the state of the run in this "
            "folder; another output folder begins anew"
        )
