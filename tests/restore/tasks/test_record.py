"""The folder of a comparison: what it keeps, and whose rows it gives back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from restore.errors import InputError
from restore.tasks.record import ROWS, UNREAD, Record

CONFIGURATION = {"task": "denoise", "settings": {"sigma": 0.1}}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "photo.png"
    path.parent.mkdir()
    path.write_bytes(b"one")
    return path


def row(source: Path, method: str, **values: Any) -> dict[str, Any]:
    return {"input": str(source), "method": method} | values


def opened(tmp_path: Path, **options: Any) -> Record:
    return Record(tmp_path / "done", CONFIGURATION, **options)


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path, source: Path) -> None:
    record = opened(tmp_path)
    kept = [record.keep(source, row(source, name)) for name in ("a", "b", "c")]
    again = opened(tmp_path)
    assert again.rows([source], ["c", "a"]) == [kept[2], kept[0]]
    assert list(again.done(source, ["b", "nothing"])) == ["b"]


def test_what_failed_or_has_changed_is_not_done(tmp_path: Path, source: Path) -> None:
    record = opened(tmp_path)
    record.keep(source, row(source, "a", error="too few"))
    record.keep(source, row(source, "b"))
    assert list(opened(tmp_path).done(source, ["a", "b"])) == ["b"]
    source.write_bytes(b"other")
    assert opened(tmp_path).done(source, ["a", "b"]) == {}
    source.unlink()
    assert opened(tmp_path).done(source, ["a", "b"]) == {}


def test_the_last_row_counts_and_a_cut_line_does_not(tmp_path: Path, source: Path) -> None:
    record = opened(tmp_path)
    record.keep(source, row(source, "a", psnr=1.0))
    record.keep(source, row(source, "a", psnr=2.0))
    path = tmp_path / "done" / ROWS
    path.write_text(path.read_text() + path.read_text()[:20])
    assert [one["psnr"] for one in opened(tmp_path).rows([source], ["a"])] == [2.0]
    assert len(path.read_text().splitlines()) == 1


def test_an_input_was_read_or_not(tmp_path: Path, source: Path) -> None:
    record = opened(tmp_path)
    record.keep(source, row(source, "a"))
    unread = record.keep(source, row(source, UNREAD, error="no picture"))
    assert record.rows([source], ["a"]) == [unread]
    good = record.keep(source, row(source, "a"))
    assert record.rows([source], ["a"]) == [good]


def test_inputs_of_one_name_keep_folders_of_their_own(tmp_path: Path, source: Path) -> None:
    other = tmp_path / "b" / "photo.png"
    record = opened(tmp_path)
    assert record.place(source) == tmp_path / "done" / "photo"
    assert record.place(other) == tmp_path / "done" / "photo-2"
    # On some disks this would be the folder of the first.
    assert record.place(tmp_path / "Photo.png") == tmp_path / "done" / "Photo-3"
    for one in (source, other):
        record.keep(one, row(one, "a"))
    # Also where only the second is asked for later.
    assert opened(tmp_path).place(other) == tmp_path / "done" / "photo-2"
    assert opened(tmp_path).place(source) == tmp_path / "done" / "photo"


def test_another_configuration_is_refused_unless_it_may_begin_anew(
    tmp_path: Path, source: Path
) -> None:
    opened(tmp_path).keep(source, row(source, "a"))
    with pytest.raises(InputError, match=r"another sigma \(0\.1, now 0\.2\).*--overwrite"):
        Record(tmp_path / "done", CONFIGURATION | {"settings": {"sigma": 0.2}})
    assert len(opened(tmp_path).rows([source], ["a"])) == 1
    assert opened(tmp_path, overwrite=True).rows([source], ["a"]) == []
    assert json.loads((tmp_path / "done" / "configuration.json").read_text())["versions"]


def test_versions_are_those_of_all_runs(tmp_path: Path, source: Path) -> None:
    path = tmp_path / "done" / "configuration.json"
    now = opened(tmp_path).versions["torch"]
    opened(tmp_path).keep(source, row(source, "a"))
    stored = json.loads(path.read_text())
    stored["versions"]["torch"] = "2.1.0"
    path.write_text(json.dumps(stored))
    for _ in range(2):
        assert opened(tmp_path).versions["torch"] == f"2.1.0, then {now}"
    assert json.loads(path.read_text())["versions"]["torch"] == f"2.1.0, then {now}"


def test_an_option_that_is_given_no_more_is_another_configuration(
    tmp_path: Path, source: Path
) -> None:
    opened(tmp_path).keep(source, row(source, "a"))
    for now in ({"task": "denoise", "settings": {}}, {"task": "denoise"}):
        with pytest.raises(InputError, match=r"with another s.*0\.1.*, now null\)"):
            Record(tmp_path / "done", now)


def test_without_rows_any_configuration_will_do(tmp_path: Path) -> None:
    opened(tmp_path)
    Record(tmp_path / "done", {"task": "deblur"})
    kept = json.loads((tmp_path / "done" / "configuration.json").read_text())
    assert kept["task"] == "deblur"


def test_a_folder_with_another_configuration_file_is_refused(tmp_path: Path, source: Path) -> None:
    opened(tmp_path).keep(source, row(source, "a"))
    (tmp_path / "done" / "configuration.json").write_text("{")
    with pytest.raises(InputError, match="configuration of a comparison"):
        opened(tmp_path)
