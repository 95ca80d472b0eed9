"""Checkpoints on the command line: `-n FILE`, `models info`, `models add`, `models check`."""

import shutil

import pytest
from checkpoints_cases import FOLDER


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "ddpmpp.pth"
    shutil.copy(FOLDER / "ddpmpp_vp.pth", path)
    return path


def test_a_file_and_a_folder_restore_a_picture(restore, photo, mask):
    for name in ("ddpm.ckpt", "diffusers_epsilon"):
        done = restore(
            "inpaint", photo, "--mask", mask, "-n", FOLDER / name, "--steps", 2, "--json",
            "-o", f"{name}.png",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert done.records[0]["model"] == name


def test_info_says_what_it_is_and_what_it_does_not_say(restore, checkpoint):
    done = restore("models", "info", FOLDER / "edm_vp.safetensors")
    assert done.code == 0
    assert "SongUNet, trained at 16x16" in done.out
    done = restore("models", "info", checkpoint)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "candidates: sde=ve, sde=vp, sde=subvp" in done.err


def test_add_writes_a_card_that_is_then_used(restore, checkpoint, photo):
    done = restore("models", "add", checkpoint, "--set", "sde=subvp", "--json")
    assert done.code == 0, done.err
    assert done.records[0]["settings"] == {"sde": "subvp"}
    (card,) = restore("models", "info", checkpoint, "--json").records
    assert card["family"] == "ncsnpp"
    assert restore("models", "check", checkpoint).code == 0
    assert restore("denoise", photo, "--sigma", 0.1, "-n", checkpoint, "-o", "x.png").code == 0


def test_add_refuses_what_it_cannot_read(restore, checkpoint):
    for setting in ("sde", "sde=xy", "hue=3"):
        done = restore("models", "add", checkpoint, "--set", setting)
        assert done.code == 2
        assert done.err.count("\n") == 1
    assert restore("models", "add", "photo").code == 2


def test_a_truncated_checkpoint_is_one_line(restore, checkpoint, photo):
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    done = restore("denoise", photo, "-n", checkpoint)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert str(checkpoint) in done.err
