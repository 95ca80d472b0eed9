"""Runs wait in a line, tell how far they are, and end when they are told to."""

from __future__ import annotations

import logging
import threading

import pytest
import torch

from restore.errors import InputError
from restore.web.log import log_failure
from restore.web.preview import preview_of
from restore.web.run import Cancelled, Line, Progress, Run

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
    third = Run(line, work("third"))
    assert next(p for p in third.events() if p.before == 2)
    second.cancel()  # leaves the line before its turn
    with pytest.raises(Cancelled):
        second.result()
    gate.set()
    assert (first.result(), third.result()) == ("first", "third")
    assert order == ["first", "third"]


def test_the_line_is_bounded():
    line, gate = Line(0), threading.Event()
    first = Run(line, lambda on_step: gate.wait(10))
    while not line._line:
        pass
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


def test_time_left():
    assert Progress(step=5, total=20, seconds=10).left == 30
    assert Progress().left is None


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(2, 3, 40, 30),
        torch.rand(1, 1, 900, 1000),
        torch.rand(1, 5, 9, 9),
        torch.complex(torch.rand(1, 2, 16, 8), torch.rand(1, 2, 16, 8)),
        torch.full((1, 1, 4, 4), -3.0),
    ],
)
def test_previews_of_whatever_there_is(x):
    address = preview_of(x)
    assert address.startswith("data:image/jpeg;base64,")
    assert len(address) < 200_000


def test_the_log_says_where_and_not_what(caplog):
    try:
        raise ValueError("/home/somebody/secret.png")
    except ValueError as error:
        with caplog.at_level(logging.ERROR, "restore.web"):
            log_failure(error)
    assert "ValueError in test_the_log_says_where_and_not_what" in caplog.text
    assert "secret" not in caplog.text
