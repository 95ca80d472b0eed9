"""What stands before the page: who may come in, and what may be asked for.

Gradio serves more than this page uses (a proxy, addresses that the server fetches, code that the
browser edits). Only what the page uses passes, and only paths within the page's own folder.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restore.errors import InputError
from restore.web.log import log_failure

API = "/gradio_api"
FILE = f"{API}/file="
LOGIN = "/enter"
_READ = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)?"
    r"|/(assets|static|svelte)/[\w./-]+"
    rf"|{API}/(info|queue/data|upload_progress|startup-events|heartbeat/[\w-]+|file=.+)"
)
_UPLOAD = f"{API}/upload"
_WRITE = (f"{API}/queue/join", f"{API}/cancel", f"{API}/reset", f"{API}/run/predict")
# The browser itself refuses what is not from here.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not less: without a referrer browsers do not say that a form is the page's own.
    "Referrer-Policy": "same-origin",
}
_LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>restore</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; margin: 20vh auto; max-width: 22rem }</style>
<form method="post" action="/enter"><label>Password <input type="password" name="password"
autocomplete="current-password" autofocus required></label> <button>Enter</button>
<p>%s</p></form></html>"""
# From where a password was wrong, none is looked at for so long.
_WRONG_SECONDS = 1.0
_LONGEST_PASSWORD = 4096
# A page sends some dozens of values, and a drawing as one string, in whose alphabet these are not.
_BETWEEN_VALUES, _MOST_VALUES = (b",", b"[", b"{"), 10_000


class Refused(Exception):
    """A request that does not pass: its status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Gate:
    """ASGI middleware.

    Args:
        app: what is behind.
        root: the only folder that files may be asked for in.
        password: that is asked for; None for nobody else than this machine's users.
        hosts: names by which the server is called, against pages that point their own name here;
            None for any.
        body_bytes: of a request, at most.
        check_room: refuses so many bytes more, with an `InputError`, where there is no room.
    """

    def __init__(
        self,
        app: ASGIApp,
        root: Path,
        *,
        password: str | None,
        hosts: frozenset[str] | None,
        body_bytes: int,
        check_room: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.app, self.root = app, root.resolve()
        self.hosts, self.body_bytes, self._check_room = hosts, body_bytes, check_room
        # Of uploads that are under way.
        self._coming = 0
        self._password = None if password is None else password.encode()
        # A browser keeps one of a name for all ports: servers side by side need one each.
        self._cookie, self._token = f"restore-{secrets.token_hex(4)}", secrets.token_urlsafe(32)
        # When a password was wrong, by where it came from.
        self._wrong: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        response: Response
        try:
            if scope["type"] != "http":
                raise Refused(404, "expected a request of HTTP")
            headers = Headers(scope=scope)
            self._check_caller(scope, headers)
            if not self._knows(headers):
                response = await self._enter(scope, receive)
            elif scope["method"] == "POST" and scope["path"] == _UPLOAD:
                await self._upload(scope, headers, receive, send)
                return
            else:
                receive = await self._checked(scope, headers, receive)
                await self._served(scope, receive, send)
                return
        except Refused as error:
            response = PlainTextResponse(str(error), error.status)
        await response(scope, receive, _guarded(send))

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, _guarded(send))
        except Exception as error:  # answered already; the server would log what was asked for
            log_failure(error)

    def _check_caller(self, scope: Scope, headers: Headers) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        try:
            name = urlsplit(f"//{host}").hostname
            foreign = origin is not None and urlsplit(origin).netloc != host
        except ValueError as error:
            raise Refused(400, "expected the name of a host") from error
        if self.hosts is not None and name not in self.hosts:
            raise Refused(403, "not called by its own name; expected localhost")
        if foreign and scope["method"] not in ("GET", "HEAD"):
            raise Refused(403, "asked by another page; expected this one")

    def _knows(self, headers: Headers) -> bool:
        if self._password is None:
            return True
        # Browsers send those of all ports, of which some are of no form that Python's own reads.
        token = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def _enter(self, scope: Scope, receive: Receive) -> Response:
        """The page that asks for the password, or its answer."""
        assert self._password is not None
        if scope["method"] in ("GET", "HEAD") and scope["path"] == "/":
            return HTMLResponse(_LOGIN_PAGE % "", 401)
        if scope["method"] != "POST" or scope["path"] != LOGIN:
            raise Refused(401, "expected the password first")
        body = await _body(receive, _LONGEST_PASSWORD)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0].encode()
        # From here on nothing is awaited: guesses that come together are looked at one by one.
        now, source = time.monotonic(), _source(scope)
        self._wrong = {k: t for k, t in self._wrong.items() if now - t < _WRONG_SECONDS}
        if source in self._wrong:
            return HTMLResponse(_LOGIN_PAGE % "Too fast: wait a second, and try again.", 429)
        if not hmac.compare_digest(given, self._password):
            self._wrong[source] = now
            return HTMLResponse(_LOGIN_PAGE % "That is not it.", 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return response

    async def _checked(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        """The request's body, after a look at what is asked for.

        Raises:
            Refused: if it does not pass.
        """
        path: str = scope["path"]
        if scope["method"] in ("GET", "HEAD"):
            if not _READ.fullmatch(path) or ".." in path.split("/"):
                raise Refused(404, "no such page")
            if path.startswith(FILE):
                self._check_file(path.removeprefix(FILE))
            return receive
        if scope["method"] != "POST" or path not in _WRITE:
            raise Refused(404, "no such page")
        self._length(headers)
        body = await _body(receive, self.body_bytes)
        if sum(map(body.count, _BETWEEN_VALUES)) > _MOST_VALUES:
            raise Refused(413, f"expected at most {_MOST_VALUES} values")
        try:
            names = list(_paths(json.loads(body, parse_constant=_no_constant)))
        except (ValueError, RecursionError) as error:
            raise Refused(400, "expected JSON") from error
        for name in names:
            self._check_file(name)
        return _again(body, receive)

    async def _upload(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Pass an upload on, if there is room for it and for those that come at the same time."""
        length = self._length(headers)
        try:
            self._check_room(self._coming + length)
        except InputError as error:
            raise Refused(507, str(error)) from error
        self._coming += length
        try:
            await self._served(scope, receive, send)
        finally:
            self._coming -= length

    def _length(self, headers: Headers) -> int:
        """Bytes of a request, which the server holds it to."""
        length = headers.get("content-length", "")
        # Of a request in chunks the server does not count.
        if not length.isdecimal() or "transfer-encoding" in headers:
            raise Refused(411, "expected a request that says its length")
        if int(length) > self.body_bytes:
            raise Refused(413, f"{int(length)} bytes; expected at most {self.body_bytes}")
        return int(length)

    def _check_file(self, name: str) -> None:
        named = Path(name)
        try:
            # Elsewhere none is even looked for: Windows would tell another machine who asks.
            inside = named.is_relative_to(self.root)
            inside = inside and named.resolve().is_relative_to(self.root) and named.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # a name that no file can have
            raise Refused(403, "not a file of this page") from error
        if not inside:
            raise Refused(403, "not a file of this page")


def _source(scope: Scope) -> str:
    """Where a request comes from: an address, or the network of one of IPv6, of which all are."""
    address = str((scope.get("client") or ("",))[0])
    return IPv6Address(address).packed[:8].hex() if ":" in address else address


def _no_constant(name: str) -> float:
    raise ValueError(f"{name}, which is no JSON")


def _paths(content: Any) -> Iterator[str]:
    """Every path and address of a file in what a browser sent."""
    if isinstance(content, Mapping):
        if isinstance(path := content.get("path"), str):
            yield path
        for value in content.values():
            yield from _paths(value)
    elif isinstance(content, list):
        for value in content:
            yield from _paths(value)


async def _body(receive: Receive, most: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > most:
            raise Refused(413, f"expected at most {most} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, rest: Receive) -> Receive:
    """`receive` that gives a body that was read already, and then the rest."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await rest()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _guarded(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return guarded
