"""What the page says of a run: the right figures, and nothing of a name taken for HTML."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from restore.web.outcome import Outcome
from restore.web.run import Progress
from restore.web.status import (
    READING,
    failure_html,
    outcome_html,
    progress_html,
    summary_html,
)


def rows(page: str) -> list[tuple[str, ...]]:
    """The texts of the cells of each row of a table."""
    lines = re.findall("<tr>(.*?)</tr>", page)
    return [tuple(map(unescape, re.findall("<t[hd].*?>(.*?)</t[hd]>", line))) for line in lines]


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Progress(before=1), "Waiting: one run before this one."),
        (Progress(before=3), "Waiting: 3 runs before this one."),
        (Progress(), "Reading …"),
        (Progress(step=0, total=20), "Step 0 of 20"),
        (Progress(step=5, total=20, seconds=10.0), "Step 5 of 20, 30 s left"),
    ],
)
def test_how_far_a_run_is(progress, said):
    page = progress_html(progress)
    assert page.startswith(f"<p>{said}</p><progress")
    assert ('value="5" max="20"' in page) is (progress.step == 5)
    assert "<img" not in page


def test_the_estimate_is_shown():
    page = progress_html(Progress(step=1, total=2, preview="data:image/jpeg;base64,AA"))
    assert '<img src="data:image/jpeg;base64,AA"' in page
    assert progress_html(Progress()) == READING


@pytest.mark.parametrize("consistent", [True, False])
def test_figures_of_a_result_and_whether_it_fits(consistent):
    record = dict.fromkeys(("model", "evaluations", "seconds", "seed", "noise_std", "residual"))
    record |= {"method": "own:<b>", "seed": 0, "noise_std": 0.0123456, "width": 7, "height": 4}
    record |= {"metrics": {"psnr": 30.0}, "baseline": {"name": "bicubic", "psnr": 27.123456}}
    outcome = Outcome(record, consistent, ["<i> is large"], [], (None, Path("a.png")))
    page = outcome_html(outcome)
    assert page.startswith(f"<p>Done: 7×4, {'fits' if consistent else 'does NOT fit'} the input.")
    assert "<li>&lt;i&gt; is large</li>" in page
    assert "<b>" not in page
    figures = dict(rows(page))
    assert figures["seed"] == "0"
    assert figures["noise of the input"] == "0.01235"
    assert figures["scores of own:<b>"] == "psnr 30"
    assert figures["scores of bicubic"] == "psnr 27.12"


def test_figures_of_a_comparison_and_why_a_method_failed():
    summary = [
        {"method": "ddrm", "psnr": 30.0},
        {"method": "<b>", "psnr": None, "error": "a <i> b"},
    ]
    page = summary_html(summary)
    assert not {"<b>", "<i>"} & set(re.findall("<.*?>", page))
    assert rows(page) == [("method", "PSNR"), ("ddrm", "30.00"), ("<b>", "–", "a <i> b")]


def test_a_failure_is_text():
    assert failure_html("<i>: bad") == '<p class="failed" role="alert">&lt;i&gt;: bad</p>'
