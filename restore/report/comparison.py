"""`restore compare --report`: pictures under a slider, maps, figures and a plot on one page."""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restore.io.atomic import atomic_path
from restore.io.picture import read_picture
from restore.report.columns import COLUMNS, Column, used
from restore.report.inline import MAP_GRADIENT, map_uri, png_uri, shrunk
from restore.report.plot import quality_plot

if TYPE_CHECKING:
    from restore.tasks.compare import Comparison

Pixels = NDArray[np.float32]
Row = Mapping[str, Any]

TRUTH, MEASURED = "truth", "measured"
# The white of a map: a few pixels do not darken all others, and it is one grey level at least.
_QUANTILE, _LEAST_WHITE = 0.995, 1 / 255
# Of the figures those that stand below a picture.
_CAPTION = ("psnr", "ssim", "haarpsi", "residual", "calibration", "evaluations", "seconds")
_PLOT_CAPTION = (
    "<p>Large dots: the mean of all samples, at the evaluations of all of them, and one standard "
    "error up and down. Small dots: one sample. Dashed: no network.</p>"
)
# The page may load nothing, whatever a file is called.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class ShownMethod:
    """What one method made of one input.

    Attributes:
        method: its name.
        picture: [C, H, W] in [0, 1]; None where it failed.
        std: [C, H, W], the standard deviation of its samples; None where there is one picture.
        row: its figures, with `error` where it failed.
    """

    method: str
    picture: Pixels | None
    std: Pixels | None
    row: Row


@dataclass(frozen=True)
class Input:
    """One input with all that was made of it.

    Attributes:
        name: shown above it.
        measured: the measurement as a picture; None where there is none.
        truth: the true picture, where it is known.
        shown: by method.
    """

    name: str
    measured: Pixels | None
    truth: Pixels | None
    shown: Sequence[ShownMethod]


def inputs_of(comparison: Comparison, sources: Sequence[Path]) -> Iterator[Input]:
    """The inputs of a comparison with all pictures, read one input at a time.

    Args:
        comparison: that was run.
        sources: its inputs.
    """
    shared = Counter(source.name for source in sources)
    for source in sources:
        name = source.name if shared[source.name] == 1 else str(source)
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
        yield Input(name=name, measured=measured, truth=truth, shown=methods)


def write_comparison(
    path: Path,
    title: str,
    inputs: Iterable[Input],
    summary: Sequence[Row],
    configuration: Mapping[str, Any],
) -> None:
    """Write the page, whole or not at all. It needs no network and no other file.

    The element `data` holds `configuration`, `summary` and `rows` as JSON.

    Args:
        path: where to.
        title: of the page.
        inputs: taken one at a time, so that one is in memory at a time.
        summary: a row for each method, with means and standard errors.
        configuration: what the figures depend on.
    """
    assets = Path(__file__)
    rows: list[Row] = []
    with (
        atomic_path(path) as temporary,
        temporary.open(
            "w",
            encoding="utf-8",
            errors="replace",  # a name of a file may be no text
        ) as page,
    ):
        page.write(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            f"<title>{html.escape(title)}</title>"
            f"<style>{assets.with_suffix('.css').read_text(encoding='utf-8')}</style></head>"
            f"<body><h1>{html.escape(title)}</h1>{_figures(summary)}"
        )
        for one in inputs:
            page.write(_section(one))
            rows += [shown.row for shown in one.shown]
        data = {"configuration": configuration, "summary": summary, "rows": rows}
        readable = html.escape(json.dumps(configuration, indent=2))
        page.write(
            f"<h2>Configuration</h2><pre>{readable}</pre>{_json_element('data', data)}"
            f"<script>{assets.with_suffix('.js').read_text(encoding='utf-8')}</script>"
            "</body></html>\n"
        )


def _figures(summary: Sequence[Row]) -> str:
    """The table of the methods, and what its columns mean."""
    columns = used(COLUMNS, summary)
    heads = "".join(_head(one.head) for one in columns.values())
    failed = any(row["failed"] for row in summary)
    body = "".join(_line(row, columns, failed=failed) for row in summary)
    drawn = quality_plot(summary)
    plot = f'<div class="wide">{drawn}</div>{_PLOT_CAPTION}' if drawn else ""
    meanings = "".join(
        f"<dt>{html.escape(one.head)}</dt><dd>{html.escape(one.meaning)}</dd>"
        for one in columns.values()
    )
    last = _head("failed") if failed else ""
    return (
        f'<div class="wide"><table><thead><tr>{_head("method")}{heads}{last}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        "<p>Means over the inputs for which every method has the figure, ± their standard error."
        "</p>"
        f"{plot}<dl>{meanings}</dl>"
    )


def _head(title: str) -> str:
    return f'<th scope="col"><button type="button">{html.escape(title)}</button></th>'


def _line(row: Row, columns: Mapping[str, Column], *, failed: bool) -> str:
    cells = "".join(_cell(row.get(name), one.text(row, name)) for name, one in columns.items())
    last = ""
    if failed:
        total = row["count"] + row["failed"]
        last = _cell(row["failed"], f"{row['failed']} of {total}" if row["failed"] else "", "error")
    return f'<tr><th scope="row">{html.escape(row["method"])}</th>{cells}{last}</tr>'


def _cell(value: float | None, text: str, kind: str = "") -> str:
    """A figure as text, and as the number that the table is sorted by."""
    number = "" if value is None else f' data-value="{value!r}"'
    return f"<td{kind and f' class={kind}'}{number}>{html.escape(text)}</td>"


def _section(one: Input) -> str:
    pictures = {TRUTH: one.truth, MEASURED: one.measured}
    pictures |= {shown.method: shown.picture for shown in one.shown}
    full = {name: pixels for name, pixels in pictures.items() if pixels is not None}
    known = {name: shrunk(pixels) for name, pixels in full.items()}
    maps = {shown.method: _maps(shown, one.truth) for shown in one.shown}
    white = _white(maps.values())
    given = [
        _figure(name, "", _image(name, known[name])) for name in (TRUTH, MEASURED) if name in known
    ]
    made = [_method_figure(shown, maps[shown.method], white) for shown in one.shown]
    stage = _stage(known, _best(one)) if len(known) > 1 else ""
    return (
        f'<section class="input" style="--ratio:{_ratio(known):.6g};--zoom:1;--x:0;--y:0">'
        f"<h2>{html.escape(one.name)}</h2>{_sizes(full, known)}{stage}"
        f"{_controls(maps.values(), white)}"
        f'<div class="grid">{"".join(given + made)}</div></section>'
    )


def _sizes(full: Mapping[str, Pixels], known: Mapping[str, Pixels]) -> str:
    """What is shown smaller than it is, if anything."""
    smaller = {
        (full[name].shape[2], full[name].shape[1], pixels.shape[2], pixels.shape[1])
        for name, pixels in known.items()
        if pixels.shape != full[name].shape
    }
    texts = (f"{w}×{h} pixels are shown as {c}×{r}" for w, h, c, r in sorted(smaller))
    text = "; ".join(texts)
    return text and f"<p>{text}, by the mean over areas. All figures are of the full size.</p>"


def _ratio(known: Mapping[str, Pixels]) -> float:
    """Width over height of the results; the measurement may have another size."""
    results = [pixels.shape for name, pixels in known.items() if name != MEASURED]
    _, height, width = [*results, *(pixels.shape for pixels in known.values()), (1, 1, 1)][0]
    return float(width / height)


def _stage(known: Mapping[str, Pixels], best: str | None) -> str:
    """The slider between two pictures, chosen by their names; the script puts them there."""
    names = list(known)
    left = MEASURED if MEASURED in known else names[0]
    right = best if best in known else names[-1]

    def select(side: str, chosen: str) -> str:
        options = "".join(
            f"<option{' selected' if name == chosen else ''}>{html.escape(name)}</option>"
            for name in names
        )
        return f'<label>{side} <select class="{side}">{options}</select></label>'

    return (
        f'<div class="bar">{select("left", left)}{select("right", str(right))}</div>'
        '<div class="stage"><div class="pane" tabindex="0" role="group" '
        'aria-label="two pictures; arrow keys move, + and - zoom"></div>'
        '<input class="split" type="range" min="0" max="100" step="any" value="50" '
        'aria-label="where the left picture ends"></div>'
    )


def _controls(maps: Iterable[Mapping[str, Pixels]], white: float) -> str:
    kinds = {kind for of_method in maps for kind in of_method}
    titles = {"picture": "pictures", "error": "errors", "spread": "spread of the samples"}
    options = "".join(
        f'<option value="{kind}">{title}</option>'
        for kind, title in titles.items()
        if kind == "picture" or kind in kinds
    )
    return (
        f'<div class="bar"><label>below <select class="kind">{options}</select></label>'
        '<label>zoom <input class="zoom" type="range" min="0" max="5" step="any" value="0"></label>'
        '<output class="zoom">1.0×</output><button class="reset" type="button">whole</button>'
        '<span class="hint">drag to move, Ctrl and wheel or + and − to zoom</span>'
        '<span class="legend" hidden>0 '
        f'<span class="scale" style="background:{MAP_GRADIENT}"></span> '
        f"{white:.3g} ({255 * white:.1f} of 255) and more</span></div>"
    )


def _method_figure(shown: ShownMethod, maps: Mapping[str, Pixels], white: float) -> str:
    name, row = shown.method, shown.row
    if shown.picture is None:
        why = f'<span class="none picture error spread failed">{html.escape(row["error"])}</span>'
        return _figure(name, "failed", why)
    layers = _image(name, shrunk(shown.picture))
    for kind, title, missing in (
        ("error", "error", "the truth is not known"),
        ("spread", "standard deviation", "one estimate: no spread"),
    ):
        if kind in maps:
            layers += (
                f'<img class="{kind}" src="{map_uri(maps[kind], white)}" '
                f'alt="{title} of {html.escape(name)}" draggable="false" hidden>'
            )
        else:
            layers += f'<span class="none {kind}" hidden>{missing}</span>'
    columns = used({key: COLUMNS[key] for key in _CAPTION}, [row])
    figures = " · ".join(f"{one.head} {one.text(row, key)}" for key, one in columns.items())
    return _figure(name, figures, layers)


def _figure(name: str, caption: str, layers: str) -> str:
    escaped = html.escape(name)
    return (
        f'<figure><div class="pane" tabindex="0" role="group" aria-label="{escaped}">{layers}</div>'
        f"<figcaption><strong>{escaped}</strong> {html.escape(caption)}</figcaption></figure>"
    )


def _image(name: str, pixels: Pixels) -> str:
    # What has no map stays when maps are shown.
    always = " error spread" if name in (TRUTH, MEASURED) else ""
    escaped = html.escape(name)
    return (
        f'<img class="picture{always}" data-name="{escaped}" src="{png_uri(pixels)}" '
        f'alt="{escaped}" draggable="false">'
    )


def _maps(shown: ShownMethod, truth: Pixels | None) -> dict[str, Pixels]:
    """Root mean squares over the channels, [H, W]: of the error, and of the spread."""
    maps = {}
    if shown.picture is not None and truth is not None:
        maps["error"] = shown.picture - truth
    if shown.std is not None:
        maps["spread"] = shown.std
    return {kind: shrunk(np.sqrt(np.square(values).mean(axis=0))) for kind, values in maps.items()}


def _white(maps: Iterable[Mapping[str, Pixels]]) -> float:
    """One white for all maps of an input: a spread of the size of the error looks like it.

    The median over the maps: a method that fails badly does not darken those of the others.
    """
    tops = [float(np.quantile(one, _QUANTILE)) for of_method in maps for one in of_method.values()]
    return max(_LEAST_WHITE, float(np.median(tops))) if tops else _LEAST_WHITE


def _best(one: Input) -> str | None:
    """The method with the highest PSNR, infinite where a picture is the truth; else the first."""
    made = [shown for shown in one.shown if shown.picture is not None]
    if not made:
        return None

    def level(shown: ShownMethod) -> float:
        psnr = shown.row.get("psnr")
        return math.inf if psnr is None else float(psnr)

    return max(made, key=level).method


def _json_element(name: str, value: object) -> str:
    # In a script only `</script` and `<!--` mean anything: no `<`, then.
    text = json.dumps(value, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'
