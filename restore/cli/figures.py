"""Where the figures of a comparison go: a table, or a file of comma-separated values."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from restore.cli.console import print_whole
from restore.errors import InputError
from restore.io.atomic import atomic_path, check_regular
from restore.io.files import check_place
from restore.report.columns import Column, used

OWN_BUDGET = "own"
DEFAULT_BUDGET = 100

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """What was asked for.

    Attributes:
        report: a page.
        csv: the rows.
        json_lines: instead of a table.
        quiet: neither.
    """

    report: Path | None
    csv: Path | None
    json_lines: bool
    quiet: bool

    def check(self) -> None:
        """Refuse places where nothing can be written, before any work is done.

        Raises:
            InputError: likewise.
        """
        for path in (self.report, self.csv):
            if path is not None:
                check_place(path)
                check_regular(path)


def evaluations_of(text: str | None, parameters: Mapping[str, Mapping[str, Any]]) -> int | None:
    """`--nfe`: evaluations of a sample at most; None for each method's own number.

    Args:
        text: as it was given.
        parameters: of single methods; those that have steps are bound by them alone.

    Raises:
        InputError: if it is neither, or a method has steps besides.
    """
    if text is None:
        return DEFAULT_BUDGET
    for name, values in parameters.items():
        if "steps" in values and text != OWN_BUDGET:
            raise InputError(f"--nfe {text} and --set {name}.steps: expected one of them")
    if text == OWN_BUDGET:
        return None
    if not (text.isdecimal() and int(text) > 0):
        raise InputError(f"--nfe {text}: expected a number from 1, or `{OWN_BUDGET}`")
    return int(text)


def print_table(rows: Sequence[Row], keys: Sequence[str], columns: Mapping[str, Column]) -> None:
    """A table of the columns that have any value; means with their standard errors."""
    from rich.table import Table

    columns = used(columns, rows)
    table = Table(*(key.replace("_std", "") for key in keys))
    for column in columns.values():
        table.add_column(column.head, justify="right")
    for row in rows:
        table.add_row(
            *(str(row[key]) for key in keys),
            *(column.text(row, name) for name, column in columns.items()),
        )
    print_whole(table)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with a column for each name that any of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    with atomic_path(path) as temporary:
        # Names of files come back as the bytes that they are.
        temporary.write_text(
            text.getvalue(), encoding="utf-8", errors="surrogateescape", newline=""
        )
