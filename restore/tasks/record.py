"""The folder of a comparison: its configuration, a line for each row, a folder for each input."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from restore.errors import InputError
from restore.io.atomic import atomic_path
from restore.io.files import folded
from restore.io.json_text import parse_json
from restore.own import is_own, load_own
from restore.prior.checkpoints.card import sha256_of
from restore.tasks.sidecar import software

ROWS, CONFIGURATION = "rows.jsonl", "configuration.json"
UNREAD = "*"
"""Stands for a method in the row of an input that could not be read."""

Row = dict[str, Any]


class Record:
    """What is done already. A row has `input` and `method`, and `error` where that failed.

    `rows.jsonl` gets a line as each row is made, so that what an interruption costs is at most the
    row at hand. With a row its input's SHA-256 is kept, and the name of the folder of its pictures.

    Attributes:
        versions: of the software that the rows were made with.

    Args:
        folder: made when missing.
        configuration: what the rows depend on besides input and method; JSON.
        overwrite: begin anew whatever is there.

    Raises:
        InputError: if the folder holds rows of another configuration.
    """

    def __init__(
        self, folder: Path, configuration: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        self.folder = folder
        self._rows: dict[tuple[str, str], Row] = {}
        self._places: dict[str, str] = {}
        self.versions = software()
        if overwrite:
            (folder / ROWS).unlink(missing_ok=True)
        # Without a row nothing depends on the configuration that is there.
        elif (folder / ROWS).exists():
            before = self._check(folder / CONFIGURATION, configuration)
            self._read(folder / ROWS)
            self.versions = _with_earlier(before.get("versions"), self.versions)
        with atomic_path(folder / CONFIGURATION) as temporary:
            content = dict(configuration) | {"versions": self.versions}
            temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    def place(self, source: Path) -> Path:
        """The folder of an input: called by its stem, numbered where something else has that."""
        name, number = source.stem, 1
        taken = name in (".", "..", ROWS, CONFIGURATION)
        while taken or self._places.setdefault(folded(name), str(source)) != str(source):
            taken = False
            number += 1
            name = f"{source.stem}-{number}"
        return self.folder / name

    def done(self, source: Path, methods: Sequence[str]) -> dict[str, Row]:
        """The rows of an input as it is now, by method; those that failed are not done."""
        content = content_of(source)
        return {
            row["method"]: row
            for row in self.rows([source], methods)
            if "error" not in row and row["input_sha256"] == content
        }

    def keep(self, source: Path, row: Row) -> Row:
        """Add a row; returns it as it was kept."""
        row = row | {"input_sha256": content_of(source), "folder": self.place(source).name}
        self._remember(row)
        with (self.folder / ROWS).open("a", encoding="utf-8") as lines:
            lines.write(_line(row))
        return row

    def rows(self, inputs: Sequence[Path], methods: Sequence[str]) -> list[Row]:
        """The rows of these, in this order; of an input that could not be read one row."""
        keys = [(str(source), method) for source in inputs for method in (UNREAD, *methods)]
        return [self._rows[key] for key in keys if key in self._rows]

    def _check(self, path: Path, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """What the folder's rows depend on, if it is the same."""
        try:
            before = parse_json(path.read_text())
            if not isinstance(before, dict):
                raise ValueError(f"a JSON {type(before).__name__}")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: {error}; expected the configuration of a comparison, or --overwrite"
            ) from error
        if different := _difference(before, configuration):
            name, old, new = different
            raise InputError(
                f"{self.folder}: holds a comparison with another {name} "
                f"({_short(old)}, now {_short(new)}); expected the same, another folder, "
                "or --overwrite"
            )
        return before

    def _read(self, path: Path) -> None:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                self._remember(parse_json(line))
            except (ValueError, TypeError, KeyError):
                continue  # the line that an interrupted run was writing
        with atomic_path(path) as temporary:
            text = "".join(map(_line, self._rows.values()))
            temporary.write_text(text, encoding="utf-8")

    def _remember(self, row: Row) -> None:
        # An input either has rows or one that says why it could not be read.
        source, method, folder = row["input"], row["method"], row["folder"]
        if method == UNREAD:
            self._rows = {key: old for key, old in self._rows.items() if key[0] != source}
        else:
            self._rows.pop((source, UNREAD), None)
        self._rows[source, method] = row
        self._places[folded(folder)] = source


def content_of(path: Path) -> str | None:
    """The hash of a file; None where it cannot be read, which its reader explains better."""
    try:
        return sha256_of(path)
    except OSError:
        return None


def own_sha256(name: str) -> str | None:
    """The hash of the file that a `package.module:name` is defined in; None of any other name."""
    if not is_own(name):
        return None
    load_own(name)
    file = sys.modules[name.partition(":")[0]].__file__
    return None if file is None else content_of(Path(file))


def _with_earlier(before: object, now: Mapping[str, str]) -> dict[str, str]:
    """The versions of rows that were made at several times: "2.12.0, then 2.13.0"."""
    known, versions = before if isinstance(before, Mapping) else {}, dict[str, str]()
    for name, version in now.items():
        runs = str(known.get(name, version)).split(", then ")
        versions[name] = ", then ".join(runs if runs[-1] == version else [*runs, version])
    return versions


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _difference(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[str, object, object] | None:
    """The first value of `now` that `before` has not: its name, and what it was and is."""
    for name in (*now, *(before.keys() - now.keys() - {"versions"})):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if inner := _difference(old, new):
                return inner
        elif old != new:
            return name, old, new
    return None


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
