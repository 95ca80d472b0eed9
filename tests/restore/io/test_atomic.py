from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from restore.errors import InputError
from restore.io.atomic import atomic_path, write_bytes


def test_appears_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.json"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".json"
        temporary.write_text("{}")
        assert not target.exists()
    assert target.read_text() == "{}"
    assert [file.name for file in target.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_a_failure_keeps_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"a\.png: no space left on the disk"):
        write_bytes(tmp_path / "a.png", b"x" * 100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "told"), [(0, "no space left"), (1 << 30, "16384 requested")])
def test_a_full_disk_of_which_numpy_says_how_much_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, told: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(InputError, match=rf"a\.npy: {told}"), atomic_path(tmp_path / "a.npy"):
        raise OSError("16384 requested and 0 written")


def test_a_really_full_disk() -> None:
    # Linux's device that is always full; nothing may replace it either.
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(InputError, match="/dev/full: is not a regular file"):
        write_bytes("/dev/full", b"x")
    assert Path("/dev/full").is_char_device()


def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, expected the name of a file"):
        write_bytes(tmp_path, b"x")


def test_refuses_a_file_as_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="expected a place that can be written to"):
        write_bytes(tmp_path / "file" / "a.png", b"x")


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name too long"):
        write_bytes(tmp_path / ("a" * 300 + ".png"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, data: bytes) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "write_bytes", denied)
    with pytest.raises(InputError, match=r"a\.png: permission denied, expected a place"):
        write_bytes(tmp_path / "a.png", b"x")


def test_an_error_about_another_file_is_not_renamed(tmp_path: Path) -> None:
    def reads_another() -> None:
        with atomic_path(tmp_path / "a.png"):
            (tmp_path / "missing.npy").read_bytes()

    with pytest.raises(FileNotFoundError, match="missing"):
        reads_another()


def test_the_message_is_one_line() -> None:
    assert str(InputError("a\nb.png: is\n\todd")) == "a b.png: is odd"
