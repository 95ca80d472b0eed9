"""The server of the page: where it listens, and what is left when it ends: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from types import FrameType, SimpleNamespace

import gradio as gr
import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout
from gradio import queueing, routes
from starlette.types import ASGIApp

from restore.errors import InputError
from restore.web.files import Store
from restore.web.gate import Gate
from restore.web.log import log_failure
from restore.web.page import asset, build_page
from restore.web.service import Limits, Service
from restore.web.stream import Stream

PORT, PORTS = 7860, 100
# Windows forbids some ports.
_TAKEN = (errno.EADDRINUSE, errno.EACCES)
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# Of the largest size, those that visitors may keep here in all.
KEPT_UPLOADS = 40
_FOLDER, _LOCK = "restore-web-", "lock"
# A server has its lock so long after its folder at the latest.
_LOCKED_SECONDS = 60.0
_SWEEP_SECONDS = 60.0
# What a request has besides the file that it uploads.
_ENVELOPE_BYTES = 2**20


@dataclass(frozen=True)
class Serving:
    """How the page is served.

    Attributes:
        host: address to listen at.
        port: None for the first free one from 7860.
        password: asked for; None for nobody.
        limits: what a visitor may ask for.
        device: where the network runs.
        models: paths of models that are offered besides the bundled ones.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    password: str | None = None
    limits: Limits = field(default_factory=Limits)
    device: str = "auto"
    models: tuple[str, ...] = ()


@contextmanager
def temporary_root() -> Iterator[Path]:
    """A folder that only this user can read, and that is gone afterwards.

    What a server left here that was killed goes first.
    """
    _delete_left()
    folder = Path(mkdtemp(prefix=_FOLDER))
    try:
        with FileLock(folder / _LOCK):
            root = folder / "files"
            root.mkdir()
            yield root
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _delete_left() -> None:
    """Delete the folders of servers that are no more: nobody holds their locks."""
    latest = time.time() - _LOCKED_SECONDS
    for folder in Path(gettempdir()).glob(f"{_FOLDER}*"):
        # Another user's may not be touched, and one may go at this moment.
        with contextlib.suppress(OSError, Timeout):
            if folder.stat().st_mtime < latest:
                with FileLock(folder / _LOCK, blocking=False):
                    pass
                shutil.rmtree(folder, ignore_errors=True)


def make_app(serving: Serving, root: Path) -> tuple[ASGIApp, Service]:
    """The page behind its gate, with its files in `root`."""
    root = root.resolve()  # by the name that the gate knows it by
    # Gradio reads where its own files go when components are made.
    os.environ["GRADIO_TEMP_DIR"] = str(root)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(root / "session-none")
    # Gradio prints what a request held that failed.
    for module in (queueing, routes):
        vars(module)["traceback"] = SimpleNamespace(print_exc=_log_current)
    store = Store(root, KEPT_UPLOADS * serving.limits.upload_bytes)
    service = Service(store, serving.limits, serving.device, serving.models)
    page = build_page(service)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_keep_swept(store))
        yield
        sweeping.cancel()
        store.close_all()
        # Here, since a signal that ends the server ends the process as soon as it is down.
        shutil.rmtree(root, ignore_errors=True)

    app = gr.mount_gradio_app(
        FastAPI(lifespan=lifespan, openapi_url=None),
        page,
        "/",
        footer_links=[],
        run_history=False,
        max_file_size=serving.limits.upload_bytes,
        ssr_mode=False,
        show_error=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        css=asset("page.css"),
        head=f"<script>{asset('editor.js')}</script>",
        theme=_theme(),
    )
    # Set by `launch`, which also asks the network for things; without it gradio checks no path.
    page.has_launched = True
    gate = Gate(
        Stream(app, service.store),
        root,
        check_room=service.store.check_room,
        password=serving.password,
        hosts=LOOPBACK if serving.host in LOOPBACK else None,
        body_bytes=serving.limits.upload_bytes + _ENVELOPE_BYTES,
    )
    return gate, service


async def _keep_swept(store: Store) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await asyncio.to_thread(store.sweep)
        except Exception as error:  # the next time may be better
            log_failure(error)


def _theme() -> gr.themes.Base:
    """Gradio's, with explanations and buttons whose contrast is 4.5 and more."""
    return gr.themes.Default(font="system-ui", font_mono="monospace").set(
        body_text_color_subdued="*neutral_500",
        input_placeholder_color="*neutral_500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def _log_current() -> None:
    """Say where the exception was raised that is being handled."""
    if error := sys.exception():
        log_failure(error)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket at the port, or at the first free one from 7860.

    Raises:
        InputError: if there is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for candidate in range(PORT, PORT + PORTS) if port is None else (port,):
        try:
            return socket.create_server((host, candidate), family=family)
        except OSError as error:  # of names, too, whose numbers are no others' numbers
            reason = str(error.strerror).partition(" (while")[0].lower()
            if error.errno not in _TAKEN:
                break  # no other port would help
    raise InputError(
        f"--host {host} --port {port or PORT}: {reason}; expected an address that is free"
    )


class Server(uvicorn.Server):
    """uvicorn's, that ends quietly at the first signal, whatever comes after it.

    Args:
        app: what is served. No request is logged.
        ready: called once it answers, and signals end it.
    """

    def __init__(self, app: ASGIApp, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End what is served: pages that are open, which uvicorn would call errors."""
        if not self.should_exit:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
            super().handle_exit(sig, frame)


def serve(serving: Serving, started: Callable[[str], None]) -> None:
    """Serve the page until interrupted.

    Args:
        serving: how.
        started: called with the page's address when it is there.

    Raises:
        InputError: if nobody is asked for a password and others can come, or the port is taken.
    """
    if serving.host not in LOOPBACK and not serving.password:
        raise InputError(f"--host {serving.host}: others can come in; expected a --password")
    listening = listen(serving.host, serving.port)
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    address = f"http://{host}:{listening.getsockname()[1]}/"
    service: Service | None = None
    with temporary_root() as root, listening, contextlib.suppress(KeyboardInterrupt):
        app, service = make_app(serving, root)
        server = Server(app, lambda: started(address))
        if hasattr(signal, "SIGHUP"):  # the terminal is closed
            signal.signal(signal.SIGHUP, server.handle_exit)
        server.run(sockets=[listening])
    if service is not None and service.line.busy:
        # An evaluation of the network cannot be ended, and Python would wait for it.
        os._exit(0)
