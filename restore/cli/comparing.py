"""How `restore compare` runs on pictures, and what it prints."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from restore.cli.console import SOME_FAILED, print_error, print_line, progress_bar, without_bar
from restore.cli.figures import Shown, evaluations_of, print_table, write_csv
from restore.cli.outputs import files_of_options, unnamed
from restore.errors import InputError, expected_one_of
from restore.report.columns import COLUMNS, Column
from restore.tasks.settings import parse_scale, resolve_settings, scalar

if TYPE_CHECKING:
    from restore.io.files import InputFile
    from restore.tasks.compare import Comparison
    from restore.tasks.record import Row
    from restore.tasks.settings import Settings
    from restore.tasks.task import Task

FAILED = Column("failed", "{:.0f}")
# What a line of JSON has, null where the method failed.
FIGURES = ("psnr", "ssim", "residual", "evaluations", "seconds")


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
    from restore.io.files import check_written, expand_inputs
    from restore.tasks.classical import serving
    from restore.tasks.compare import Comparison
    from restore.tasks.plan import Plan, affordable
    from restore.tasks.record import CONFIGURATION, ROWS

    task = _task(verb)
    shown.check()
    if not inputs:
        raise InputError("no INPUT; expected clean pictures or a folder of them (or --exact)")
    values = {name: value for name, value in given.items() if value is not None}
    if "quality" in values and task.name != "dejpeg":
        raise InputError(f"--quality: not for {task.name}, only for dejpeg")
    if "quality" in values and "simulate" not in values:
        raise InputError(
            "--quality: of the JPEG that is made of a clean picture; "
            "expected none with --reference or --measured"
        )
    if "scale" in values:
        values["scale"] = parse_scale(values["scale"])
    settings: Settings = resolve_settings(values, None, task.name)
    read = files_of_options(settings, None)
    found = expand_inputs(inputs, recursive=recursive)
    sources = _pictures(found, read, folder, recursive=recursive)[:count]
    written = [("--report", shown.report), ("--csv", shown.csv)]
    if folder is not None:
        written += [("--output", folder / name) for name in (ROWS, CONFIGURATION)]
    check_written([(name, path) for name, path in written if path is not None], [*sources, *read])
    if "reference" in values and len(sources) > 1:
        raise InputError(f"--reference: one picture for {len(sources)} inputs; expected one input")
    if crop is not None and "simulate" not in values:
        raise InputError("--crop: only of clean pictures, not with --reference or --measured")
    own = parameters_of(parameters)
    budget = evaluations_of(nfe, own)
    compared = tuple(dict.fromkeys(names))
    if not compared:
        compared, reasons = affordable(serving(task.name), budget, own)
        if reasons and not shown.quiet:
            print_error(f"--nfe {nfe}: left out {'; '.join(reasons)}")
    plan = Plan(
        names=compared,
        settings=settings,
        nfe=budget,
        samples=samples or 1,
        crop=crop,
        parameters=own,
    )
    with _folder(folder) as place:
        comparison = Comparison(task, plan, place, overwrite=overwrite)
        made = [(source, file) for source in sources for file in comparison.written(source)]
        check_written(made, [*sources, *read])
        failed = _run(comparison, sources, shown)
        summary = comparison.summary(sources)
        if shown.csv is not None:
            write_csv(shown.csv, comparison.rows(sources))
        if shown.report is not None:
            _write_report(shown.report, comparison, sources, summary)
    if shown.json_lines:
        for row in summary:
            typer.echo(json.dumps(row))
    elif not shown.quiet and any(row["count"] for row in summary):
        rows = [row | {"failed": row["failed"] or None} for row in summary]
        print_table(rows, ("method",), COLUMNS | {"failed": FAILED})
    return SOME_FAILED if failed else 0


def _pictures(
    found: Sequence[InputFile], read: Sequence[Path], folder: Path | None, *, recursive: bool
) -> list[Path]:
    """The inputs: what is named, and of folders all but options' files and earlier results.

    Raises:
        InputError: if there are none, or results would be searched.
    """
    results = None if folder is None else Path(os.path.realpath(folder))

    def is_result(one: InputFile) -> bool:
        if one.folder is None or results in (None, Path(os.path.realpath(one.folder))):
            return False
        return results in Path(os.path.realpath(one.path)).parents

    searched = {Path(os.path.realpath(one.folder)) for one in found if one.folder is not None}
    if recursive and results in searched:
        raise InputError(
            f"--output {folder}: is searched for inputs, and the results would be among them; "
            "expected another folder, or no --recursive"
        )
    sources = [one.path for one in unnamed(found, read) if not is_result(one)]
    if not sources:
        raise InputError(
            f"{found[0].folder}: no picture but an option's file or an earlier result; "
            "expected clean pictures"
        )
    return sources


def _task(verb: str | None) -> Task:
    from restore.tasks.registry import TASKS

    known = {name: task for name, task in TASKS.items() if name != "sample"}
    if verb not in known:
        found = "no --task" if verb is None else f"--task {verb}: unknown"
        raise InputError(f"{found}; {expected_one_of(known, verb or '')}")
    return known[verb]


def parameters_of(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """METHOD.NAME=VALUE as {method: {name: value}}.

    Raises:
        InputError: if one has another form, or is not finite.
    """
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

        told: set[str] = set()

        def on_note(source: Path, note: str) -> None:
            # Once: what is said of one picture is said of all that are like it.
            if note not in told and not (shown.quiet or shown.json_lines):
                told.add(note)
                with without_bar(progress):
                    print_line(f"{source}: {note}")

        for row, _ in comparison.run(sources, on_step, on_note):
            failed = failed or "error" in row
            progress.update(overall, advance=1, note=f"{Path(row['input']).name} {row['method']}")
            progress.reset(bar)
            if shown.json_lines:
                typer.echo(json.dumps(row | {name: row.get(name) for name in FIGURES}))
            elif "error" in row:
                with without_bar(progress):
                    print_error(_failure(row))
    return failed


def _failure(row: Row) -> str:
    from restore.tasks.record import UNREAD

    source, error = row["input"], str(row["error"])
    if row["method"] != UNREAD:
        return f"{source}: {row['method']}: {error}"
    return error if error.startswith(f"{source}: ") else f"{source}: {error}"


def _write_report(
    path: Path, comparison: Comparison, sources: Sequence[Path], summary: Sequence[Row]
) -> None:
    from restore.report.comparison import inputs_of, write_comparison

    title = f"restore compare: {comparison.task.name}"
    configuration = comparison.configuration | {"versions": comparison.versions}
    write_comparison(path, title, inputs_of(comparison, sources), summary, configuration)
