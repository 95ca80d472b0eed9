"""A visitor's session without a server, and a server of its own process."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.web.files import Store
from restore.web.service import Service

# Each connection that the server begins is a line of a file.
SERVE = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        log.write(f"{event} {arguments[1:] if event != 'socket.getaddrinfo' else arguments}\\n")
sys.addaudithook(watch)
from restore.cli.main import main
main()
"""


def smooth(width: int, height: int) -> np.ndarray:
    """A smooth colour picture, uint8 [height, width, 3]."""
    coarse = np.random.default_rng(0).integers(40, 216, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def as_drawing(pixels: np.ndarray) -> str:
    """A picture as the page's editor sends it."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(smooth(40, 30)).save(path)
    return path


@pytest.fixture
def hole() -> np.ndarray:
    pixels = np.zeros((30, 40), np.uint8)
    pixels[10:14, 5:30] = 255
    return pixels


@pytest.fixture
def service(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    service = Service(Store(root))
    yield service
    service.store.close_all()


@pytest.fixture
def upload(service):
    """Put a file where gradio puts uploads."""

    def put(path: Path, name: str | None = None) -> str:
        folder = service.store.root / "0123abcd"
        folder.mkdir(exist_ok=True)
        target = folder / (name or path.name)
        target.write_bytes(path.read_bytes())
        return str(target)

    return put


class Served:
    """`restore serve` in a process of its own: its address and what it wrote.

    Code may come before.
    """

    def __init__(self, folder: Path, *arguments: str, before: str = "") -> None:
        self.log = folder / "log"
        self.connections = folder / "connections"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    before + SERVE,
                    self.connections,
                    "serve",
                    "--port",
                    "0",
                    *arguments,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env=environment(folder),
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("http://"), self.log.read_text()
        self.address = line.split()[0].rstrip("/")
        self.temporary = folder / "tmp"

    def stop(self) -> str:
        """End it; returns its log."""
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.log.read_text()


def environment(folder: Path) -> dict[str, str]:
    """Temporary files go where the test sees them, through a link, as they do on macOS."""
    (folder / "there").mkdir()
    (folder / "tmp").symlink_to(folder / "there")
    return os.environ | {"TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Served]:
    """A server for all tests, after which nothing is left and nothing went out."""
    pytest.importorskip("gradio", reason="the extra `web` is not installed")
    server = Served(tmp_path_factory.mktemp("server"), "--max-upload", "4")
    yield server
    kept = list(server.temporary.glob("restore-web-*"))
    assert len(kept) == 1
    assert server.stop() == ""  # the log holds no name of a file, nor anything else
    assert not kept[0].exists()
    assert server.connections.read_text() == ""
