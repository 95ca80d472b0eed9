"""What the page says of a run, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from restore.report.columns import COLUMNS, used
from restore.web.outcome import Outcome
from restore.web.run import Progress

IDLE = "<p>Nothing runs.</p>"
READING = "<p>Reading …</p><progress></progress>"
CANCELLED = "<p>Cancelled.</p>"
_FIGURES = {
    "method": "method",
    "model": "model",
    "evaluations": "evaluations of the network",
    "seconds": "seconds",
    "seed": "seed",
    "noise_std": "noise of the input",
    "residual": "residual",
}


def progress_html(progress: Progress) -> str:
    """A bar, the time that is left and the current estimate."""
    if progress.before:
        who = "one run" if progress.before == 1 else f"{progress.before} runs"
        return f"<p>Waiting: {who} before this one.</p><progress></progress>"
    if not progress.total:
        return READING
    left = progress.left
    time = "" if left is None else f", {left:.0f} s left"
    preview = f'<img src="{progress.preview}" alt="current estimate">' if progress.preview else ""
    return (
        f"<p>Step {progress.step} of {progress.total}{time}</p>"
        f'<progress value="{progress.step}" max="{progress.total}"></progress>{preview}'
    )


def failure_html(message: str) -> str:
    """One line that says what went wrong."""
    return f'<p class="failed" role="alert">{escape(message)}</p>'


def outcome_html(outcome: Outcome) -> str:
    """The figures of a result, and what its visitor should know."""
    record = outcome.record
    fits = "fits the input" if outcome.consistent else "does NOT fit the input"
    shown = {title: record[name] for name, title in _FIGURES.items()}
    rows: dict[str, Any] = {title: value for title, value in shown.items() if value is not None}
    for scores in (record["metrics"], record["baseline"]):
        if scores:
            name = scores.get("name", record["method"])
            values = (f"{key} {_text(value)}" for key, value in scores.items() if key != "name")
            rows[f"scores of {name}"] = ", ".join(values)
    table = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_text(value))}</td></tr>"
        for name, value in rows.items()
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in outcome.notes)
    return (
        f"<p>Done: {record['width']}×{record['height']}, {fits}.</p>"
        f"<ul>{notes}</ul><table>{table}</table>"
    )


def summary_html(summary: Sequence[Mapping[str, Any]]) -> str:
    """The figures of a comparison, the best method first."""
    columns = used(COLUMNS, summary)
    head = "".join(f"<th>{escape(column.head)}</th>" for column in columns.values())
    lines = []
    for row in summary:
        figures = "".join(f"<td>{column.text(row, name)}</td>" for name, column in columns.items())
        said = f'<td class="failed">{escape(str(row["error"]))}</td>' if "error" in row else ""
        lines.append(f"<tr><th>{escape(row['method'])}</th>{figures}{said}</tr>")
    return f"<p>Done.</p><table><tr><th>method</th>{head}</tr>{''.join(lines)}</table>"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
