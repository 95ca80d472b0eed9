"""What a tab is told as a run goes on, without a browser."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra `web` is not installed")

from restore.errors import InputError
from restore.web.outcome import Outcome
from restore.web.run import Cancelled, Run
from restore.web.running import follow, framed, said, shown_outcome
from restore.web.status import CANCELLED, READING

OUTPUTS = 7


def values(outputs) -> tuple:
    """Whether one may start and cancel, and the status."""
    assert len(outputs) == OUTPUTS
    return outputs[0].interactive, outputs[1].interactive, outputs[2]


def raising(error: BaseException):
    def work(on_step):
        raise error

    return work


def test_a_run_is_followed_to_its_end(service):
    gate = threading.Event()
    following = follow(
        service, lambda: Run(service.line, lambda on_step: gate.wait(10)),
        lambda result: [f"<p>{result}</p>", None, None, None, None],
    )  # fmt: skip
    assert values(next(following)) == (False, True, READING)
    gate.set()
    *_, last = following
    assert values(last) == (True, False, "<p>True</p>")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("a.png: bad"), "a.png: bad"),
        (Cancelled(), CANCELLED),
        (OSError("/home/somebody"), "something went wrong inside (OSError)"),
    ],
)
def test_what_went_wrong_is_said_and_one_may_start_again(service, error, status):
    *_, last = follow(service, lambda: Run(service.line, raising(error)), list)
    start, cancel, told = values(last)
    assert (start, cancel) == (True, False)
    assert status in told
    assert "somebody" not in told


def test_what_is_refused_before_a_run_is_said(service):
    def begin():
        raise InputError("nothing is uploaded")

    (last,) = follow(service, begin, list)
    assert "nothing is uploaded" in values(last)[2]


def test_where_nobody_listens_any_more_the_run_ends(service):
    gate, runs = threading.Event(), []

    def work(on_step):
        gate.wait(10)
        on_step(1, 2, None)

    def begin():
        runs.append(Run(service.line, work))
        return runs[0]

    following = follow(service, begin, list)
    next(following)
    following.close()
    gate.set()
    with pytest.raises(Cancelled):
        runs[0].result()


def test_errors_name_no_folder(service):
    error = InputError(f"{service.store.session('a').fresh('mask') / 'a.png'}: bad")
    assert said(service, error) == "a.png: bad"


@pytest.mark.parametrize("slider", [True, False])
def test_an_outcome_is_shown_with_what_there_is(slider):
    record = dict.fromkeys(
        ("method", "model", "evaluations", "seconds", "seed", "noise_std", "residual")
    )
    record |= {"width": 1, "height": 1, "metrics": None, "baseline": None}
    before, after, spread = (Path(f"{name}.png") for name in ("before", "after", "std"))
    full = Outcome(record, True, [], [after, before], (before, after), spread, "<p>")
    status, shown, map_, files, report = shown_outcome(full, slider=slider)
    assert status.startswith("<p>Done")
    assert shown == (("before.png", "after.png") if slider else "after.png")
    assert files == ["after.png", "before.png"]
    assert (map_.visible, report.visible) == (True, True)
    bare = Outcome(record, True, [], [after], (before, after))
    assert [one.visible for one in shown_outcome(bare, slider=slider)[2::2]] == [False, False]


def test_a_report_reaches_nothing_of_the_page():
    frame = framed('<p title="a">')
    assert frame.startswith('<iframe sandbox="allow-scripts allow-downloads" srcdoc="&lt;p title=')
    assert "&quot;a&quot;" in frame
    assert framed(None) == ""
