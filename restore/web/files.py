"""The folders of the page's visitors: what they upload and get, until they leave."""

from __future__ import annotations

import math
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from restore.errors import InputError

if TYPE_CHECKING:
    from restore.web.run import Run

PREFIX = "session-"
# An upload that no handler has taken by then was given up.
ABANDONED_SECONDS = 600.0
# How long a server that ends waits for what runs.
LEAVING_SECONDS = 2.0
_SECOND_RUN = "a run of yours is not over yet; expected its end, or Cancel"


class Session:
    """One visitor: a folder whose name nobody else knows, and at most one run at a time.

    Args:
        folder: is made.
        check_room: refuses, with an `InputError`, where there is no room for more files.
    """

    def __init__(self, folder: Path, check_room: Callable[[], None]) -> None:
        folder.mkdir(parents=True)
        self._check_room = check_room
        self.folder = folder.resolve()
        self.run: Run[Any] | None = None
        self.used = time.time()
        self._starting, self._closed = threading.Lock(), False
        self._folders: dict[str, list[Path]] = {}
        # By purpose and upload, the files that were made of them.
        self._taken: dict[tuple[str, Path], Path] = {}

    @property
    def busy(self) -> bool:
        """Whether a run of this session waits or works."""
        return self.run is not None and self.run.alive

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Start the run of this session, alone.

        Raises:
            InputError: if there is one, or one is being started.
        """
        if not self._starting.acquire(blocking=False):
            raise InputError(_SECOND_RUN)
        try:
            if self.busy:
                raise InputError(_SECOND_RUN)
            if self._closed:
                raise InputError("the page was closed; expected it to be opened again")
            yield
        finally:
            self._starting.release()

    def take(self, upload: str | os.PathLike[str] | None, purpose: str) -> Path:
        """A file of this session: as it is, or an upload that is taken in under its own name.

        A page that is quick names the upload after it was taken, so that stays where it is for as
        long as the file that was made of it.

        Args:
            upload: what the page named.
            purpose: of the file, which comes in the place of the last one for it.

        Raises:
            InputError: if none is named, or it is gone.
        """
        if not upload:
            raise InputError("nothing is uploaded; expected a file")
        return self.take_all([upload], purpose)[0]

    def take_all(self, uploads: Sequence[str | os.PathLike[str]], purpose: str) -> list[Path]:
        """The same of files that belong together, in one folder."""
        named = [Path(upload).resolve() for upload in uploads]
        inside = [self._taken.get((purpose, path), path) for path in named]
        if any(path.is_relative_to(self.folder) for path in inside):
            if all(path.is_relative_to(self.folder) and path.is_file() for path in inside):
                return inside
            raise InputError("the file is not here any more; expected it to be uploaded again")
        if not all(self._is_upload(path) for path in named):
            raise InputError("that is no upload; expected one")
        folder = self.fresh(purpose)
        for path in named:
            try:
                (folder / path.name).hardlink_to(path)
            except OSError as error:
                raise InputError("the upload is gone; expected it again") from error
            self._taken[purpose, path] = folder / path.name
        return [folder / path.name for path in named]

    def fresh(self, purpose: str) -> Path:
        """A new folder, in the place of the last one for the same purpose.

        During a run, which may still read that, both stay until the next time.

        Raises:
            InputError: if all visitors together keep too much.
        """
        folder = self.folder / f"{purpose}-{token_hex(4)}"
        folder.mkdir()
        old = self._folders.setdefault(purpose, [])
        if not self.busy:
            for path in old:
                self._delete(path)
            old.clear()
        old.append(folder)
        self._check_room()
        return folder

    @property
    def folders(self) -> list[Path]:
        """Where its files are, which nobody is told."""
        return [folder for of in self._folders.values() for folder in of]

    def close(self) -> None:
        """Cancel the run and delete everything, with what that run may yet write."""
        with self._starting:
            self._closed = True
        self._delete(self.folder)
        if self.run is not None:
            self.run.cancel()
            self.run.then(lambda: self._delete(self.folder))

    def _is_upload(self, path: Path) -> bool:
        # Gradio puts them in the root, in folders that are called by the content.
        folder = path.parent
        return folder.parent == self.folder.parent and not folder.name.startswith(PREFIX)

    def _delete(self, folder: Path) -> None:
        """Delete a folder and the uploads that its files were made of."""
        gone = {key: file for key, file in self._taken.items() if file.is_relative_to(folder)}
        for key in gone:
            del self._taken[key]
        kept = {upload for _, upload in self._taken}
        for (_, upload), file in gone.items():
            with suppress(OSError):
                # Not another's upload of the same content, which has come in its place.
                if upload not in kept and upload.samefile(file):
                    upload.unlink()
                    upload.parent.rmdir()  # where no other file of this content is
        shutil.rmtree(folder, ignore_errors=True)


class Store:
    """The sessions, in folders under one root; uploads arrive in the root itself.

    Args:
        root: exists.
        most_bytes: that the files of all visitors may have before another is refused.
    """

    def __init__(self, root: Path, most_bytes: float = math.inf) -> None:
        self.root, self._most_bytes = root.resolve(), most_bytes
        self._sessions: dict[str, Session] = {}
        # How many pages of a name are open.
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def session(self, name: str | None) -> Session:
        """The session of a browser's page, made when there is none.

        Args:
            name: what the page calls itself; never part of a path.
        """
        self.sweep()
        with self._lock:
            key = name or ""
            if key not in self._sessions:
                self._sessions[key] = Session(
                    self.root / f"{PREFIX}{token_hex(16)}", self.check_room
                )
            self._sessions[key].used = time.time()
            return self._sessions[key]

    @contextmanager
    def page(self, name: str) -> Iterator[None]:
        """Know that a browser's page is open: what it has here is not given up."""
        with self._lock:
            self._open[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[name] -= 1
                self._open += Counter()  # without those of which there is none

    def close(self, name: str | None) -> None:
        """End a session: its run is cancelled, its files are deleted."""
        with self._lock:
            session = self._sessions.pop(name or "", None)
        if session is not None:
            session.close()
        self.sweep()

    def check_room(self, coming: int = 0) -> None:
        """Refuse more files where there is no room, after those are swept that were given up.

        Args:
            coming: bytes of what is not yet here.

        Raises:
            InputError: likewise.
        """
        if self._held() + coming > self._most_bytes:
            self.sweep()
            if self._held() + coming > self._most_bytes:
                raise InputError("the server holds too many files; expected another try later")

    def _held(self) -> int:
        """Bytes of all files; what has several names counts once."""
        sizes: dict[tuple[int, int], int] = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                with suppress(FileNotFoundError):  # deleted at this moment
                    found = Path(folder, name).stat()
                    sizes[found.st_dev, found.st_ino] = found.st_size
        return sum(sizes.values())

    def close_all(self) -> None:
        """End every session, and wait a moment for their runs."""
        runs = [session.run for session in self._sessions.values() if session.run is not None]
        for name in list(self._sessions):
            self.close(name)
        latest = time.monotonic() + LEAVING_SECONDS
        for run in runs:
            run.wait(max(0.0, latest - time.monotonic()))

    def without_paths(self, text: str) -> str:
        """A text without the folders of visitors' files, of which it keeps the names."""
        end = re.escape(os.sep)
        return re.sub(rf"{re.escape(str(self.root))}{end}([^{end}\s]+{end}){{1,2}}", "", text)

    def sweep(self, now: float | None = None) -> None:
        """Delete uploads that were given up, and sessions of no page: its last words came late."""
        latest = (time.time() if now is None else now) - ABANDONED_SECONDS
        with self._lock:
            gone = [
                name
                for name, session in self._sessions.items()
                if session.used < latest and not session.busy and not self._open[name]
            ]
            closed = [self._sessions.pop(name) for name in gone]
        for session in closed:
            session.close()
        for path in self.root.iterdir():
            try:
                recent = path.stat().st_mtime > latest
            except FileNotFoundError:  # taken at this moment
                continue
            if recent or path.name.startswith(PREFIX):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
