"""Files of anyone's: nothing is executed, damage is one line, tensors are mapped."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoints_cases import FOLDER
from safetensors.torch import save_file

from restore.errors import InputError
from restore.prior.checkpoints.files import read_weights, tensors_of
from restore.prior.models import load_prior
from restore.prior.networks.ddpm import DDPM, DDPMConfig


class Malicious:
    """Its unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_prior(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_checkpoint_does_not_execute(tmp_path, zipped):
    path, trace = tmp_path / "model.pt", tmp_path / "trace"
    content = {"state_dict": {"w": torch.ones(2)}, "extra": Malicious(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "never run here" in refusal(path)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_malicious_pickle_does_not_execute(tmp_path, protocol):
    path, trace = tmp_path / "network.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"ema": Malicious(trace)}, protocol))
    refusal(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["ddpm.ckpt", "edm_vp.safetensors", "ncsnpp_residual.pth"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_one_line(tmp_path, name, kept):
    content = (FOLDER / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(kept * len(content))])
    refusal(path)


@pytest.mark.parametrize("name", ["ddpm.ckpt", "edm_vp.safetensors"])
def test_scrambled_bytes_are_one_line_or_harmless(tmp_path, name):
    """Fifty files with a damaged head or tail: a refusal, or weights; never another exception."""
    content = (FOLDER / name).read_bytes()
    generator = torch.Generator().manual_seed(0)
    path = tmp_path / name
    for i in range(50):
        damaged = bytearray(content)
        for _ in range(8):
            at = int(torch.randint(0, 3000, (1,), generator=generator))
            value = int(torch.randint(0, 256, (1,), generator=generator))
            damaged[at if i % 2 else -1 - at] = value
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            read_weights(path)


def test_a_wrong_dtype_is_named(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"conv_in.weight": torch.zeros(4, 3, dtype=torch.int8)}, path)
    assert "conv_in.weight is int8; expected weights in floating point" in refusal(path)


def test_a_file_of_something_else_is_one_line(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    refusal(path)
    torch.save([1, 2, 3], path)
    assert "no named tensors" in refusal(path)


def test_the_average_is_taken_from_what_training_scripts_save():
    plain, average = {"w": torch.zeros(2)}, {"w": torch.ones(2)}
    for content in (
        average,
        {"state_dict": average, "epoch": 3},
        {"model": plain, "ema": average},
        {"model": plain, "ema_state_dict": average},
        {"model": plain, "ema": {"shadow": average, "decay": 0.9}},
        {"model": plain, "ema": {"module": average, "updates": 3}},
        {"model": plain, "ema_params": average},
        {"model": plain, "ema_helper": average},
        average | {"n_averaged": torch.tensor(3)},
        {"model": plain, "ema": {"shadow_params": [torch.ones(2)], "decay": 0.9}},
        [plain, {"state": {}}, 1, 2, average],
    ):
        found = tensors_of(content)
        assert list(found) == ["w"]
        assert torch.equal(found["w"], torch.ones(2))


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize(
    "text", ["version https://git-lfs.github.com/spec/v1\noid sha256:0a\n", "<html>\n<head>\n"]
)
def test_what_came_instead_of_a_checkpoint_is_said(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert f"{path}: text that begins with '{text.split()[0]}', such as a" in refusal(path)
    path.write_text(100 * " ")
    refusal(path)


def test_the_old_format_of_torch_is_read(tmp_path):
    path = tmp_path / "old.ckpt"
    state = torch.load(FOLDER / "ddpm.ckpt", weights_only=True)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(load_prior(path)(x, 0.3), load_prior(FOLDER / "ddpm.ckpt")(x, 0.3))


@pytest.mark.parametrize("save", [save_file, torch.save], ids=["safetensors", "torch"])
def test_half_precision_is_widened_as_it_is_read(tmp_path, save):
    """Beside the same numbers stored in float32: of every tensor, one of several pages too."""
    state = {n: v.half() for n, v in torch.load(FOLDER / "ddpm.ckpt", weights_only=True).items()}
    assert max(value.nbytes for value in state.values()) > 3 * mmap.PAGESIZE
    save(state, tmp_path / "half")
    save({n: v.float() for n, v in state.items()}, tmp_path / "single")
    half, single = (load_prior(tmp_path / name).network for name in ("half", "single"))
    for name, value in single.state_dict().items():
        assert torch.equal(half.state_dict()[name], value), name


PEAK = """
import sys
from pathlib import Path
import torch
from restore.prior.checkpoints import loader

def now(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

loader.find_checkpoint(Path(sys.argv[2])).load("cpu", torch.float32)
before = now("VmRSS")
prior = loader.find_checkpoint(Path(sys.argv[1])).load("cpu", torch.float32)
total = sum(float(value.sum()) for value in prior.network.parameters())
print(now("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["single", "half"])
@pytest.mark.parametrize("save", [save_file, torch.save], ids=["safetensors", "torch"])
def test_loading_takes_the_size_of_the_weights(tmp_path, save, dtype):
    """Peak of the process while 60 MB of float32 weights are loaded and every one is read.

    From half precision they are twice the file, and the file is not held beside them.
    """
    with torch.device("meta"):
        network = DDPM(DDPMConfig(3, 3, 128, (128, 384), 1, (False,) * 2))
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    path = tmp_path / "large"
    save({name: torch.ones(shape, dtype=dtype) for name, shape in shapes.items()}, path)
    command = [sys.executable, "-c", PEAK, path, FOLDER / "ddpm.ckpt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    weights = 4 * sum(shape.numel() for shape in shapes.values())
    assert weights > 50e6
    assert int(done.stdout) <= 1.2 * max(weights, path.stat().st_size)


def test_averages_of_another_network_are_refused(tmp_path):
    content = {"model": {"w": torch.zeros(2)}, "ema": {"shadow_params": [torch.ones(3)]}}
    torch.save(content, tmp_path / "a.pt")
    assert "1 averaged weights that are not those of its model" in refusal(tmp_path / "a.pt")


def test_what_has_no_end_or_no_numbers_is_one_line(tmp_path):
    within: list[object] = []
    within.append(within)
    torch.save(within, tmp_path / "a.pt")
    assert "a container within itself" in refusal(tmp_path / "a.pt")
    torch.save({"w": torch.empty(2, 2, device="meta")}, tmp_path / "b.pt")
    assert "w is not a dense tensor" in refusal(tmp_path / "b.pt")
