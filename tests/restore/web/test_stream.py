"""What is told of events that begin as others end."""

from __future__ import annotations

import asyncio
import time

import pytest

pytest.importorskip("gradio", reason="the extra `web` is not installed")

from restore.web import stream
from restore.web.files import ABANDONED_SECONDS, Store
from restore.web.stream import Stream


async def gradio(scope, receive, send):
    """Closes a stream, queues an event, or serves a page."""
    body = b'data: {"msg": "close_stream"}\n\n' if scope["path"].endswith("/data") else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Ask for paths after one another; returns how long each answer was held, and the answers."""
    now, holds = [0.0], []

    async def sleep(seconds):
        now[0] += max(seconds, 0)

    monkeypatch.setattr(stream.asyncio, "sleep", sleep)
    monkeypatch.setattr(stream.time, "monotonic", lambda: now[0])

    def ask(*paths):
        app, answers = Stream(gradio, Store(tmp_path)), []

        async def send(message):
            answers.append(message)

        async def run():
            for path in paths:
                before = now[0]
                await app({"type": "http", "path": f"/gradio_api{path}"}, None, send)
                holds.append(now[0] - before)

        asyncio.run(run())
        return holds, answers

    return ask


def test_an_event_is_told_when_the_end_of_the_stream_before_it_is_read(asked):
    once = ("/queue/join", "/queue/data")
    holds, answers = asked(*once, *once, "/queue/join", "/queue/join", "/info")
    assert holds == [0, 0, stream.READ_SECONDS, 0, stream.READ_SECONDS, 0, 0]
    assert len(answers) == 14


def test_a_page_is_open_while_its_heart_beats(tmp_path):
    store = Store(tmp_path)
    late = time.time() + ABANDONED_SECONDS + 1

    async def beating(scope, receive, send):
        folder = store.session("a").folder
        store.sweep(late)
        assert folder.exists()
        raise ConnectionError

    path = {"type": "http", "path": "/gradio_api/heartbeat/a"}
    with pytest.raises(ConnectionError):
        asyncio.run(Stream(beating, store)(path, None, None))
    store.sweep(late)
    assert list(store.root.iterdir()) == []
