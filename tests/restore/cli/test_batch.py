"""`restore batch`: the files of the verb, made by several processes."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from PIL import Image

from restore.cli import workers
from restore.cli.outputs import Job, undoing

pytest.importorskip("ray")

OWN = """
import os, time
from dataclasses import dataclass
from typing import ClassVar

from restore.methods import Method


@dataclass(frozen=True)
class Moody(Method):
    name: ClassVar[str] = "moody"
    title: ClassVar[str] = "Dies of a white picture, fails with a black one"
    reference: ClassVar[str] = "none"
    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(self, problem, prior, *, noise, on_step=None):
        level = float(problem.y.mean())
        if level > 0.9:
            os._exit(1)
        if level < 0.1:
            raise ArithmeticError("too dark")
        return 0 * problem.y
"""


@pytest.fixture
def pictures(tmp_path, photo):
    folder = tmp_path / "in"
    folder.mkdir()
    picture = Image.open(photo)
    for number, name in enumerate("abc"):
        picture.crop((0, 0, 33 + 3 * number, 30)).save(folder / f"{name}.png")
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".json"}


def _command_lines(processes: Iterable[psutil.Process]) -> dict[psutil.Process, str]:
    """Of those that are there and are not merely waiting to be forgotten."""
    found = {}
    for process in processes:
        with suppress(psutil.Error):
            found[process] = " ".join(process.cmdline())
    return {process: line for process, line in found.items() if line}


def test_makes_the_files_of_the_verb(restore, tmp_path, pictures, monkeypatch):
    """Also where the home is no place to write to."""
    monkeypatch.setenv("HOME", str(pictures / "a.png"))
    (pictures / "bad.png").write_text("not a picture")
    options = ("denoise", "in", "--sigma", 0.1, "--samples", 2, "--steps", 3, "--json")
    alone = restore(*options, "-o", "one")
    many = restore("batch", "--workers", 2, *options, "-o", "many")
    assert alone.code == many.code == 1
    assert alone.err == many.err
    assert _files(tmp_path / "one") == _files(tmp_path / "many")
    assert len(_files(tmp_path / "many")) == 9

    def told(records):
        changing = ("seconds", "output", "sidecar")
        kept = [{k: v for k, v in r.items() if k not in changing} for r in records]
        return sorted(kept, key=lambda record: record["input"])

    assert told(alone.records) == told(many.records)

    # It goes on where it stopped: what is there stays, what is missing is made.
    before = _files(tmp_path / "many")
    (pictures / "bad.png").unlink()
    (tmp_path / "many" / "b_denoise.png").unlink()
    kept = (tmp_path / "many" / "a_denoise.png").stat().st_mtime_ns
    again = restore("batch", *options, "-o", "many", "--skip-existing")
    assert again.code == 0
    assert [record["input"] for record in again.records] == ["in/b.png"]
    assert _files(tmp_path / "many") == before
    assert (tmp_path / "many" / "a_denoise.png").stat().st_mtime_ns == kept


def test_what_stops_one_file_stops_no_other(restore, tmp_path, pictures, monkeypatch):
    (tmp_path / "moods.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, level in (("black", 0), ("white", 255)):
        Image.new("L", (32, 32), level).save(pictures / f"{name}.png")
    done = restore(
        "batch", "--workers", 2, "denoise", "in", "-o", "out", "--sigma", 0.01, "-m", "moods:Moody",
        "--json",
    )  # fmt: skip
    sys.modules.pop("moods")
    assert done.code == 1
    assert len(done.records) == len(done.out.splitlines()) == 5  # nothing else is on stdout
    dark, died = done.err.splitlines()  # in the order of the inputs
    assert dark == "in/black.png: ArithmeticError: too dark (--debug shows where)"
    assert died.startswith("in/white.png: its worker died")
    assert {"a_denoise.png", "b_denoise.png", "c_denoise.png"} == set(_files(tmp_path / "out"))


def test_workers_that_cannot_start_are_one_line(restore, tmp_path, pictures, monkeypatch):
    only_here = "import sys\nif 'default_worker' in sys.argv[0]: raise MemoryError('no room')\n"
    (tmp_path / "roomy.py").write_text(only_here + "def same(x, sigma): return x\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    done = restore("batch", "--workers", 2, "denoise", "in", "-o", "out", "-n", "roomy:same")
    sys.modules.pop("roomy")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("no worker could start (")
    assert "MemoryError: no room" in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists() or not _files(tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "_Worker.restore"), (signal.SIGTERM, "gcs_server")],
    ids=["restoring", "starting"],
)
def test_interrupted(tmp_path, pictures, number, moment):
    """Also when the terminal is closed while it takes away what it began."""
    code = "from restore.cli.main import main; main()"
    command = [
        sys.executable, "-c", code, "batch", "denoise", str(pictures), "--samples", "3",
        "--sigma", "0.1", "--steps", "2000", "-o", str(tmp_path / "out"),
    ]  # fmt: skip
    process = psutil.Popen(
        command, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.time() + 120
    began: dict[psutil.Process, str] = {}
    while not any(moment in line for line in began.values()):
        assert process.poll() is None
        assert time.time() < deadline, f"no {moment} in {began}"
        time.sleep(0.1)
        began = _command_lines(process.children(recursive=True))
    process.send_signal(number)
    time.sleep(1.5)
    process.send_signal(signal.SIGHUP)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error == "interrupted\n"
    assert {path.name for path in tmp_path.iterdir()} == {"in", "photo.png"}
    (folder,) = set(re.findall(r"/restore-\w+", " ".join(began.values())))
    _, alive = psutil.wait_procs(list(began), timeout=30)  # what was ended may take a moment
    assert not alive
    assert not any(folder in line for line in _command_lines(psutil.process_iter()).values())
    assert not Path(f"/tmp{folder}").exists()


def test_what_workers_began_is_taken_away_that_were_ended_at_once(tmp_path, monkeypatch):
    """As a signal does on Windows."""
    job = Job(tmp_path / "a.png", tmp_path / "a_denoise.png", ())
    pool = object.__new__(workers._Pool)
    pool._ray = SimpleNamespace(wait=lambda tasks, **_: (tasks, []))
    pool._pids = {"worker": 12345}
    pool.running = {"task": (job, "worker", undoing(job))}
    job.output.touch()

    def ended(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(workers.os, "kill", ended)
    pool.stop()
    assert not job.output.exists()


def test_refusals_are_those_of_the_verb(restore, pictures):
    for arguments in (("denoise", "in", "-n", "absent"), ("denoise", "nothing.png")):
        alone, many = restore(*arguments), restore("batch", *arguments)
        assert alone.code == many.code == 2
        assert alone.err == many.err
    assert restore("batch", "--workers", 0, "denoise", "in").code == 2
    plan = restore("batch", "denoise", "in", "-o", "out", "--dry-run")
    assert [json.loads(line)["input"] for line in plan.out.splitlines()] == [
        str(Path("in") / f"{name}.png") for name in "abc"
    ]
