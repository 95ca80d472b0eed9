"""The files of a run: which are read, which are written, and which of these are done or may go."""

from __future__ import annotations

import os
import stat
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.cli.console import print_line, told, unforeseen
from restore.errors import InputError

if TYPE_CHECKING:
    from restore.cli.restoring import Restores
    from restore.io.files import InputFile
    from restore.tasks.run import Result
    from restore.tasks.settings import RunSettings

Beside = Callable[[Path, Any], list[Path]]
"""What a run with these settings writes besides its output."""


@dataclass(frozen=True)
class Job:
    """One input of a verb.

    Attributes:
        source: the input.
        output: what is made of it.
        beside: what else is written, its sidecar among it.
    """

    source: Path
    output: Path
    beside: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written."""
        return (self.output, *self.beside)


def files_of_options(settings: RunSettings, config: Path | None) -> list[Path]:
    """The files that options name, which are no inputs, and are not to be written."""
    values = [value for _, value in settings]
    files = [value for value in values if isinstance(value, Path)]
    # A kernel, a mask of k-space or angles may be a file or a word.
    files += [Path(value) for value in values if isinstance(value, str) and os.path.lexists(value)]
    return files if config is None else [*files, config]


def unnamed(found: Sequence[InputFile], read: Sequence[Path]) -> list[InputFile]:
    """The inputs: what the user named, and of folders all but the files that options name."""
    named = {os.path.realpath(file) for file in read}
    return [s for s in found if s.folder is None or os.path.realpath(s.path) not in named]


def check_files(
    jobs: Sequence[Job], read: Sequence[Path], report: Path | None, config: Path | None
) -> None:
    """Refuse to write a file twice, onto one that is read, or where nothing can be written.

    Args:
        jobs: of the run.
        read: what `files_of_options` gives.
        report: the page, if one is to be written.
        config: what `--config` names; the sidecar of an output that is made anew may give way.

    Raises:
        InputError: likewise.
    """
    from restore.io.files import check_place, check_written

    written: list[tuple[Path | str, Path]] = [(job.source, f) for job in jobs for f in job.files]
    if report is not None:
        written.append(("--report", report))
    # A folder of slices is one input.
    folders = (job.source for job in jobs if job.source.is_dir())
    kept = [*(job.source for job in jobs), *(f for d in folders for f in d.iterdir()), *read]
    if config is not None and any(_is_own_sidecar(config, job.output) for job in jobs):
        kept.remove(config)
    check_written(written, kept)
    for file in (*(job.output for job in jobs), *([report] if report else [])):
        check_place(file)


def jobs_to_do(
    jobs: Sequence[Job],
    verb: str,
    kind: type[RunSettings],
    beside: Beside,
    *,
    report: Path | None,
    overwrite: bool,
    skip_existing: bool,
    quiet: bool,
) -> list[Job]:
    """The jobs that are to be done; a file that may not be replaced is refused.

    With `skip_existing` a job is done where all its files exist, and one that lacks some is done
    again over those that its sidecar tells of. An output without its sidecar is nobody's that is
    known here, and is left alone.

    Args:
        jobs: of the run.
        verb: the task.
        kind: of its settings.
        beside: what a run writes besides its output.
        report: the page, if one is to be written.
        overwrite: whether any file may be replaced.
        skip_existing: likewise.
        quiet: do not say what was left alone.

    Raises:
        InputError: likewise.
    """
    skipping = skip_existing and not overwrite
    found: list[Job] = []
    for job in jobs:
        config = _config_of(job, verb) if skipping else None
        missing = [file for file in job.files if not os.path.lexists(file)]
        if skipping and job.output not in missing and (config is None or not missing):
            if missing and not quiet:
                print_line(
                    f"{job.output}: left as it is, since {missing[0].name} is missing and no "
                    "sidecar says what made it; --overwrite makes it anew",
                    err=True,
                )
            continue
        ours = _made_by(config, kind, job.output, beside)
        for file in job.files:
            if file not in ours and not gives_way(file, job.output):
                _check_free(file, overwrite=overwrite, skipping=skipping)
        found.append(job)
    if report is not None and found:
        _check_free(report, overwrite=overwrite, skipping=skipping)
    return found


def attempted(
    restorer: Restores,
    job: Job,
    suffix: str,
    on_step: Callable[[int, int, Any], None] | None = None,
) -> Result | InputError:
    """What comes of a job; whatever fails, as in a model of the user's own, is an error of it.

    The error has its traceback as a note.
    """
    try:
        with whole_or_nothing(job):
            return restorer.restore(job.source, job.output, suffix=suffix, on_step=on_step)
    except (Exception, SystemExit) as error:
        if isinstance(error, (InputError, OSError)):
            failure = InputError(told(error))
        else:
            failure = InputError(f"{job.source}: {unforeseen(error)}")
        failure.add_note(traceback.format_exc())
        return failure


@contextmanager
def whole_or_nothing(job: Job) -> Iterator[None]:
    """Take what a job has written away if it fails or is interrupted: it would count as done."""
    undo = undoing(job)
    try:
        yield
    except BaseException:
        undo()
        raise


def undoing(job: Job) -> Callable[[], None]:
    """What takes away the files of a job that are written from now on."""
    before = {file: _stamp(file) for file in job.files}

    def undo() -> None:
        for file, stamp in before.items():
            if _stamp(file) not in (None, stamp):
                file.unlink()

    return undo


def _record(sidecar: Path) -> dict[str, Any] | None:
    from restore.tasks.sidecar import read_sidecar

    return read_sidecar(sidecar)


def _is_own_sidecar(file: Path, output: Path) -> bool:
    """Whether a file is the sidecar that this output has beside it."""
    from restore.io.files import sidecar_path

    record = _record(file)
    beside = os.path.realpath(file) == os.path.realpath(sidecar_path(output))
    return beside and record is not None and Path(str(record["output"])).name == output.name


def gives_way(file: Path, output: Path) -> bool:
    """Whether a file is a sidecar of this output, or of one that is gone."""
    record = _record(file)
    if record is None:
        return False
    told = file.with_name(Path(str(record["output"])).name)
    return told.name == output.name or not os.path.lexists(told)


def _config_of(job: Job, verb: str) -> dict[str, Any] | None:
    """The settings that made the output of a job, as its sidecar has them; None without one."""
    from restore.io.files import sidecar_path

    record = _record(sidecar_path(job.output))
    if record is None or record["task"] != verb or not isinstance(record["config"], dict):
        return None
    names = [Path(str(record.get(name))).name for name in ("input", "output")]
    return record["config"] if names == [job.source.name, job.output.name] else None


def _made_by(
    config: dict[str, Any] | None, kind: type[RunSettings], output: Path, beside: Beside
) -> list[Path]:
    """The files of the run that had these settings, where they are still settings."""
    from pydantic import ValidationError

    if config is None:
        return []
    try:
        return [output, *beside(output, kind.model_validate(config))]
    except ValidationError:
        return [output]


def _check_free(file: Path, *, overwrite: bool, skipping: bool) -> None:
    from restore.io.files import may_write

    if not may_write(file, overwrite=overwrite, skip_existing=skipping):
        raise InputError(
            f"{file}: exists already, and no sidecar beside the output tells of it; expected "
            "--overwrite, or another name"
        )


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a regular file is replaced; None where there is none."""
    try:
        found = file.lstat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
