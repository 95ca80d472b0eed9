"""A visitor's scan through a verb, exactly as the command line does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import InputError
from restore.io.files import InputFile, plan_outputs
from restore.io.promised import scan_bytes
from restore.report.page import write_report
from restore.tasks.ct import CT
from restore.tasks.mri import MRI
from restore.tasks.scan import ScanTask
from restore.tasks.scanner import Scanner
from restore.web.choices import among, settings_of
from restore.web.files import Session
from restore.web.outcome import Outcome, tidy_record, tidy_sidecar, without_folders
from restore.web.run import Run
from restore.web.service import Service, alone

if TYPE_CHECKING:
    from restore.methods.base import StepCallback

SCANS: dict[str, ScanTask[Any]] = {task.name: task for task in (MRI, CT)}
# What all samples of a scan may have, in uploads of the largest size.
SAMPLED_UPLOADS = 8
# A file of names beside the data: what BART's pair has.
_HEADER = ".hdr"


def open_scan(session: Session, uploads: Sequence[str], verb: str) -> list[Path]:
    """Take uploaded files that are one scan, the one to read first.

    Raises:
        InputError: if there is more than a file and its header.
    """
    if not uploads:
        raise InputError("nothing is uploaded; expected a scan")
    taken = session.take_all(uploads, f"{verb}-upload")
    taken.sort(key=lambda path: path.suffix.lower() == _HEADER)
    if len([path for path in taken if path.suffix.lower() != _HEADER]) != 1:
        names = ", ".join(path.name for path in taken)
        raise InputError(f"{names}: expected one scan, or a .cfl with its {_HEADER}")
    return taken


@alone
def start_scanning(
    service: Service,
    session: Session,
    verb: str,
    source: Path,
    common: Mapping[str, Any],
    own: Mapping[str, Any],
    ext: str,
) -> Run[Outcome]:
    """Start reconstructing a scan.

    Args:
        service: the server.
        session: the visitor's.
        verb: `mri` or `ct`.
        source: a file in the session.
        common: what `settings_of` takes.
        own: likewise.
        ext: kind of output, without the dot.

    Raises:
        InputError: one line, if the visitor asks for what there is not.
    """
    task = SCANS[verb]
    among("kind of file", f".{ext}", task.suffixes)
    settings = settings_of(service, verb, task.settings, common, own, task.classical)
    _check_size(service, source, settings.samples or 1)
    for file in own.values():
        if isinstance(file, Path):
            _check_size(service, file)
    folder = session.fresh(verb)
    [output] = plan_outputs([InputFile(source)], verb, output=f"{folder}/", ext=ext)
    folders = session.folders

    def work(on_step: StepCallback) -> Outcome:
        result = Scanner(task, settings).restore(source, output, suffix=f"_{verb}", on_step=on_step)
        tidy_sidecar(result.files[-1], folders)
        record = tidy_record(result.record, folders)
        report = output.with_name(f"{output.stem}_report.html")
        # What the report shows is read where it lies, and named as it is downloaded.
        write_report(report, [result])
        page = without_folders(report.read_text(encoding="utf-8"), folders)
        report.write_text(page, encoding="utf-8")
        spread = output.with_name(f"{output.stem}_std.png")
        return Outcome(
            record=record,
            consistent=result.consistent,
            notes=[without_folders(note, folders) for note in result.notes],
            files=[*result.files, report],
            shown=(None, output.with_suffix(".png")),
            spread=spread if spread in result.files else None,
            report=page,
        )

    return service.start(session, work)


def _check_size(service: Service, source: Path, samples: int = 1) -> None:
    """Refuse what would fill the memory: an image has about as many bytes as its scan."""
    size, most = scan_bytes(source), SAMPLED_UPLOADS * service.limits.upload_bytes
    if size > most:
        raise InputError(
            f"{source.name}: unpacked it has {size / 1e6:.1f} MB; expected at most "
            f"{most / 1e6:.1f} (restore serve --max-upload)"
        )
    if size * samples > most:
        raise InputError(
            f"{samples} samples of a scan of {size / 1e6:.1f} MB; expected at most "
            f"{most // size} (restore serve --max-upload)"
        )
