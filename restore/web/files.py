"""The folders of the page's visitors: what they upload and get, until they leave."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from restore.errors import InputError

if TYPE_CHECKING:
    from restore.web.run import Run

# An upload that no handler has taken by then was given up.
ABANDONED_SECONDS = 600.0
# How long a run that is cancelled may take for the evaluation that it is in.
LEAVING_SECONDS = 60.0


class Session:
    """One visitor: a folder whose name nobody else knows, and at most one run at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.run: Run[Any] | None = None
        self._folders: dict[str, list[Path]] = {}

    @property
    def busy(self) -> bool:
        """Whether a run of this session waits or works."""
        return self.run is not None and self.run.alive

    def take(self, upload: str | os.PathLike[str], purpose: str) -> Path:
        """Move an uploaded file here, under its own name, in the place of the last one.

        Raises:
            InputError: if it is gone.
        """
        target = self.fresh(purpose) / Path(upload).name
        try:
            Path(upload).replace(target)
        except OSError as error:
            raise InputError("the upload is gone; expected it again") from error
        with suppress(OSError):
            Path(upload).parent.rmdir()
        return target

    def owned(self, path: str | os.PathLike[str] | None) -> Path:
        """A file that is in this session.

        Raises:
            InputError: if none is given, or it is not here.
        """
        if not path:
            raise InputError("nothing is uploaded; expected a file")
        found = Path(path).resolve()
        if not (found.is_relative_to(self.folder.resolve()) and found.is_file()):
            raise InputError("the file is not here any more; expected it to be uploaded again")
        return found

    def fresh(self, purpose: str) -> Path:
        """A new folder, in the place of the last one for the same purpose.

        During a run, which may still read that, both stay until the next time.
        """
        folder = self.folder / f"{purpose}-{token_hex(4)}"
        folder.mkdir()
        kept = [*self._folders.get(purpose, []), folder]
        if not self.busy:
            for old in kept[:-1]:
                shutil.rmtree(old, ignore_errors=True)
            kept = [folder]
        self._folders[purpose] = kept
        return folder

    def close(self) -> None:
        """Cancel the run and delete everything."""
        if self.run is not None:
            self.run.cancel()
            self.run.wait(LEAVING_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


class Store:
    """The sessions, in folders under one root; uploads arrive in the root itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def session(self, name: str | None) -> Session:
        """The session of a browser's page, made when there is none.

        Args:
            name: what the page calls itself; never part of a path.
        """
        with self._lock:
            key = name or ""
            if key not in self._sessions:
                self._sessions[key] = Session(self.root / f"session-{token_hex(16)}")
            return self._sessions[key]

    def close(self, name: str | None) -> None:
        """End a session: its run is cancelled, its files are deleted."""
        with self._lock:
            session = self._sessions.pop(name or "", None)
        if session is not None:
            session.close()
        self.sweep()

    def close_all(self) -> None:
        """End every session."""
        for name in list(self._sessions):
            self.close(name)

    def sweep(self, now: float | None = None) -> None:
        """Delete uploads that were given up."""
        latest = (time.time() if now is None else now) - ABANDONED_SECONDS
        for path in self.root.iterdir():
            if path.name.startswith("session-") or path.stat().st_mtime > latest:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
