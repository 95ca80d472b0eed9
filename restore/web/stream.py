"""Gradio's streams: of events, so that none is lost, and the one that says that a page is open.

A page reads what comes of its events from one stream, which the server closes after the last. A
page that is told that its next event is queued before it reads that the stream is closed waits for
ever: it takes the stream for open, and opens no other. So it is told a moment later.
"""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restore.web.files import Store

# Far longer than a page takes to read what was sent; the event itself begins at once.
READ_SECONDS = 1.0


class Stream:
    """Gradio behind it, whose answers come in the order that its page needs.

    Args:
        app: gradio's.
        store: is told of the pages that are open.
    """

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self._app, self._store = app, store
        self._closed = -READ_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def watched(message: Message) -> None:
            if b'"close_stream"' in message.get("body", b""):
                self._closed = time.monotonic()
            await send(message)

        async def held(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(self._closed + READ_SECONDS - time.monotonic())
            await send(message)

        path = scope.get("path", "")
        before, _, name = path.rpartition("/heartbeat/")
        if before:
            with self._store.page(name):
                await self._app(scope, receive, send)
            return
        send_as = {"data": watched, "join": held}.get(path.rpartition("/queue/")[2], send)
        await self._app(scope, receive, send_as)
