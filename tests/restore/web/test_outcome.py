"""What visitors get names files without the folders of the server."""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from restore.web.files import Store
from restore.web.outcome import tidy_record, tidy_sidecar, without_folders

WINDOWS = PureWindowsPath(r"C:\Users\Jürgen O'Brien\AppData\Local\Temp\restore-web-1\session-2")


@pytest.mark.parametrize(
    ("folder", "separator"), [(PurePosixPath("/tmp/Jürgen & Co/session-2"), "/"), (WINDOWS, "\\")]
)
def test_on_every_system(
    folder, separator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"input": str(folder / "photo.png"), "sigma": 0.1}
    sidecar = tmp_path / "photo.json"
    sidecar.write_text(json.dumps(record))
    monkeypatch.setattr(os, "sep", separator)
    assert without_folders(f"{folder / 'photo.png'}: bad", [folder]) == "photo.png: bad"
    for written in (str(folder / "photo.png"), json.dumps(record)):
        assert escape(str(folder.parent.name)) not in without_folders(escape(written), [folder])
    assert tidy_record(record, [folder]) == {"input": "photo.png", "sigma": 0.1}
    tidy_sidecar(sidecar, [folder])
    assert json.loads(sidecar.read_text())["input"] == "photo.png"
    store = Store(tmp_path)
    store.root = folder.parent
    assert store.without_paths(f"{folder / 'mask-1' / 'mask.png'}: bad") == "mask.png: bad"
