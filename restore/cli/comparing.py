"""How `restore compare` runs and what it prints."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from restore.cli.console import SOME_FAILED, print_error, progress_bar
from restore.errors import InputError
from restore.io.atomic import atomic_path
from restore.report.columns import COLUMNS, Column, used
from restore.tasks.settings import parse_scale, parse_sigma, resolve_settings, scalar

if TYPE_CHECKING:
    from restore.methods.base import Method
    from restore.report.comparison import Input
    from restore.tasks.compare import Comparison
    from restore.tasks.exact import ExactRow
    from restore.tasks.record import Row
    from restore.tasks.task import Task

OWN_BUDGET = "own"
DEFAULT_BUDGET = 100
EXACT_SAMPLES = 250
EXACT = "exact"

FAILED = Column("failed", "{:.0f}")
EXACT_COLUMNS = {
    "steps": Column("evaluations", "{}"),
    "mean_error": Column("mean error", "{:.3f}"),
    "std_ratio_observed": Column("std observed", "{:.3f}"),
    "std_ratio_null": Column("std null", "{:.3f}"),
    "sliced_w2": Column("sliced W2", "{:.3f}"),
    "weight": Column("weight", "{:.3f}"),
    "residual": Column("residual", "{:.2g}"),
}


@dataclass(frozen=True)
class Shown:
    """Where the figures go."""

    report: Path | None
    csv: Path | None
    json_lines: bool
    quiet: bool


def compare_pictures(
    shown: Shown,
    inputs: Sequence[Path],
    verb: str | None,
    given: Mapping[str, Any],
    *,
    names: Sequence[str],
    nfe: str | None,
    samples: int | None,
    crop: int | None,
    count: int | None,
    parameters: Sequence[str],
    recursive: bool,
    folder: Path | None,
    overwrite: bool,
) -> int:
    """Compare on pictures; returns the exit code.

    Raises:
        InputError: one line that names the option or the file.
    """
    from restore.io.files import expand_inputs
    from restore.tasks.compare import Comparison, Plan, fitting

    task = _task(verb)
    _check_places(shown)
    if not inputs:
        raise InputError("no INPUT; expected clean pictures or a folder of them (or --exact)")
    values = {name: value for name, value in given.items() if value is not None}
    if "scale" in values:
        values["scale"] = parse_scale(values["scale"])
    sources = [one.path for one in expand_inputs(inputs, recursive=recursive)][:count]
    if "reference" in values and len(sources) > 1:
        raise InputError(f"--reference: one picture for {len(sources)} inputs; expected one input")
    if crop is not None and "simulate" not in values:
        raise InputError("--crop: only of clean pictures, not with --reference or --measured")
    plan = Plan(
        names=tuple(dict.fromkeys(names)) or fitting(task),
        settings=resolve_settings(values, None, task.name),
        nfe=_budget(nfe),
        samples=samples or 1,
        crop=crop,
        parameters=_parameters(parameters),
    )
    with _folder(folder) as place:
        comparison = Comparison(task, plan, place, overwrite=overwrite)
        failed = _run(comparison, sources, shown)
        summary = comparison.summary(sources)
        if shown.csv is not None:
            _write_csv(shown.csv, comparison.rows(sources))
        if shown.report is not None:
            _write_report(shown.report, comparison, sources, summary)
    if shown.json_lines:
        for row in summary:
            typer.echo(json.dumps(row))
    elif not shown.quiet and any(row["count"] for row in summary):
        rows = [row | {"failed": row["failed"] or None} for row in summary]
        _print_table(rows, ("method",), COLUMNS | {"failed": FAILED})
    return SOME_FAILED if failed else 0


def compare_exactly(
    shown: Shown,
    *,
    names: Sequence[str],
    operators: Sequence[str],
    sigmas: Sequence[str],
    sigma_range: str,
    prior: str,
    steps: int | None,
    nfe: str | None,
    samples: int | None,
    seed: int,
) -> int:
    """Compare with exact posteriors; returns the exit code.

    Raises:
        InputError: one line that names the option.
    """
    from restore.methods.registry import find_method, methods
    from restore.tasks.exact import NOISES, OPERATORS, PRIORS, exact_rows

    for operator in operators:
        if operator not in OPERATORS:
            raise InputError(f"--operator {operator}: expected one of {', '.join(OPERATORS)}")
    if prior not in PRIORS:
        raise InputError(f"--prior {prior}: expected one of {', '.join(PRIORS)}")
    if shown.report is not None:
        raise InputError("--report: of pictures; expected --csv or --json with --exact")
    _check_places(shown)
    levels = [parse_sigma(text, sigma_range) for text in sigmas]
    if "auto" in levels:
        raise InputError("--sigma auto: nothing to estimate; expected a level with --exact")
    chosen = [_exact_method(name, steps, _budget(nfe)) for name in names or methods()]
    rows: list[ExactRow] = []
    for row in exact_rows(
        [method for method in chosen if method is not None],
        operators or OPERATORS,
        [float(level) for level in levels] or NOISES,
        prior=prior,
        samples=samples or EXACT_SAMPLES,
        seed=seed,
    ):
        rows.append(row)
        if shown.json_lines and row.method != EXACT:
            typer.echo(json.dumps(row.as_dict()))
    made = {row.method for row in rows}
    missing = [name for name in names if find_method(name).name not in made]
    if missing:
        raise InputError(f"--method {', '.join(missing)}: fits none of these problems")
    if shown.csv is not None:
        _write_csv(shown.csv, [row.as_dict() for row in rows])
    if not (shown.json_lines or shown.quiet):
        keys = ("operator", "noise_std", "method")
        _print_table([row.as_dict() for row in rows], keys, EXACT_COLUMNS)
    return 0


def _check_places(shown: Shown) -> None:
    from restore.io.files import check_place

    for path in (shown.report, shown.csv):
        if path is not None:
            check_place(path)


def _task(verb: str | None) -> Task:
    from restore.tasks.registry import TASKS

    known = {name: task for name, task in TASKS.items() if name != "sample"}
    if verb not in known:
        found = "no --task" if verb is None else f"--task {verb}: unknown"
        raise InputError(f"{found}; expected one of {', '.join(known)}")
    return known[verb]


def _budget(text: str | None) -> int | None:
    if text is None:
        return DEFAULT_BUDGET
    if text == OWN_BUDGET:
        return None
    if not (text.isdecimal() and int(text) > 0):
        raise InputError(f"--nfe {text}: expected a number from 1, or `{OWN_BUDGET}`")
    return int(text)


def _parameters(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """METHOD.NAME=VALUE as {method: {name: value}}."""
    parameters: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        left, equals, text = pair.partition("=")
        method, dot, name = left.rpartition(".")
        if not (equals and dot and method and name):
            raise InputError(f"--set {pair}: expected METHOD.NAME=VALUE, such as ddrm.eta=1")
        value = scalar(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--set {pair}: expected a finite number")
        parameters.setdefault(method, {})[name.replace("-", "_")] = value
    return parameters


def _exact_method(name: str, steps: int | None, budget: int | None) -> Method | None:
    """The method with its steps; None where it serves no linear problem or the budget is too low.

    Raises:
        InputError: if the method is unknown or its parameters make no sense.
    """
    import dataclasses

    from restore.methods.registry import find_method

    try:
        method = find_method(name)()
        if steps is not None:
            return dataclasses.replace(method, steps=steps)  # type: ignore[type-var]
    except ValueError as error:
        raise InputError(f"--method {name}: {error}") from error
    try:
        return method if budget is None else method.within(budget)
    except ValueError as error:
        print_error(f"{name}: {error}")
        return None


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        try:
            given.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"--output {given}: {reason}; expected a folder") from error
        yield given
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _run(comparison: Comparison, sources: Sequence[Path], shown: Shown) -> bool:
    """Run it with progress; returns whether anything failed."""
    failed = False
    with progress_bar(visible=not (shown.quiet or shown.json_lines)) as progress:
        total = len(sources) * len(comparison.plan.names)
        overall = progress.add_task("methods", total=total, note="")
        bar = progress.add_task("steps", total=None, note="")

        def on_step(step: int, total: int, x_hat: object) -> None:  # noqa: ARG001
            progress.update(bar, completed=step, total=total)

        for row, _ in comparison.run(sources, on_step):
            failed = failed or "error" in row
            progress.update(overall, advance=1, note=f"{Path(row['input']).name} {row['method']}")
            progress.reset(bar)
            if shown.json_lines:
                typer.echo(json.dumps(row))
            elif "error" in row:
                print_error(f"{row['input']}: {row['method']}: {row['error']}")
    return failed


def _print_table(rows: Sequence[Row], keys: Sequence[str], columns: Mapping[str, Column]) -> None:
    """A table of the columns that have any value; means with their standard errors."""
    from rich.console import Console
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
    # As wide as it is: a terminal scrolls or wraps lines, and a program reads them whole.
    width = Console(width=1000).measure(table).maximum
    Console(width=width).print(table)


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def _write_report(
    path: Path, comparison: Comparison, sources: Sequence[Path], summary: Sequence[Row]
) -> None:
    from restore.report.comparison import write_comparison
    from restore.tasks.sidecar import software

    title = f"restore compare: {comparison.task.name}"
    configuration = comparison.configuration | {"versions": software()}
    write_comparison(path, title, _shown(comparison, sources), summary, configuration)


def _shown(comparison: Comparison, sources: Sequence[Path]) -> Iterator[Input]:
    """The inputs with all pictures, read one input at a time."""
    import numpy as np

    from restore.io.picture import read_picture
    from restore.report.comparison import Input, ShownMethod

    for source in sources:
        methods = []
        for row in comparison.rows([source]):
            there = "error" not in row
            picture = comparison.picture(source, row["method"])
            spread = comparison.spread(source, row["method"])
            several = there and row["samples"] > 1
            methods.append(
                ShownMethod(
                    method=row["method"],
                    picture=read_picture(picture).pixels if there else None,
                    std=np.load(spread, allow_pickle=False) if several else None,
                    row=row,
                )
            )
        measured, truth = comparison.shown(source)
        yield Input(name=source.name, measured=measured, truth=truth, shown=methods)
