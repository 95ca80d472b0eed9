"""What lies in a run's folder: one run, alone, on its own pictures, and nothing else is lost."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from filelock import FileLock
from typer.testing import CliRunner

from restore.cli.app import app
from restore.errors import InputError
from restore.prior.models import bundled_models
from restore.training import folder as folders
from restore.training.folder import RunFolder
from restore.training.recipe import Recipe
from restore.training.trainer import Trainer

CPU = torch.device("cpu")
TINY = '{"widths": [8], "blocks": [1], "batch_size": 1, "patch": 16, "steps": 4}'


@pytest.fixture
def train(pictures, tmp_path):
    """The command, on pictures, into a folder: its result."""
    (tmp_path / "tiny.json").write_text(TINY)

    def done(*options, pictures=pictures):
        command = ["train", pictures, "-o", tmp_path / "run", *options]
        return CliRunner().invoke(app, [str(part) for part in command])

    return done


@pytest.fixture
def run(train, tmp_path):
    """A finished run."""
    assert train("--recipe", tmp_path / "tiny.json").exit_code == 0
    return tmp_path / "run"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_a_model_that_no_run_made_is_not_replaced(train, tmp_path):
    shutil.copytree(bundled_models()["photo"].folder, tmp_path / "run")
    before = contents(tmp_path / "run")
    done = train("--recipe", tmp_path / "tiny.json")
    assert done.exit_code == 2
    assert done.stderr == (
        f"{tmp_path}/run: holds card.json and no checkpoint.pt of a run to go on with; expected "
        "another output folder, which begins anew\n"
    )
    assert contents(tmp_path / "run") == before
    assert not (tmp_path / "run" / ".lock").exists()


@pytest.mark.parametrize("there", [False, True])
def test_of_a_run_that_comes_to_nothing_nothing_stays(train, tmp_path, there):
    (tmp_path / "none").mkdir()
    if there:
        (tmp_path / "run").mkdir()
    for options in (["--steps", "0"], ["--recipe", tmp_path / "no.json"], []):
        assert train(*options, pictures=tmp_path / "none").exit_code == 2
        assert (tmp_path / "run").exists() is there
    assert not there or list((tmp_path / "run").iterdir()) == []


def test_nor_is_what_is_left_of_a_run(run, train):
    (run / "checkpoint.pt").unlink()
    before = contents(run)
    done = train()
    assert (done.exit_code, "holds card.json and no checkpoint.pt" in done.stderr) == (2, True)
    assert contents(run) == before


def test_a_run_goes_on_from_its_checkpoint_alone(run, train, tmp_path):
    """What is only made of it may be gone, or be older where the run was killed between."""
    (run / "model.safetensors").unlink()
    (run / "recipe.json").unlink()
    assert train("--licence", "CC0").exit_code == 0
    assert (run / "model.safetensors").exists()
    before = (run / "recipe.json").read_text() if (run / "recipe.json").exists() else None
    assert train("--steps", "8").exit_code == 0
    extended = contents(run)
    assert json.loads(extended["recipe.json"])["steps"] == 8
    # As if it had been killed after `checkpoint.pt` and before `recipe.json`.
    (run / "recipe.json").write_text(before or TINY)
    assert train().exit_code == 0
    assert json.loads((run / "card.json").read_text())["recipe"]["steps"] == 8
    assert json.loads((run / "card.json").read_text())["licence"] == "CC0"


def test_two_runs_do_not_work_in_one_folder(run, train):
    with RunFolder(run).held():
        done = train("--steps", "8")
        assert done.exit_code == 2
        assert done.stderr == (
            f"{run}: another run works in it; expected its end, or another output folder\n"
        )
    assert train("--steps", "8").exit_code == 0


def test_where_files_cannot_be_locked_one_run_works(run, train, monkeypatch):
    def unknown(self, **options):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", unknown)
    assert train("--steps", "8").exit_code == 0


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="expected a folder to write"),
        RunFolder(tmp_path / "file" / "run").held(),
    ):
        pass

    def forbidden(self, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.FileLock, "acquire", forbidden)
    locked = RunFolder(tmp_path / "run").held()
    with pytest.raises(InputError, match="Permission denied, expected a folder to write"), locked:
        pass


@pytest.mark.parametrize("change", ["another", "larger", "fewer", "moved"])
def test_a_run_goes_on_with_its_own_pictures(run, train, pictures, tmp_path, change):
    now = tmp_path / "now"
    shutil.copytree(pictures, now)
    if change == "another":
        (now / "0.png").rename(now / "9.png")
    elif change == "larger":
        with (now / "0.png").open("ab") as file:
            file.write(b"more")
    elif change == "fewer":
        (now / "0.png").unlink()
    before = contents(run)
    done = train("--steps", "8", pictures=now)
    if change == "moved":
        assert done.exit_code == 0
        return
    count = 4 if change == "fewer" else 5
    assert done.exit_code == 2
    assert done.stderr == (
        f"{run}: holds a run on 5 pictures, not on the {count} in {now}; expected the same, or "
        "another output folder\n"
    )
    assert contents(run) == before


def test_a_run_that_diverges_at_once_has_no_checkpoint_to_speak_of(pictures, tmp_path):
    recipe = Recipe.model_validate_json(TINY)
    trainer = Trainer(recipe, pictures, tmp_path / "new", CPU)
    with pytest.raises(InputError, match=r"smaller learning_rate$"):
        trainer._expect_finite(float("nan"))
    trainer._save("checkpoint.pt")
    with pytest.raises(InputError, match=r"\(the last checkpoint is kept\)$"):
        trainer._expect_finite(float("nan"))


def test_the_log_is_json_where_nothing_could_be_measured(pictures, tmp_path):
    trainer = Trainer(Recipe.model_validate_json(TINY), pictures, tmp_path / "new", CPU)
    trainer._log(0.5, {15: 30.0, 25: float("nan")})
    line = json.loads((tmp_path / "new" / "log.jsonl").read_text(), parse_constant=None)
    assert line["psnr"] == {"15": 30.0, "25": None}
