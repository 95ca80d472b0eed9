"""How a restoring verb runs: inputs to outputs, one after the other, with progress and results."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from restore.cli.batch import asked_workers
from restore.cli.console import (
    SOME_FAILED,
    print_error,
    print_line,
    progress_bar,
    run_command,
    without_bar,
)
from restore.cli.options import CommonOptions
from restore.cli.outputs import (
    Job,
    attempted,
    check_files,
    files_of_options,
    gives_way,
    jobs_to_do,
    unnamed,
)
from restore.errors import InputError, counted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from restore.io.files import InputFile
    from restore.tasks.run import Result
    from restore.tasks.settings import RunSettings


Outcomes = Generator[tuple["Job", "Result | InputError"], None, None]
"""Each job with what came of it, as it ends."""

# Options of a config file that are no settings of the run: they name its outputs.
NAMING = ("ext", "suffix")


def run_verb(
    verb: str,
    inputs: Sequence[Path],
    common: CommonOptions,
    own: Callable[[], dict[str, Any]],
    kind: Callable[[str], Kind] | None = None,
) -> None:
    """Run one verb over its inputs and leave with the exit code.

    Args:
        verb: name of the task.
        inputs: files and folders.
        common: the common options.
        own: gives the verb's own options by settings name, None where not given; called inside,
            so that its errors are printed as the others.
        kind: what is particular to the files of the verb; pictures, unless given.
    """
    run_command(
        lambda: _run(verb, inputs, common, own(), (kind or _pictures)(verb)), debug=common.debug
    )


class Restores(Protocol):
    """A verb with its settings and its model."""

    def check(self, source: Path) -> str:
        """Refuse a file that fails at once, and name its method; done by a dry run."""
        ...

    def restore(
        self,
        source: Path,
        output: Path,
        *,
        suffix: str,
        on_step: Callable[[int, int, Any], None] | None = None,
    ) -> Result:
        """Restore one file."""
        ...


@dataclass(frozen=True)
class Kind:
    """What differs between verbs of pictures and verbs of scans.

    Attributes:
        settings: what the user may choose.
        open: the verb with its settings and its loaded model.
        check_output: refuses an output that cannot be written.
        suffixes: what counts as an input in a folder.
        degraded: gives the suffix of what `--simulate` writes.
        extension: of an output that nobody named, as `--ext` has it.
        whole: tells a folder that is one input.
        besides: gives what a run writes that those of pictures do not.
    """

    settings: type[RunSettings]
    open: Callable[[Any], Restores]
    check_output: Callable[[Path], object]
    suffixes: Collection[str]
    degraded: Callable[[], str]
    extension: str = "auto"
    whole: Callable[[Path], bool] | None = None
    besides: Callable[[Path, Any], list[Path]] = lambda _output, _settings: []


def _pictures(verb: str) -> Kind:
    from restore.io.files import PICTURE_SUFFIXES
    from restore.io.picture import output_format
    from restore.tasks.settings import Settings

    def opened(settings: Settings) -> Restores:
        from restore.tasks.photo import Restorer
        from restore.tasks.registry import TASKS

        return Restorer(TASKS[verb], settings)

    def degraded() -> str:
        from restore.tasks.registry import TASKS

        return TASKS[verb].degraded_suffix

    return Kind(Settings, opened, output_format, PICTURE_SUFFIXES, degraded)


def _run(
    verb: str, inputs: Sequence[Path], common: CommonOptions, own: dict[str, Any], kind: Kind
) -> int:
    from restore.io.files import plan_outputs
    from restore.tasks.settings import options_of, resolve_settings

    given = common.given() | {name: value for name, value in own.items() if value is not None}
    settings = resolve_settings(given, common.config, verb, kind.settings, NAMING)
    naming = options_of(common.config, verb, NAMING)
    ext = common.ext or naming.get("ext", "auto")
    suffix = naming.get("suffix", f"_{verb}") if common.suffix is None else common.suffix
    _check_naming(common)
    beside = partial(_beside, suffix=suffix, kind=kind)
    read = files_of_options(settings, common.config)
    made = (suffix, "_degraded") if settings.simulate else (suffix,)
    sources = _sources(inputs, kind, made, read, recursive=common.recursive)
    ext = kind.extension if ext == "auto" else ext
    outputs = plan_outputs(sources, verb, output=common.output, suffix=suffix, ext=ext)
    jobs = [
        Job(source.path, output, tuple(beside(output, settings)))
        for source, output in zip(sources, outputs, strict=True)
    ]
    for job in jobs:
        kind.check_output(job.output)
    if common.quality is not None:
        _check_quality(common.quality, jobs)
    check_files(jobs, read, common.report, common.config)
    alone = len(jobs) == 1
    jobs = jobs_to_do(
        jobs, verb, kind.settings, beside, report=common.report, overwrite=common.overwrite,
        skip_existing=common.skip_existing, quiet=common.quiet,
    )  # fmt: skip
    restorer = kind.open(settings)
    if common.dry_run:
        return _show_plan(jobs, verb, settings, restorer.check, alone=alone, as_json=common.json)
    workers = asked_workers()
    if workers is None or not jobs:
        return _run_jobs(jobs, partial(_one_by_one, jobs, restorer, suffix), common, alone=alone)
    del restorer  # it has shown that the settings are good
    from restore.cli.workers import restored_by_workers

    def spread(_: Progress) -> Outcomes:
        return restored_by_workers(jobs, kind.open, settings, suffix, workers)

    return _run_jobs(jobs, spread, common, alone=alone)


def _check_naming(common: CommonOptions) -> None:
    """Refuse options that name an output differently from `--output`, where that is a file."""
    from restore.io.files import is_file_name

    output = common.output
    if output is None or not is_file_name(output):
        return
    if common.suffix is not None:
        raise InputError(
            f"--suffix {common.suffix}: --output {output} is a whole name; expected one of them"
        )
    kinds = [suffix[1:].lower() for suffix in Path(output).suffixes]  # as of .nii.gz
    if common.ext not in (None, "auto", *kinds):
        raise InputError(
            f"--ext {common.ext}: --output {output} is of another kind; expected one of them"
        )


def _check_quality(quality: int, jobs: Sequence[Job]) -> None:
    """Refuse a quality that no file has which is written."""
    from restore.io.encode import FORMATS, WITH_QUALITY

    suffixes = {file.suffix.lower() for job in jobs for file in job.files}
    if not any(FORMATS.get(suffix) in WITH_QUALITY for suffix in suffixes):
        raise InputError(
            f"--quality {quality}: {jobs[0].output} is no JPEG or WebP; expected one, "
            "as by --ext jpg"
        )


def _show_plan(
    jobs: Sequence[Job],
    verb: str,
    settings: RunSettings,
    check: Callable[[Path], str],
    *,
    alone: bool,
    as_json: bool,
) -> int:
    """Say what would be done, and what would fail at once."""
    settled = settings.model_dump(mode="json", exclude_none=True)
    failed = []
    for job in jobs:
        try:
            method = check(job.source)
        except InputError as error:
            failed.append(_told(job.source, error, alone=alone, as_json=as_json))
        else:
            plan = {
                "input": str(job.source),
                "output": str(job.output),
                "task": verb,
                "method": method,
                "settings": settled,
            }
            typer.echo(json.dumps(plan))
    for message in failed:
        print_error(message)
    return SOME_FAILED if failed else 0


def _sources(
    inputs: Sequence[Path],
    kind: Kind,
    made: Sequence[str],
    read: Sequence[Path],
    *,
    recursive: bool,
) -> list[InputFile]:
    """The inputs, and of folders the files but those that options name."""
    from restore.io.files import expand_inputs

    found = expand_inputs(
        inputs, recursive=recursive, suffixes=kind.suffixes, made_suffixes=made, whole=kind.whole
    )
    sources = unnamed(found, read)
    if not sources:
        raise InputError(
            f"{found[0].folder}: no picture in this folder but those of options, expected at "
            "least one"
        )
    return sources


def check_single(output: Path, *, read: Sequence[Path] = (), overwrite: bool) -> None:
    """Refuse an output, or its sidecar, that may not be written, before any work is done.

    Args:
        output: the only one of a verb.
        read: what the verb reads.
        overwrite: whether it may exist.

    Raises:
        InputError: likewise.
    """
    from restore.io.files import check_place, check_written, is_there, sidecar_path

    sidecar = sidecar_path(output)
    check_written([("--output", output), ("--output", sidecar)], read, "--output")
    check_place(output)
    for file in (output, sidecar):
        if is_there(file) and not overwrite and not gives_way(file, output):
            raise InputError(f"{file}: exists already, expected --overwrite")


def _beside(output: Path, settings: RunSettings, suffix: str, kind: Kind) -> list[Path]:
    """What a run writes besides its output."""
    from restore.io.files import degraded_path, numbered, sidecar_path, std_paths

    files = [sidecar_path(output), *numbered(output, settings.samples or 0)]
    if settings.samples and settings.save_std:
        files += std_paths(output)
    if settings.simulate:
        files.append(degraded_path(output, suffix, kind.degraded()))
    return files + kind.besides(output, settings)


def _one_by_one(
    jobs: Sequence[Job], restorer: Restores, suffix: str, progress: Progress
) -> Outcomes:
    """Each job with what came of it."""
    for job in jobs:
        bar = progress.add_task(job.source.name, total=None, note="")
        outcome = attempted(restorer, job, suffix, _show_step(progress, bar))
        yield job, outcome
        progress.remove_task(bar)


def _run_jobs(
    jobs: Sequence[Job],
    outcomes: Callable[[Progress], Outcomes],
    common: CommonOptions,
    *,
    alone: bool,
) -> int:
    # Workers end in an order of their own; what is told at the end is in that of the inputs.
    failed: dict[Path, str] = {}
    results: dict[Path, Result] = {}
    visible = not (common.quiet or common.json)
    with progress_bar(visible=visible) as progress, closing(outcomes(progress)) as ended:
        overall = progress.add_task("inputs", total=len(jobs), note="", visible=len(jobs) > 1)
        for job, outcome in ended:
            if isinstance(outcome, InputError):
                failed[job.output] = _told(job.source, outcome, alone=alone, as_json=common.json)
                if common.debug:
                    traceback.print_exception(outcome)
            else:
                results[job.output] = outcome
                with without_bar(progress):
                    _print_result(outcome, common)
            progress.advance(overall)
    if common.report is not None and results:
        from restore.report.page import write_report

        write_report(common.report, [results[j.output] for j in jobs if j.output in results])
    for job in jobs:
        if job.output in failed:
            print_error(failed[job.output])
    return SOME_FAILED if failed else 0


def _told(source: Path, error: InputError, *, alone: bool, as_json: bool) -> str:
    """Why an input failed, which ends the run of the only one.

    Of several the line begins with which: one about a mask, say, does not tell.
    """
    told = str(error)
    if not alone and not told.startswith(str(source)):
        told = f"{source}: {told}"
    if as_json:
        typer.echo(json.dumps({"input": str(source), "error": told}))
    if alone:
        raise error
    return told


def _show_step(progress: Progress, bar: TaskID) -> Any:
    def show(step: int, total: int, x_hat: object) -> None:  # noqa: ARG001
        progress.update(bar, completed=step, total=total)

    return show


def _print_result(result: Result, common: CommonOptions) -> None:
    record = result.record
    if common.json:
        typer.echo(json.dumps(record, allow_nan=False))
        return
    if common.quiet:
        return
    for note in result.notes:
        print_line(f"{record['input']}: {note}")
    fits = "consistent" if result.consistent else "NOT CONSISTENT"
    print_line(
        f"{record['input']} -> {record['output']}  {record['width']}x{record['height']}, "
        f"{record['method']}, {counted(record['evaluations'], 'evaluation')}, "
        f"{record['seconds']:.1f} s, "
        f"{fits} with the input (residual {record['residual']:.2g})"
    )
    for name, scores in ((record["method"], record["metrics"]), ("", record["baseline"])):
        if scores:
            title = scores.get("name", name)
            level = "equal" if scores["psnr"] is None else f"{scores['psnr']:.2f} dB"
            structure = "" if scores["ssim"] is None else f", SSIM {scores['ssim']:.4f}"
            print_line(f"  {title + ':':18}PSNR {level}{structure}")
