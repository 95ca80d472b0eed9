from __future__ import annotations

import os
import threading

import pytest

from restore.io.quiet import quiet_stderr


def test_drops_what_is_printed_inside_only(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with quiet_stderr():
        os.write(2, b"inside ")
        with quiet_stderr():
            os.write(2, b"deeper ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), quiet_stderr():
        raise KeyboardInterrupt
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_many_threads_do_not_lose_it(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in range(200):
            with quiet_stderr():
                os.write(2, b"inside")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_without_a_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(descriptor: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with quiet_stderr():
        pass
