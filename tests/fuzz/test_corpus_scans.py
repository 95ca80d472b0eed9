"""Damaged scans that a reader once answered with a crash, a hang or a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_scans import scan_outcome, scan_seeds

CORPUS = sorted((Path(__file__).parent / "corpus_scans").iterdir())


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_found_once(tmp_path: Path, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # The reader is chosen by how the name begins.
    path = tmp_path / file.name.partition("_")[2]
    path.write_bytes(file.read_bytes())
    scan_outcome(path)
    assert capfd.readouterr() == ("", "")


def test_seeds_are_read_whole(tmp_path: Path) -> None:
    made = scan_seeds()
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    found = {name: scan_outcome(tmp_path / name) for name in made}
    assert {name for name, result in found.items() if result != "read"} <= {"plain.mat"}
