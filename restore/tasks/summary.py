"""The means of a comparison: a row for each method, over the same inputs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from restore.tasks.record import UNREAD, Row

FIGURES = (
    "psnr",
    "psnr_sample",
    "ssim",
    "haarpsi",
    "residual",
    "calibration",
    "evaluations",
    "seconds",
    "memory",
)


def summarised(rows: Sequence[Row], methods: Sequence[str], *, truth_known: bool) -> list[Row]:
    """Means over inputs and their standard errors (`NAME_se`), the best method first.

    A mean is over the inputs for which every method has the figure, of the methods that have it at
    all; `inputs` is the number of those of the PSNR (of the residual where no truth is known). A
    picture equal to the truth has no PSNR: `equal` counts them, None where there are none, and a
    method with no other picture comes first.

    Args:
        rows: of inputs and methods, with `error` where one failed.
        methods: in order.
        truth_known: whether a row without PSNR means a picture equal to the truth.
    """
    good = {
        method: {
            row["input"]: row for row in rows if row["method"] == method and "error" not in row
        }
        for method in methods
    }
    shared = {name: _shared(good.values(), name) for name in FIGURES}
    summaries = []
    for method, mine in good.items():
        summary: Row = {"method": method}
        for name in FIGURES:
            values = [row[name] for source, row in mine.items() if source in shared[name]]
            summary |= _mean(name, [value for value in values if value is not None])
        failed = [row for row in rows if row["method"] in (method, UNREAD) and "error" in row]
        equal = sum(row["psnr"] is None for row in mine.values()) if truth_known else 0
        summary["samples"] = next(iter(mine.values()))["samples"] if mine else None
        summary["inputs"] = len(shared["psnr"] or shared["residual"]) if mine else None
        summary |= {"equal": equal or None, "count": len(mine), "failed": len(failed)}
        if failed and not mine:
            summary["error"] = failed[0]["error"]
        summaries.append(summary)
    return sorted(summaries, key=_rank)


def _shared(rows: Iterable[Mapping[str, Row]], name: str) -> set[str]:
    """The inputs for which all methods have a figure that have it for any; `rows` by input."""
    having = [{source for source, row in of.items() if row[name] is not None} for of in rows]
    having = [sources for sources in having if sources]
    return set.intersection(*having) if having else set()


def _mean(name: str, values: Sequence[float]) -> Row:
    several = len(values) > 1
    error = statistics.stdev(values) / math.sqrt(len(values)) if several else None
    return {name: statistics.fmean(values) if values else None, f"{name}_se": error}


def _rank(summary: Row) -> tuple[bool, float, int]:
    """Sorts infinite PSNR first and none last."""
    level, equal = summary["psnr"], summary["equal"] or 0
    if level is None and equal and equal == summary["count"]:
        level = math.inf
    return (level is None, -(level or 0.0), -equal)
