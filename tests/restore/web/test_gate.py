"""What stands before the page, without the page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette", reason="the extra `web` is not installed")

from restore.errors import InputError
from restore.web import gate as gates
from restore.web.gate import Gate

HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
JSON = {"content-type": "application/json"}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "0123abcd").mkdir(parents=True)
    (folder / "0123abcd" / "photo.png").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


class Visitor:
    """Asks a gate; behind it is a page that answers with what it was sent."""

    def __init__(self, root, **options) -> None:
        chosen = {"password": None, "hosts": HOSTS, "body_bytes": 1000} | options
        self.gate = Gate(self.page, root, **chosen)
        self.cookie = None

    async def page(self, scope, receive, send) -> None:
        body, more = b"", scope["method"] == "POST"
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        if scope["method"] == "POST":  # as a page does that listens for the visitor's leaving
            assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page " + body})

    def ask(self, *request, **options) -> tuple[int, str]:
        return asyncio.run(self.asked(*request, **options))

    async def asked(
        self, path, method="GET", body=b"", headers=None, kind="http", client=("127.0.0.1", 1)
    ) -> tuple[int, str]:
        headers = {"host": "localhost:7860", "content-length": str(len(body))} | (headers or {})
        if self.cookie:
            headers["cookie"] = self.cookie
        scope = {
            "type": kind,
            "client": client,
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [
                (k.encode(), v.encode("latin-1")) for k, v in headers.items() if v is not None
            ],
        }
        sent = []
        half = len(body) // 2
        coming = iter(
            [
                {"type": "http.request", "body": body[:half], "more_body": True},
                {"type": "http.request", "body": body[half:], "more_body": False},
                {"type": "http.disconnect"},
            ]
        )

        async def receive():
            return next(coming)

        async def send(message):
            sent.append(message)

        await self.gate(scope, receive, send)
        self.headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        if "set-cookie" in self.headers:
            self.cookie = self.headers["set-cookie"].partition(";")[0]
        return sent[0]["status"], sent[1]["body"].decode()

    def post(self, path, content, **headers) -> int:
        return self.ask(path, "POST", json.dumps(content).encode(), JSON | headers)[0]


@pytest.fixture
def visitor(root):
    return Visitor(root)


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/theme.css", "/assets/index.js", "/gradio_api/heartbeat/ab12", "/static/x"],
)
def test_what_the_page_uses_passes(visitor, path):
    assert visitor.ask(path) == (200, "page ")
    assert "connect-src 'self'" in visitor.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in visitor.headers["content-security-policy"]
    assert visitor.headers["x-content-type-options"] == "nosniff"
    # Browsers say that a form is the page's own only where there is a referrer.
    assert visitor.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=https://example.org/x",
        "/gradio_api/openapi.json",
        "/gradio_api/vibe-code",
        "/gradio_api/heartbeat/a/b",
        "/monitoring",
        "/gradio_api/run-history/records",
        "/gradio_api/stream/a/b/c/playlist-file",
        "/assets/../../etc/passwd",
        "/assets/..\\..\\etc\\passwd",
        "/static/d:secret.txt",
        "/enter",
    ],
)
def test_what_it_does_not_use_does_not_pass(visitor, path):
    assert visitor.ask(path)[0] == 404
    assert visitor.post(path, {}) == 404
    assert "default-src 'self'" in visitor.headers["content-security-policy"]


def test_files_of_the_page_and_no_others_are_read(visitor, root):
    file = "/gradio_api/file="
    assert visitor.ask(f"{file}{root}/0123abcd/photo.png")[0] == 200
    for path in (
        "/etc/passwd",
        "//etc/passwd",
        f"{root}/../secret.txt",
        f"{root}/link.txt",
        f"{root}/0123abcd",
        f"{root}/none.png",
        "https://example.org/x.png",
        "http://127.0.0.1/x.png",
        "secret.txt",
        "a\0b",
        "x" * 5000,
        f"{root}/a\0b",
        f"{root}/{'x' * 5000}",
    ):
        assert visitor.ask(file + path)[0] in (403, 404), path


def test_what_a_page_sends_names_files_of_its_own_only(visitor, root):
    join = "/gradio_api/queue/join"
    good = {"data": [{"path": f"{root}/0123abcd/photo.png", "meta": {}}], "fn_index": 1}
    assert visitor.post(join, good) == 200
    inner = {"data": [good["data"][0] | {"value": {"path": "/etc/passwd"}}]}
    assert visitor.post(join, inner) == 403
    assert visitor.post(join + "ed", good) == 404
    for path in ("/etc/passwd", f"{root}/link.txt", "https://example.org/x.png"):
        assert visitor.post(join, {"data": [[{"value": {"path": path}}]]}) == 403
        assert visitor.post("/gradio_api/run/upload", {"path": path}) in (403, 404)
    assert visitor.ask(join, "POST", b"{", JSON)[0] == 400
    assert visitor.post("/gradio_api/component_server", {}) == 404


def test_what_lies_elsewhere_is_not_looked_for(visitor, root, monkeypatch):
    """Windows would tell another machine who asks, as soon as a file there is looked for."""
    looked = []
    monkeypatch.setattr(Path, "resolve", lambda path: looked.append(path) or path)
    for name in (r"\\host\share", "//host/share", "/etc/passwd", "secret.txt"):
        assert visitor.ask(f"/gradio_api/file={name}")[0] == 403
        assert visitor.post("/gradio_api/queue/join", {"path": name}) == 403
    assert looked == []
    assert visitor.ask(f"/gradio_api/file={root}/0123abcd/photo.png")[0] == 200


def test_a_body_reaches_the_page_as_it_was_sent(visitor):
    body = json.dumps({"data": [1.5, "ä", None]}).encode()
    assert visitor.ask("/gradio_api/run/predict", "POST", body)[1] == "page " + body.decode()


def test_bodies_are_bounded_and_say_how_long_they_are(visitor):
    upload = "/gradio_api/upload"
    assert visitor.ask(upload, "POST", b"x" * 1000)[0] == 200
    assert visitor.ask(upload, "POST", b"x" * 1001)[0] == 413
    for length in (None, "-1", "1e3"):
        assert visitor.ask(upload, "POST", b"x", {"content-length": length})[0] == 411
    lied = {"content-length": "10"}
    for length, status in ((1000, 200), (1001, 413)):
        body = b"1" * length
        assert visitor.ask("/gradio_api/queue/join", "POST", body, lied)[0] == status
    # In chunks it may be longer than it says.
    chunked = {"content-length": "10", "transfer-encoding": "chunked"}
    for path in (upload, "/gradio_api/queue/join"):
        assert visitor.ask(path, "POST", b"x" * 2000, chunked)[0] == 411


def test_pages_elsewhere_do_not_get_in(visitor):
    assert visitor.ask("/", headers={"host": "evil.example:7860"})[0] == 403
    assert visitor.ask("/", headers={"host": "[::1]:7860"})[0] == 200
    for origin in ("http://evil.example", "http://localhost:9999", "null"):
        assert visitor.post("/gradio_api/queue/join", {}, origin=origin) == 403
    assert visitor.post("/gradio_api/queue/join", {}, origin="http://localhost:7860") == 200


def test_the_password_opens_everything_and_nothing_else_does(root, monkeypatch):
    monkeypatch.setattr(gates, "_WRONG_SECONDS", 0.0)
    visitor = Visitor(root, password="höchst geheim", hosts=None)
    outside = {"host": "192.168.0.7:7860"}
    status, text = visitor.ask("/", headers=outside)
    assert (status, "Password" in text) == (401, True)
    for path in ("/config", "/gradio_api/info", f"/gradio_api/file={root}/0123abcd/photo.png"):
        assert visitor.ask(path, headers=outside) == (401, "expected the password first")
    assert visitor.post("/gradio_api/queue/join", {}, **outside) == 401
    right = b"password=h%C3%B6chst+geheim"
    assert visitor.ask("/gradio_api/queue/join", "POST", right, outside)[0] == 401
    for body in (b"password=falsch", b"", b"\xff"):
        assert visitor.ask("/enter", "POST", body, outside)[0] == 401
    assert visitor.ask("/enter", "POST", b"x" * 4097, outside)[0] == 413
    assert visitor.ask("/enter", "POST", right, outside)[0] == 303
    assert {"HttpOnly", "SameSite=strict"} <= set(visitor.headers["set-cookie"].split("; "))
    assert visitor.ask("/config", headers=outside)[0] == 200
    visitor.cookie = f"{visitor.cookie.partition('=')[0]}=guessed"
    assert visitor.ask("/config", headers=outside)[0] == 401


def test_servers_side_by_side_know_their_visitors(root):
    """A browser sends the cookies of all ports of a host to each."""
    visitors = [Visitor(root, password="right") for _ in range(2)]
    for visitor in visitors:
        assert visitor.ask("/enter", "POST", b"password=right")[0] == 303
    names = {visitor.cookie.partition("=")[0] for visitor in visitors}
    assert len(names) == 2
    for visitor in visitors:
        visitor.cookie = "; ".join(other.cookie for other in visitors)
        assert visitor.ask("/config")[0] == 200


@pytest.mark.parametrize("other", ['foo={"a":1}', "theme=dark mode", "x[y]=1", "bad", "u=\xfc"])
def test_cookies_of_others_do_not_matter(root, other):
    visitor = Visitor(root, password="right")
    assert visitor.ask("/enter", "POST", b"password=right")[0] == 303
    visitor.cookie = f"{other}; {visitor.cookie}; {other}"
    assert visitor.ask("/config")[0] == 200


def test_a_failure_behind_is_told_without_what_was_asked(root, caplog):
    visitor = Visitor(root)

    async def failing(scope, receive, send):
        await visitor.page(scope, receive, send)
        raise KeyError("secret")

    visitor.gate.app = failing
    assert visitor.post("/gradio_api/queue/join", {"data": "secret"}) == 200
    assert [r.getMessage().partition(" in ")[0] for r in caplog.records] == ["KeyError"]
    assert "secret" not in caplog.text


def test_an_upload_needs_room_besides_those_that_come_with_it(root):
    told, there = [], 1000

    def check_room(coming):
        told.append(coming)
        if coming > there:
            raise InputError("full")

    visitor = Visitor(root, check_room=check_room)
    assert visitor.ask("/gradio_api/upload", "POST", b"x" * 600)[0] == 200

    async def meanwhile(scope, receive, send):
        visitor.gate.app = visitor.page
        status, text = await visitor.asked("/gradio_api/upload", "POST", b"x" * 401)
        assert (status, text) == (507, "full")
        await visitor.page(scope, receive, send)

    visitor.gate.app = meanwhile
    assert visitor.ask("/gradio_api/upload", "POST", b"x" * 600)[0] == 200
    assert visitor.ask("/gradio_api/upload", "POST", b"x" * 1000)[0] == 200
    assert told == [600, 600, 1001, 1000]
    assert visitor.post("/gradio_api/queue/join", {}) == 200  # no upload
    assert len(told) == 4


def test_a_request_of_more_values_than_a_page_has_is_not_read(root, monkeypatch):
    """A million of them would hold the server for a second; a drawing is one, however long."""
    visitor = Visitor(root, body_bytes=10**6)
    join = "/gradio_api/queue/join"
    assert visitor.post(join, {"data": ["A" * 900_000, *range(9_000)]}) == 200
    monkeypatch.setattr(gates.json, "loads", None)
    assert visitor.post(join, {"data": [0] * 10_001}) == 413
    assert visitor.post(join, [[]] * 10_001) == 413
    assert visitor.post(join, [{}] * 10_001) == 413


def test_requests_that_make_no_sense_are_refused(visitor, root):
    assert visitor.ask("/gradio_api/queue/data", kind="websocket")[0] == 404
    assert visitor.ask("/", headers={"host": "["})[0] == 400
    assert visitor.post("/gradio_api/queue/join", {}, origin="http://[") == 400
    assert visitor.ask("/gradio_api/queue/join", "POST", b"\xff", JSON)[0] == 400
    assert visitor.ask("/gradio_api/queue/join", "POST", b'{"a": NaN}', JSON)[0] == 400
    deep = Visitor(root, body_bytes=10**6)
    assert deep.ask("/gradio_api/queue/join", "POST", b"[" * 9_999, JSON)[0] == 400
    (root / "loop").symlink_to(root / "loop")
    assert visitor.ask(f"/gradio_api/file={root}/loop")[0] == 403
    guarded = Visitor(root, password="x")
    guarded.cookie = f'a,b[c=d; {guarded.gate._cookie}="; =; ä'
    assert guarded.ask("/config")[0] == 401


def test_a_wrong_password_keeps_its_sender_waiting(root, monkeypatch):
    now = 100.0
    monkeypatch.setattr(gates, "time", SimpleNamespace(monotonic=lambda: now))
    visitor = Visitor(root, password="right", hosts=None)

    def enter(password, source="192.0.2.1"):
        visitor.cookie = None
        return visitor.ask("/enter", "POST", f"password={password}".encode(), client=(source, 1))[0]

    assert enter("wrong") == 401
    # Nothing is learnt from those that come at once, not even of the right one.
    assert {enter(word) for word in ("wrong", "other", "right")} == {429}
    assert enter("right", "192.0.2.2") == 303
    now += 1.01
    assert enter("right") == 303
    assert (enter("wrong", "2001:db8::1"), enter("right", "2001:db8::ff:2")) == (401, 429)
    assert enter("right", "2001:db8:0:1::1") == 303
    now += 1.01
    enter("wrong")
    assert len(visitor.gate._wrong) == 1  # no list that grows


def test_guesses_that_come_together_are_looked_at_one_by_one(root):
    visitor = Visitor(root, password="right", hosts=None)

    async def guess():
        words = [f"password={i}".encode() for i in range(50)]
        return await asyncio.gather(*(visitor.asked("/enter", "POST", word) for word in words))

    assert [status for status, _ in asyncio.run(guess())] == [401] + [429] * 49
