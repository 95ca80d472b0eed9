"""Full-size architectures have the parameters and names of the published ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from checkpoint_names_cases import NETWORKS

from restore.prior.checkpoints.files import Weights
from restore.prior.checkpoints.layout import Choices
from restore.prior.checkpoints.loader import recognise

PUBLISHED = json.loads(Path(__file__).with_name("checkpoint_names.json").read_text())
CASES = [(family, name) for family, (_, made) in NETWORKS.items() for name in made]


@pytest.mark.parametrize(("family", "name"), CASES)
def test_the_names_and_shapes_are_the_originals(family, name):
    kind, configs = NETWORKS[family]
    with torch.device("meta"):
        network = kind(configs[name])
    lines = sorted(f"{key} {list(value.shape)}" for key, value in network.state_dict().items())
    expected = PUBLISHED[family][name]
    assert sum(value.numel() for value in network.parameters()) == expected["parameters"]
    assert len(lines) == expected["names"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize(("family", "name"), [c for c in CASES if c[0] != "diffusers"])
def test_the_architecture_is_read_from_its_names(family, name):
    """From names and shapes alone; of the published ADMs the attention heads are known too."""
    kind, configs = NETWORKS[family]
    with torch.device("meta"):
        state = kind(configs[name]).state_dict()
    said = {"sde": name.split(".")[0], "sigma_min": 0.01, "sigma_max": 50.0}
    said = said if family == "ncsnpp" else {}
    if said.get("sde") == "vp":
        said = {"sde": "vp"}
    found = recognise(Weights(Path("file"), state, {}), Choices("file", said))
    assert found.family == family
    assert found.network.config == configs[name]


def test_the_largest_has_552_million():
    assert PUBLISHED["adm"]["ImageNet 256 or LSUN 256"]["parameters"] == 552_814_086
