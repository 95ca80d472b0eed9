"""What a run gives to its visitor: files to download, pictures to look at, figures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from restore.io.atomic import atomic_path

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        record: as the command line's JSON has it, without folders.
        consistent: whether the result fits the measurement.
        notes: what the visitor should know.
        files: to download, the result first.
        shown: PNGs of the input (where it can be shown) and of the result, of equal size.
        spread: a PNG of the standard deviation of several samples.
        report: a page of HTML.
    """

    record: dict[str, Any]
    consistent: bool
    notes: list[str]
    files: list[Path]
    shown: tuple[Path | None, Path]
    spread: Path | None = None
    report: str | None = None


def without_folders(text: str, folders: Iterable[Path]) -> str:
    """A text without these folders in the paths that it names.

    What a visitor gets names files as they are beside each other in the visitor's own folder.
    """
    for folder in folders:
        plain = f"{folder}{os.sep}"
        # JSON escapes the backslashes of Windows, and letters beyond ASCII.
        for written in (json.dumps(plain)[1:-1], plain):
            text = text.replace(written, "").replace(escape(written), "")
    return text


def tidy_sidecar(path: Path, folders: Iterable[Path]) -> None:
    """Let a sidecar name files without the folders of the server, so that it repeats the run."""
    text = without_folders(path.read_text(encoding="utf-8"), folders)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def tidy_record(record: T, folders: Iterable[Path]) -> T:
    """The same of a record, or of several."""
    tidied: T = json.loads(without_folders(json.dumps(record), folders))
    return tidied
