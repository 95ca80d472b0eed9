"""Means of a comparison are over the same inputs for every method."""

from __future__ import annotations

from typing import Any

from restore.tasks.record import UNREAD
from restore.tasks.summary import FIGURES, summarised


def row(source: str, method: str, psnr: float | None, **values: Any) -> dict[str, Any]:
    return {"input": source, "method": method, "samples": 1} | dict.fromkeys(FIGURES) | {
        "psnr": psnr, "residual": 0.1,
    } | values  # fmt: skip


def failed(source: str, method: str) -> dict[str, Any]:
    return {"input": source, "method": method, "error": "too few"}


def by_method(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["method"]: one for one in rows}


def test_the_best_first_and_what_failed_last():
    rows = [row("1", "a", 20.0), row("1", "b", 30.0), failed("1", "c")]
    summary = summarised(rows, ("c", "a", "b"), truth_known=True)
    assert [one["method"] for one in summary] == ["b", "a", "c"]
    assert (summary[2]["error"], summary[2]["inputs"], summary[2]["failed"]) == ("too few", None, 1)
    summary = summarised([*rows, failed("2", UNREAD)], ("c", "a", "b"), truth_known=True)
    assert [one["failed"] for one in summary] == [1, 1, 2]


def test_an_infinite_psnr_counts_for_no_mean_but_puts_a_perfect_method_first():
    rows = [row("1", "a", None), row("2", "a", None), row("1", "b", None), row("2", "b", 30.0)]
    rows += [row("1", "c", 50.0), row("2", "c", 20.0)]
    summary = summarised(rows, ("c", "b", "a"), truth_known=True)
    assert [(one["method"], one["psnr"], one["equal"]) for one in summary] == [
        ("a", None, 2), ("b", 30.0, 1), ("c", 20.0, None),
    ]  # fmt: skip
    assert [one["inputs"] for one in summary] == [1, 1, 1]


def test_of_equal_means_the_one_with_more_perfect_pictures_comes_first():
    rows = [row("1", "a", 30.0), row("2", "a", 30.0), row("1", "b", 30.0), row("2", "b", None)]
    for names in ("ab", "ba"):
        summary = summarised(rows, tuple(names), truth_known=True)
        assert [(one["method"], one["psnr"]) for one in summary] == [("b", 30.0), ("a", 30.0)]


def test_without_a_truth_nothing_is_equal():
    rows = [row("1", "a", None), row("2", "a", None), row("1", "b", None), failed("2", "b")]
    summary = by_method(summarised(rows, ("a", "b"), truth_known=False))
    assert [summary[name]["equal"] for name in "ab"] == [None, None]
    assert [summary[name]["inputs"] for name in "ab"] == [1, 1]


def test_a_figure_that_only_some_methods_have_is_a_mean_of_theirs():
    rows = [row("1", "a", 20.0, calibration=0.9), row("1", "b", 21.0)]
    rows += [row("2", "a", 22.0, calibration=0.8), row("2", "b", 25.0)]
    summary = by_method(summarised(rows, ("a", "b"), truth_known=True))
    assert summary["a"]["calibration"] == (0.9 + 0.8) / 2
    assert summary["b"]["calibration"] is None
    assert (summary["b"]["psnr"], summary["b"]["psnr_se"]) == (23.0, 2.0)
