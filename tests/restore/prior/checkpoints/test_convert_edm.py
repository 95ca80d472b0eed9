"""EDM's pickles become a checkpoint, by a script that runs where the user trusts the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from checkpoints_cases import FOLDER

from restore.prior.checkpoints.loader import find_checkpoint
from restore.prior.models import load_prior

TOOL = Path(__file__).parents[4] / "tools" / "convert_edm.py"
# A stand-in for the clone: a network whose class is there and nowhere else, as in the original.
CLONE = """
import torch

class Unet(torch.nn.Module):
    pass

class VPPrecond(torch.nn.Module):
    def __init__(self, state):
        super().__init__()
        self.img_resolution, self.img_channels, self.label_dim = 16, 3, 0
        self.beta_d, self.beta_min, self.M, self.epsilon_t = 18.0, 0.2, 1000, 1e-4
        self.model = Unet()
        for name, value in state.items():
            part = self.model
            *folders, last = name.removeprefix("model.").split(".")
            for folder in folders:
                if folder not in dict(part.named_children()):
                    part.add_module(folder, torch.nn.Module())
                part = getattr(part, folder)
            part.register_buffer(last, value)
"""
PICKLE = """
import pickle, sys
from safetensors.torch import load_file
from networks import VPPrecond
network = VPPrecond(load_file(sys.argv[1]))
pickle.dump({"ema": network}, open(sys.argv[2], "wb"))
"""


def test_a_pickle_is_converted_with_its_preconditioning(tmp_path):
    clone, pickled, made = tmp_path / "clone", tmp_path / "net.pkl", tmp_path / "net.safetensors"
    clone.mkdir()
    (clone / "networks.py").write_text(CLONE)
    source = FOLDER / "edm_vp.safetensors"
    command = [sys.executable, "-c", PICKLE, source, pickled]
    subprocess.run(command, cwd=clone, check=True)
    subprocess.run([sys.executable, TOOL, clone, pickled, made], check=True)

    given, found = load_prior(source), load_prior(made)
    for name, value in given.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value), name
    conversion = find_checkpoint(made).recognise()[1].conversion
    assert (conversion.beta_min, conversion.beta_max, conversion.t_min) == (0.2, 18.2, 1e-4)
