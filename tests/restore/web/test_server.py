"""The page's server in a process of its own, asked by hand."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from restore.cli.app import app
from restore.errors import InputError
from restore.web.server import _keep_swept, listen, temporary_root

from .conftest import Served, environment


def ask(served: Served, path: str, method: str = "GET", body: object = None, **headers: str):
    """Status and text of an answer; the path is sent as it is."""
    connection = http.client.HTTPConnection(urlsplit(served.address).netloc, timeout=30)
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"} | headers)
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    connection.close()
    return response.status, text, response.headers


@pytest.fixture(scope="module")
def config(served):
    return json.loads(ask(served, "/config")[1])


def test_the_page_is_there_and_asks_for_nothing_elsewhere(served, config):
    status, text, headers = ask(served, "/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "fonts.googleapis" not in text
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == []
    titles = [c["props"]["label"] for c in config["components"] if c["type"] == "tabitem"]
    assert titles == [
        "Inpaint", "Super-resolve", "Denoise", "Deblur", "Dejpeg", "Colorize", "Compare", "MRI",
        "CT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=%2Fetc%2Fpasswd",
        "/gradio_api/file=..%2f..%2f..%2fetc/passwd",
        "/gradio_api/file//etc/passwd",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file=http://127.0.0.1:9/x",
        "/gradio_api/proxy=http://127.0.0.1:9/x",
        "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/assets/../../../../../../../etc/passwd",
        "/svelte/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    ],
)
def test_no_file_of_the_host_is_read(served, path):
    status, text, _ = ask(served, path)
    assert status in (403, 404)
    assert "root:" not in text


def test_no_file_of_the_host_is_restored(served, config):
    starts = [d["id"] for d in config["dependencies"] if len(d["inputs"]) > 5]
    for path in ("/etc/passwd", "http://127.0.0.1:9/x.png"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        body = {"data": [file], "fn_index": starts[0], "session_hash": "visitor"}
        assert ask(served, "/gradio_api/queue/join", "POST", body)[0] == 403


def test_the_log_holds_nothing_of_a_request_that_fails(tmp_path):
    """Too few values, and one out of bounds: gradio would print all that was sent."""
    server = Served(tmp_path)
    config = json.loads(ask(server, "/config")[1])
    start = next(d for d in config["dependencies"] if len(d["inputs"]) > 5)
    numbers = {c["id"] for c in config["components"] if c["type"] == "number"}
    values = [-1 if n in numbers else None for n in start["inputs"]]
    for data in (["secret"], values):
        body = {"data": data, "fn_index": start["id"], "session_hash": "visitor"}
        assert ask(server, "/gradio_api/queue/join", "POST", body)[0] == 200
        answer = ask(server, "/gradio_api/queue/data?session_hash=visitor")[1]
        assert '"success":false' in answer.replace(" ", "")
    body = {"data": ["secret"], "fn_index": 999, "session_hash": "visitor"}
    assert ask(server, "/gradio_api/queue/join", "POST", body)[0] == 500
    log = server.stop()
    assert "secret" not in log
    told = [line.split(" in ")[0] for line in log.splitlines()]
    assert told == ["ValueError", "Error", "KeyError"]


def test_uploads_are_limited(served):
    boundary = "x" * 16
    content = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"
    ).encode() + bytes(4 * 2**20 + 1)
    body = content + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert ask(served, "/gradio_api/upload", "POST", body, **kind)[0] == 413
    much = bytes(6 * 2**20)
    assert ask(served, "/gradio_api/upload", "POST", much, **kind)[0] == 413


def test_a_server_with_open_pages_ends_quietly(tmp_path):
    server = Served(tmp_path)
    page = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=30)
    page.request("GET", "/gradio_api/heartbeat/visitor")
    assert page.getresponse().status == 200
    for _ in range(2):
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert server.process.wait(30) == 0
    assert server.stop() == ""
    page.close()


# A run that never comes to the end of its evaluation.
_STUCK = """
import threading
from restore.cli import serve
from restore.web import server
made = server.make_app
def with_a_run(*arguments):
    app, service = made(*arguments)
    session = service.store.session("visitor")
    with session.starting():
        service.start(session, lambda on_step: threading.Event().wait())
    return app, service
server.make_app = with_a_run
"""


def test_a_server_ends_though_an_evaluation_does_not(tmp_path):
    server = Served(tmp_path, before=_STUCK)
    assert len(list(server.temporary.glob("restore-web-*/files/session-*"))) == 1
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0  # of an evaluation that takes for ever
    assert server.stop() == ""
    assert list(server.temporary.glob("restore-web-*")) == []


def test_what_a_killed_server_left_goes_with_the_next(tmp_path, monkeypatch):
    server = Served(tmp_path)
    server.process.kill()
    server.stop()
    [left] = server.temporary.glob("restore-web-*")
    monkeypatch.setattr(tempfile, "tempdir", str(server.temporary))
    old = time.time() - 3600
    with temporary_root() as living:
        assert left.exists()  # one that has its lock in a moment would look the same
        for folder in (left, living.parent):
            os.utime(folder, (old, old))
        with temporary_root() as root:
            assert not left.exists()
            assert living.exists()
            assert stat.S_IMODE(root.parent.stat().st_mode) == 0o700
    assert list(server.temporary.glob("restore-web-*")) == []


def test_what_was_given_up_is_swept_without_anything_being_asked(tmp_path, monkeypatch, caplog):
    swept = []

    def sweep():
        swept.append(len(swept))
        if len(swept) == 1:
            raise OSError("full")

    monkeypatch.setattr("restore.web.server._SWEEP_SECONDS", 0.01)
    store = SimpleNamespace(sweep=sweep)

    async def serve():
        sweeping = asyncio.create_task(_keep_swept(store))
        while len(swept) < 3:
            await asyncio.sleep(0.01)
        sweeping.cancel()

    asyncio.run(asyncio.wait_for(serve(), 10))
    assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == ["OSError"]


def test_others_need_a_password():
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0"])
    assert result.exit_code == 2
    assert result.stderr == "--host 0.0.0.0: others can come in; expected a --password\n"


def test_a_port_that_is_taken_is_said_in_a_line(served):
    port = urlsplit(served.address).port
    result = CliRunner().invoke(app, ["serve", "--port", str(port)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"--host 127.0.0.1 --port {port}: address already in use")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_an_address_that_is_none_is_said_once_in_words(monkeypatch, host):
    asked, create = [], socket.create_server

    def counted(address, **options):
        asked.append(address)
        return create(address, **options)

    monkeypatch.setattr(socket, "create_server", counted)
    with pytest.raises(InputError, match=r"--port 7860: [a-z',/ ]+; expected an address that is"):
        listen(host, None)
    assert len(asked) == 1  # no other port would help


def test_a_device_or_model_that_is_not_there_is_said_before(tmp_path):
    for arguments, text in ((["--device", "npu"], "--device npu"), (["-n", "none"], "none: no")):
        result = CliRunner().invoke(app, ["serve", *arguments])
        assert (result.exit_code, result.stderr.startswith(text)) == (2, True)


def test_without_gradio_a_line_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['gradio'] = None\nfrom restore.cli.main import main\n"
        "sys.argv = ['restore', 'serve']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path)
    )
    assert done.returncode == 2
    assert 'pip install ".[web]"' in done.stderr
    assert done.stderr.count("\n") == 1
