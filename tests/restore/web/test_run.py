"""Runs wait in a line, tell how far they are, and end when they are told to."""

from __future__ import annotations

import base64
import logging
import threading
import time
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from restore.errors import InputError
from restore.web import run as runs
from restore.web.log import log_failure
from restore.web.preview import preview_of
from restore.web.run import POLL_SECONDS, Cancelled, Line, Progress, Run

X = torch.full((1, 3, 8, 8), 0.5)


def test_one_run_at_a_time_in_the_order_they_came():
    line, gate, order = Line(5), threading.Event(), []

    def work(name):
        def of(on_step):
            order.append(name)
            gate.wait(10)
            on_step(1, 2, X)
            return name

        return of

    first = Run(line, work("first"))
    while not order:
        pass
    second = Run(line, work("second"))
    assert next(p for p in second.events() if p.before).before == 1
    third = Run(line, lambda on_step: third.progress)
    assert next(p for p in third.events() if p.before == 2)
    second.cancel()  # leaves the line before its turn
    with pytest.raises(Cancelled):
        second.result()
    assert next(p for p in third.events() if p.before == 1)
    last = Run(line, work("last"))
    assert next(p for p in last.events() if p.before == 2)
    last.cancel()
    with pytest.raises(Cancelled):
        last.result()
    third.wait(2.5 * POLL_SECONDS)
    assert (first.alive, third.progress.before) == (True, 1)
    gate.set()
    assert (first.result(), third.result()) == ("first", Progress())
    assert order == ["first"]


def test_the_line_is_bounded():
    line, gate = Line(0), threading.Event()
    first = Run(line, lambda on_step: gate.wait(10))
    next(first.events())
    first.wait(0.01)
    assert first.alive
    with pytest.raises(InputError, match="0 runs wait already"):
        Run(line, lambda on_step: 1).result()
    gate.set()
    first.result()


def test_cancelling_ends_a_run_at_its_next_step():
    seen, known = [], threading.Event()

    def work(on_step):
        known.wait(10)
        for step in range(1, 1001):
            seen.append(step)
            if step == 3:
                run.cancel()
            try:
                on_step(step, 1000, X)
            except Exception:  # what goes on after any error does not go on after this
                continue

    run = Run(Line(0), work)
    known.set()
    with pytest.raises(Cancelled):
        run.result()
    assert seen[-1] == 3


def test_what_went_wrong_reaches_the_visitor():
    def work(on_step):
        raise KeyError("x")

    run = Run(Line(0), work)
    assert [p.total for p in run.events()] in ([], [0])
    with pytest.raises(KeyError):
        run.result()


def test_progress_says_how_long_it_has_worked_and_shows_an_estimate_now_and_then(monkeypatch):
    clock, seen, known = iter([10.0, 12.0, 12.25, 12.75, 13.0]), [], threading.Event()
    monkeypatch.setattr(runs, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(runs, "preview_of", lambda x: f"of {x}")

    def work(on_step):
        known.wait(10)
        # The last one is of another part, which takes its own time.
        for step, total in ((1, 9), (2, 9), (3, 9), (1, 4)):
            on_step(step, total, step)
            seen.append(run.progress)

    run = Run(Line(0), work)
    known.set()
    run.wait()
    assert seen == [
        Progress(0, 1, 9, 2.0, "of 1"),
        Progress(0, 2, 9, 2.25, "of 1"),
        Progress(0, 3, 9, 2.75, "of 3"),
        Progress(0, 1, 4, 0.25, "of 3"),
    ]


def test_what_comes_after_a_run_comes_once(monkeypatch):
    gate, done = threading.Event(), []
    run = Run(Line(0), lambda on_step: gate.wait(10))
    run.then(lambda: done.append("first"))
    run.cancel()
    assert done == []
    gate.set()
    run.wait()
    assert done == ["first"]
    run.then(lambda: done.append("second"))
    assert done == ["first", "second"]


def test_what_does_not_change_is_told_once():
    told = list(Run(Line(0), lambda on_step: time.sleep(3.5 * POLL_SECONDS)).events())
    assert told in ([Progress()], [Progress()] * 2)


def test_time_left():
    assert Progress(step=5, total=20, seconds=10).left == 30
    assert Progress().left is None


def _picture(level: float, *shape: int, at: float | None = None) -> torch.Tensor:
    """Of one level, but for another at its first pixel."""
    x = torch.full(shape, level)
    x[..., 0, 0] = level if at is None else at
    return x


@pytest.mark.parametrize(
    ("x", "size", "level"),
    [
        (torch.stack([_picture(0.25, 3, 40, 30), torch.ones(3, 40, 30)]), (30, 40), 0.25),
        (_picture(0.5, 1, 1, 100, 1000), (334, 34), 0.5),
        (torch.arange(5.0)[None, :, None, None].expand(1, 5, 9, 9) / 8, (9, 9), 0.25),
        (torch.complex(_picture(0.3, 1, 1, 16, 8), _picture(0.4, 1, 1, 16, 8)), (8, 16), 0.5),
        (_picture(-3.0, 1, 1, 4, 4), (4, 4), 0.0),
        (_picture(0.5, 1, 1, 64, 64, at=50.0), (64, 64), 0.5),  # runs into white by itself
        (torch.cat([_picture(1.0, 1, 1, 16, 24), _picture(2.0, 1, 1, 16, 8)], 3), (32, 16), 0.5),
    ],
    ids=["the first", "large", "channels", "complex", "negative", "a peak", "beyond white"],
)
def test_previews_of_whatever_there_is(x, size, level):
    head, _, data = preview_of(x).partition(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(BytesIO(base64.b64decode(data)))
    assert image.size == size
    assert np.median(np.asarray(image)) / 255 == pytest.approx(level, abs=0.02)


def test_the_log_says_where_and_not_what(caplog):
    try:
        raise ValueError("/home/somebody/secret.png")
    except ValueError as error:
        with caplog.at_level(logging.ERROR, "restore.web"):
            log_failure(error)
    assert "ValueError in test_the_log_says_where_and_not_what" in caplog.text
    assert "secret" not in caplog.text
