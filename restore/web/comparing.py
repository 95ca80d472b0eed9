"""Methods compared on a visitor's picture, exactly as the command line does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import InputError
from restore.io.picture import read_picture
from restore.methods.base import part_of_steps
from restore.report.comparison import inputs_of, write_comparison
from restore.tasks.classical import serving
from restore.tasks.compare import Comparison
from restore.tasks.plan import Plan
from restore.tasks.registry import TASKS
from restore.tasks.settings import Settings, resolve_settings
from restore.tasks.sidecar import software
from restore.web.choices import among
from restore.web.files import Session
from restore.web.outcome import tidy_record, without_folders
from restore.web.restoring import check_header
from restore.web.run import Run
from restore.web.service import Service, alone

if TYPE_CHECKING:
    from torch import Tensor

    from restore.methods.base import StepCallback

COMPARED = tuple(name for name in TASKS if name != "sample")


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Attributes:
        summary: a row for each method, the best first.
        report: the page with pictures, maps and figures.
        files: to download: the page, then the pictures.
    """

    summary: list[dict[str, Any]]
    report: str
    files: list[Path]


def methods_for(verb: str) -> list[str]:
    """What can be compared for a verb."""
    return list(serving(among("task", verb, COMPARED)))


@alone
def start_comparing(
    service: Service,
    session: Session,
    verb: str,
    source: Path,
    names: Sequence[str],
    own: Mapping[str, Any],
    *,
    nfe: int,
    samples: int,
    crop: int,
    seed: int,
) -> Run[Compared]:
    """Start a comparison on a clean picture, which is degraded first.

    Args:
        service: the server.
        session: the visitor's.
        verb: what is compared.
        source: a file in the session.
        names: of the methods.
        own: the verb's settings by name; None where nothing is chosen.
        nfe: evaluations of the network for a sample, at most.
        samples: for each method that draws them.
        crop: side of the centre that is taken; 0 for the whole picture.
        seed: of the noise.

    Raises:
        InputError: one line, if the visitor asks for what there is not.
    """
    offered = methods_for(verb)
    for name in names:
        among("method", name, offered)
    if not names:
        raise InputError(f"no method is chosen; expected some of {', '.join(offered)}")
    given = {name: value for name, value in own.items() if value is not None}
    for file in (source, *(value for value in given.values() if isinstance(value, Path))):
        check_header(service, file)
    picture = read_picture(source)
    most = crop or max(picture.width, picture.height)
    service.limits.check(min(picture.width, most), min(picture.height, most), samples)
    given |= {"device": service.device, "seed": seed, "simulate": True}
    settings = resolve_settings(given, None, verb, Settings)
    plan = Plan(tuple(names), settings, nfe=max(nfe, 1), samples=max(samples, 1), crop=crop or None)
    folder = session.fresh("compare")
    folders = session.folders

    def work(on_step: StepCallback) -> Compared:
        comparison = Comparison(TASKS[verb], plan, folder)
        rows: list[object] = []

        def counted(step: int, total: int, x_hat: Tensor) -> None:
            part_of_steps(on_step, len(rows), len(names))(step, total, x_hat)

        for row, _ in comparison.run([source], counted):
            rows.append(row)
        summary = comparison.summary([source])
        report = folder / f"{source.stem}_compare.html"
        title = f"restore compare: {verb}"
        configuration = comparison.configuration | {"versions": software()}
        write_comparison(report, title, inputs_of(comparison, [source]), summary, configuration)
        page = without_folders(report.read_text(encoding="utf-8"), folders)
        report.write_text(page, encoding="utf-8")
        made = (comparison.picture(source, name) for name in names)
        files = [report, *(path for path in made if path.exists())]
        return Compared(tidy_record(summary, folders), page, files)

    return service.start(session, work)
