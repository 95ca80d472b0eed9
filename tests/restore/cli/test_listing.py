"""`methods`, `models`, `doctor`: what there is and whether it works."""

import json
import shutil
import subprocess
import sys

import pytest

from restore.prior.models import bundled_models


def test_methods(restore):
    rows = restore("methods", "--json").records
    ddrm = next(row for row in rows if row["name"] == "ddrm")
    assert set(ddrm) >= {"name", "title", "reference", "needs", "noise", "tasks"}
    assert ddrm["needs"] == ["svd"]
    assert ddrm["noise"] is True
    assert "inpaint" in ddrm["tasks"]
    assert "ddrm" in restore("methods").out


def test_models_list(restore, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")  # of a narrow terminal, on which nothing is cut
    (row,) = (r for r in restore("models", "list", "--json").records if r["name"] == "photo")
    assert set(row) >= {"name", "domain", "channels", "parameters", "bytes", "sha256"}
    assert row["channels"] == 3
    listed = restore("models", "list").out
    assert "photo" in listed
    assert str(row["sha256"])[:12] in listed


def test_models_info(restore):
    done = restore("models", "info", "photo")
    assert done.code == 0
    assert "trained on" in done.out
    (card,) = restore("models", "info", "photo", "--json").records
    assert card["sha256"] == bundled_models()["photo"].card.sha256


def test_models_check_finds_damage(restore, tmp_path):
    assert restore("models", "check").code == 0
    shutil.copytree(bundled_models()["photo"].folder, tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    done = restore("models", "check", "m", "photo", "--json")
    assert done.code == 1
    assert [record["ok"] for record in done.records] == [False, True]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_models_check_of_one_that_is_bad(restore, options):
    done = restore("models", "check", "foto", *options)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert [record["ok"] for record in done.records] == [False] * len(options)
    assert "did you mean photo" in done.err


def test_models_info_of_an_unknown_one(restore):
    done = restore("models", "info", "foto")
    assert done.code == 2
    assert "did you mean photo" in done.err


def test_doctor(restore):
    done = restore("doctor", "--json")
    report = json.loads(done.out)
    assert done.code == 0
    assert report["ok"] is True
    assert report["models"]["photo"] is True
    assert report["versions"]["torch"]
    assert "self-test     passed" in restore("doctor").out


def test_version(restore):
    assert restore("--version").out == "restore 0.1.0\n"
    module = [sys.executable, "-m", "restore", "--version"]
    assert subprocess.run(module, capture_output=True, text=True).stdout == "restore 0.1.0\n"


def test_no_arguments_show_the_help(restore):
    done = restore()
    assert done.code == 2
    assert "super-resolve" in done.err
