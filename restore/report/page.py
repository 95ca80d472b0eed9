"""`--report`: one self-contained HTML page with the pictures and figures of a run."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.io.atomic import atomic_path
from restore.io.files import PICTURE_SUFFIXES
from restore.io.picture import read_picture
from restore.report.inline import png_uri, shrunk

if TYPE_CHECKING:
    from restore.tasks.run import Result

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h2, figcaption, td { overflow-wrap: anywhere }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top }
figure { width: min(100%, 24rem) }
img { image-rendering: pixelated; width: 100%; display: block }
figcaption { opacity: .7 } table { border-collapse: collapse }
td, th { border-bottom: 1px solid #8884; padding: .2rem 1rem .2rem 0; text-align: left }
details pre { background: #8882; padding: 1rem; overflow: auto }
figure, tr { break-inside: avoid }
"""
SHOWN = PICTURE_SUFFIXES - {".npy"}
# Beside what is written of a scan, which may be a stack, in its own unit.
SHOWN_OF_SCANS = frozenset({".png"})
FIGURES = ("method", "model", "steps", "evaluations", "seconds", "seed", "noise_std", "residual")


def write_report(path: Path, results: Sequence[Result]) -> None:
    """Write the page, whole or not at all. It needs no network and no other file.

    Pictures are shown at no more than `LONGEST` pixels a side; a section is made when the one
    before is written.

    Args:
        path: where to.
        results: what was restored, in order.
    """
    with (
        atomic_path(path) as temporary,
        # A name of a file may be no text.
        temporary.open("w", encoding="utf-8", errors="replace") as page,
    ):
        page.write(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>restore</title>'
            f"<style>{STYLE}</style><h1>Restored pictures</h1>"
        )
        page.writelines(f"{_section(result)}\n" for result in results)
        page.write("</html>\n")


def _section(result: Result) -> str:
    record = result.record
    files = (Path(record["input"]), *result.files)
    kinds = SHOWN_OF_SCANS if "slices" in record else SHOWN
    pictures = [file for file in files if file.suffix.lower() in kinds]
    figures = "".join(_figure(file) for file in pictures)
    shown = {name: record[name] for name in FIGURES}
    rows: dict[str, Any] = {name: value for name, value in shown.items() if value is not None}
    rows["consistent with the input"] = "yes" if result.consistent else "no"
    for name in ("metrics", "baseline"):
        if record[name]:
            rows[name] = ", ".join(f"{k} {_text(v)}" for k, v in record[name].items())
    table = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(_text(value))}</td></tr>"
        for name, value in rows.items()
    )
    settings = json.loads(Path(record["sidecar"]).read_text(encoding="utf-8"))
    sidecar = html.escape(json.dumps(settings, indent=2))
    return (
        f"<section><h2>{html.escape(record['input'])}: {html.escape(record['task'])}</h2>{figures}"
        f"<table>{table}</table><details><summary>Settings</summary><pre>{sidecar}</pre></details>"
        "</section>"
    )


def _figure(path: Path) -> str:
    """The picture as a PNG inside the page."""
    pixels = read_picture(path).pixels
    name = html.escape(path.name)
    caption = f"{name}, {pixels.shape[2]}×{pixels.shape[1]}"
    return (
        f'<figure><img src="{png_uri(shrunk(pixels))}" alt="{name}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
