"""A visitor's photograph through a verb, exactly as the command line does it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import InputError
from restore.io.files import InputFile, plan_outputs
from restore.io.hints import read_hints
from restore.io.mask import read_mask
from restore.io.picture import read_picture
from restore.io.promised import picture_size
from restore.tasks.photo import Restorer
from restore.tasks.registry import TASKS
from restore.tasks.run import choose_preset
from restore.tasks.settings import Settings
from restore.tasks.super_resolve import DEFAULT_SCALE
from restore.web.choices import among, settings_of
from restore.web.files import Session
from restore.web.outcome import Outcome, tidy_record, tidy_sidecar, without_folders
from restore.web.preview import write_shown_mask, write_shown_picture, write_shown_strokes
from restore.web.run import Run
from restore.web.service import Service, alone

if TYPE_CHECKING:
    from restore.methods.base import StepCallback

_PNG = "data:image/png;base64,"
EXTENSIONS = ("auto", "png", "jpg", "tif", "npy")
# Which drawing a verb takes, and its file's name after the picture's.
DRAWINGS = {"inpaint": "mask", "colorize": "hints"}


def open_picture(service: Service, session: Session, upload: str, verb: str) -> tuple[Path, Path]:
    """Take an uploaded picture.

    Returns:
        The picture, and a PNG of it for the browser, of the same size.

    Raises:
        InputError: if it is no picture, or too large.
    """
    source = session.take(upload, f"{verb}-upload")
    check_header(service, source)
    shown = session.fresh(f"{verb}-shown") / "picture.png"
    write_shown_picture(source, shown)
    return source, shown


def open_drawing(service: Service, session: Session, verb: str, upload: str, picture: Path) -> Path:
    """Take an uploaded mask or strokes, read as the command line reads them.

    Returns:
        A PNG for the editor: white on black, or opaque strokes on transparent ground.

    Raises:
        InputError: if it is none, or of another size than the picture.
    """
    kind = DRAWINGS[verb]
    source = session.take(upload, f"{kind}-upload")
    check_header(service, source)
    seen = read_picture(picture)
    size = (seen.height, seen.width)
    shown = session.fresh(kind) / f"{kind}.png"
    if kind == "mask":
        write_shown_mask(shown, read_mask(source, size))
    else:
        write_shown_strokes(shown, *read_hints(source, size))
    return shown


@alone
def start_restoring(
    service: Service,
    session: Session,
    verb: str,
    source: Path,
    common: Mapping[str, Any],
    own: Mapping[str, Any],
    drawing: str | None = None,
    ext: str = "auto",
) -> Run[Outcome]:
    """Start restoring a photograph.

    What is made lies in a folder of the session for this verb until its next run.

    Args:
        service: the server.
        session: the visitor's.
        verb: one of the tasks for photographs.
        source: a file in the session.
        common: what `settings_of` takes.
        own: likewise.
        drawing: a mask, or hints, as a PNG in a `data:` address; "" for none.
        ext: kind of output.

    Raises:
        InputError: one line, if the visitor asks for what there is not.
    """
    folder = session.fresh(verb)
    own = dict(own)
    extra: list[Path] = []
    if drawing:
        name = DRAWINGS[verb]
        path = folder / f"{source.stem}_{name}.png"
        path.write_bytes(_decoded(drawing))
        check_header(service, path)
        own[name] = path
        extra.append(path)
    settings = settings_of(service, verb, Settings, common, own)
    _check_size(service, source, settings, verb)
    among("kind of file", ext, EXTENSIONS)
    [output] = plan_outputs([InputFile(source)], verb, output=f"{folder}/", ext=ext)
    folders = session.folders

    def work(on_step: StepCallback) -> Outcome:
        result = Restorer(TASKS[verb], settings).restore(
            source, output, suffix=f"_{verb}", on_step=on_step
        )
        shown = folder / "shown"
        shown.mkdir()
        size = write_shown_picture(output, shown / "after.png")
        write_shown_picture(source, shown / "before.png", size)
        tidy_sidecar(result.files[-1], folders)
        spread = output.with_name(f"{output.stem}_std.png")
        return Outcome(
            record=tidy_record(result.record, folders),
            consistent=result.consistent,
            notes=[without_folders(note, folders) for note in result.notes],
            files=[*result.files, *extra],
            shown=(shown / "before.png", shown / "after.png"),
            spread=spread if spread in result.files else None,
        )

    return service.start(session, work)


def _decoded(drawing: str) -> bytes:
    try:
        if drawing.startswith(_PNG):
            return base64.b64decode(drawing.removeprefix(_PNG), validate=True)
    except binascii.Error:
        pass
    raise InputError("the drawing is no PNG; expected it from the page's own editor")


def check_header(service: Service, source: Path) -> None:
    """Refuse a picture by the size that its header tells, before it is decoded."""
    if size := picture_size(source):
        service.limits.check(*size)


def _check_size(service: Service, source: Path, settings: Settings, verb: str) -> None:
    check_header(service, source)
    picture = read_picture(source)
    scale = (settings.scale or DEFAULT_SCALE) if verb == "super-resolve" else 1.0
    task = TASKS[verb]
    preset = choose_preset(task.presets, task.sampling, task.averaging, settings)
    samples = settings.samples or preset.average
    service.limits.check(round(picture.width * scale), round(picture.height * scale), samples)
