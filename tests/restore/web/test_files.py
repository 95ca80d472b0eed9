"""Visitors' folders: one's own files only, and nothing is left."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from restore.errors import InputError
from restore.web import files
from restore.web.files import ABANDONED_SECONDS, Store


def test_two_visitors_may_upload_the_same_file(service, upload, photo):
    first, second = (service.store.session(name) for name in "ab")
    name = upload(photo)
    one, two = (session.take(name, "picture") for session in (first, second))
    assert one != two
    assert one.read_bytes() == two.read_bytes() == photo.read_bytes()
    service.store.close("a")
    assert not one.exists()
    assert two.read_bytes() == photo.read_bytes()


def test_an_upload_is_taken_once_by_whatever_name(service, upload, photo):
    session = service.store.session("a")
    name = upload(photo)
    taken = session.take(name, "picture")
    assert session.take(name, "picture") == session.take(taken, "picture") == taken


def test_a_new_file_takes_the_place_of_the_last(service, upload, photo):
    session = service.store.session("a")
    first = session.take(upload(photo, "first.png"), "picture")
    mask = session.take(upload(photo, "mask.png"), "mask")
    second = session.take(upload(photo, "second.png"), "picture")
    assert [path.exists() for path in (first, mask, second)] == [False, True, True]
    with pytest.raises(InputError, match="not here any more"):
        session.take(first, "picture")


def test_an_upload_stays_as_long_as_anything_made_of_it(service, upload, photo):
    session = service.store.session("a")
    name = upload(photo)
    picture, mask = (session.take(name, purpose) for purpose in ("picture", "mask"))
    assert picture != mask
    for purpose, there in (("picture", True), ("mask", False)):
        session.fresh(purpose)
        assert Path(name).exists() is there


def test_what_a_run_may_read_stays_until_it_is_over(service):
    session, told = service.store.session("a"), []
    session.run = SimpleNamespace(
        alive=True, cancel=lambda: told.append("cancel"), then=told.append
    )
    first, second = session.fresh("picture"), session.fresh("picture")
    assert session.folders == [first, second]
    service.store.sweep(time.time() + ABANDONED_SECONDS + 1)
    assert first.exists()
    session.run.alive = False
    third = session.fresh("picture")
    assert [path.exists() for path in (first, second, third)] == [False, False, True]
    assert session.folders == [third]
    service.store.close("a")
    assert not session.folder.exists()
    assert told[0] == "cancel"
    session.folder.mkdir()  # by what the run wrote meanwhile
    told[1]()
    assert not session.folder.exists()


def test_the_end_of_a_server_does_not_wait_for_runs_for_long(service, monkeypatch):
    monkeypatch.setattr(files, "LEAVING_SECONDS", 0.5)
    told = []
    for name in "ab":
        session = service.store.session(name)
        session.run = SimpleNamespace(
            alive=True, cancel=lambda: told.append("cancel"), then=lambda action: None,
            wait=lambda seconds: (told.append(seconds), time.sleep(seconds)),
        )  # fmt: skip
    service.store.close_all()
    assert told[:2] == ["cancel", "cancel"]  # all, before any is waited for
    assert 0 <= sum(told[2:]) < 0.6


def test_a_session_begins_one_run_at_a_time(service):
    session = service.store.session("a")
    with session.starting():
        with pytest.raises(InputError, match="not over yet"), session.starting():
            pass
        session.run = SimpleNamespace(
            alive=True, cancel=lambda: None, then=lambda action: None, wait=lambda seconds: None
        )
    with pytest.raises(InputError, match="not over yet"), session.starting():
        pass
    session.run.alive = False
    with session.starting():
        pass
    session.close()
    with pytest.raises(InputError, match="was closed"), session.starting():
        pass


def test_an_upload_of_another_with_the_same_content_stays(service, upload, photo):
    session, other = (service.store.session(name) for name in "ab")
    session.take(upload(photo), "picture")
    again = Path(upload(photo)).rename(photo.with_name("uploaded.png"))
    again.rename(Path(upload(photo)))  # gradio puts the new one in the place of the old
    session.fresh("picture")
    assert other.take(upload(photo), "picture").exists()


def test_there_is_room_for_so_much_and_what_was_given_up_makes_some(tmp_path):
    store = Store(tmp_path, 1000)
    session = store.session("a")
    folder = session.fresh("shown")
    (folder / "picture").write_bytes(bytes(600))
    (folder / "again").hardlink_to(folder / "picture")  # no second one
    store.check_room(400)
    session.fresh("result")
    given_up = tmp_path / "0123abcd"
    given_up.mkdir()
    (given_up / "large").write_bytes(bytes(600))
    with pytest.raises(InputError, match="too many files"):
        session.fresh("result")
    with pytest.raises(InputError, match="too many files"):
        store.check_room()
    old = time.time() - ABANDONED_SECONDS - 1
    os.utime(given_up, (old, old))
    session.fresh("result")
    with pytest.raises(InputError, match="too many files"):
        store.check_room(401)


def test_nobody_takes_what_was_not_uploaded(service, upload, photo):
    other = service.store.session("other").take(upload(photo), "picture")
    session = service.store.session("a")
    own = session.take(upload(photo, "own.png"), "picture")
    root, others = service.store.root, other.parent.parent
    (others / "loose.png").write_bytes(b"")
    around = f"{session.folder}/../{other.relative_to(root)}"
    for path in (photo, other, around, others / "loose.png", "/etc/passwd", root / "none" / "x"):
        with pytest.raises(InputError):
            session.take(path, "picture")
        with pytest.raises(InputError):
            session.take_all([own, path], "picture")
    with pytest.raises(InputError, match="nothing is uploaded"):
        session.take(None, "picture")


def test_nothing_is_left_of_a_visitor(service, upload, photo):
    for name in "ab":
        service.store.session(name).take(upload(photo), "picture")
    service.store.close_all()
    assert list(service.store.root.iterdir()) == []
    service.store.close("a")  # twice does no harm


@pytest.mark.parametrize("event", ["session", "close"])
def test_uploads_that_were_given_up_are_deleted(service, upload, photo, event):
    root, path = service.store.root, Path(upload(photo))
    (loose := root / "loose").touch()
    (root / "gone").symlink_to(root / "nothing")  # as what is taken at this moment
    service.store.sweep()
    assert path.exists()
    old = time.time() - ABANDONED_SECONDS - 1
    for one in (path.parent, loose):
        os.utime(one, (old, old))
    getattr(service.store, event)("kept")
    assert not path.exists()
    left = [one.name for one in root.iterdir() if not one.name.startswith("session-")]
    assert left == ["gone"]


def test_sessions_without_a_page_are_given_up(service, upload, photo):
    """One that is made after its page was left, as by an event that was on its way."""
    late = service.store.session("late").take(upload(photo), "picture")
    with service.store.page("open"), service.store.page("open"):
        kept = service.store.session("open").take(upload(photo, "kept.png"), "picture")
        with service.store.page("open"):
            pass
        service.store.sweep()
        assert late.exists()
        service.store.sweep(time.time() + ABANDONED_SECONDS + 1)
        assert [late.exists(), kept.exists()] == [False, True]
        assert late.parent.parent not in service.store.root.iterdir()
    assert not service.store._open
    service.store.session("open").used -= 500
    service.store.session("open")  # something is asked for
    service.store.sweep(time.time() + ABANDONED_SECONDS - 100)
    assert kept.exists()
    service.store.sweep(time.time() + ABANDONED_SECONDS + 1)
    assert not kept.exists()


def test_names_of_sessions_are_no_paths(tmp_path):
    store = Store(tmp_path)
    assert store.session("../../etc").folder.parent == tmp_path
    assert store.session(None).folder.parent == tmp_path
    assert store.session("a").folder.name != store.session("b").folder.name


def test_messages_name_files_without_their_folders(service, upload, photo):
    taken = service.store.session("a").take(upload(photo), "picture")
    assert service.store.without_paths(f"{taken}: bad") == "photo.png: bad"
    name = service.store.root / "0123" / "raw.png"
    assert service.store.without_paths(f"mask {name}") == "mask raw.png"
