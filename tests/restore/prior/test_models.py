import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from restore.errors import InputError
from restore.prior.checkpoints.card import sha256_of
from restore.prior.models import (
    bundled_models,
    find_model,
    fit_channels,
    load_prior,
    open_model,
)


@pytest.fixture
def model(tmp_path):
    """A copy of the bundled model that may be damaged."""
    folder = tmp_path / "copy"
    shutil.copytree(bundled_models()["photo"].folder, folder)
    return folder


def test_the_bundled_models_are_whole_and_small():
    models = bundled_models()
    assert "photo" in models
    for model in models.values():
        assert model.actual_sha256() == model.card.sha256
        assert model.bytes <= 16e6
        state = load_file(model.weights)
        assert sum(value.numel() for value in state.values()) == model.card.parameters


def test_photo_removes_noise():
    """On a smooth picture, at least 15 dB of the noise power at σ = 0.1."""
    ramp = torch.linspace(0.2, 0.8, 64)
    clean = (ramp[:, None] + ramp).div(2).expand(1, 3, 64, 64)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    error = (load_prior("photo")(noisy, 0.1) - clean).square().mean()
    assert error < 0.1**2 * 10**-1.5


def test_a_folder_and_a_file_are_found(model):
    by_folder = load_prior(model)
    by_file = load_prior(model / "model.safetensors")
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(by_folder(x, 0.2), by_file(x, 0.2))


def test_settings_are_for_checkpoints(model):
    with pytest.raises(InputError, match="settings label; expected none beside its card"):
        load_prior(model, settings={"label": 3})


def test_an_unknown_name_has_the_nearest():
    with pytest.raises(InputError, match=r"photos: no such model or file.*did you mean photo\?"):
        find_model("photos")


def test_damaged_weights_are_refused(model):
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"SHA-256 is .*; the card says"):
        load_prior(model)


def test_weights_of_another_network_are_refused(model):
    weights = model / "model.safetensors"
    state = load_file(weights)
    state["another"] = state.pop("stem.bias")
    save_file(state, weights)
    card = json.loads((model / "card.json").read_text())
    card["sha256"] = sha256_of(weights)
    (model / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"1 missing: stem.bias; 1 unexpected: another"):
        load_prior(model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v[:1], r"do not fit .* of another shape: stem.bias \[1\] for \[48\]"),
        (lambda v: v.int(), "stem.bias holds what is no number, expected trained weights"),
        (lambda v: v / 0, "stem.bias holds what is no number, expected trained weights"),
    ],
)
def test_weights_that_are_none_are_refused(model, change, said):
    weights = model / "model.safetensors"
    state = load_file(weights)
    state["stem.bias"] = change(state["stem.bias"])
    save_file(state, weights)
    card = json.loads((model / "card.json").read_text())
    card["sha256"] = sha256_of(weights)
    (model / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=said):
        load_prior(model)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("channels", 0, "channels: Input should be greater than 0"),
        ("sigma_min", 0, "sigma_min: Input should be greater than 0"),
        ("sigma_max", 1e-4, "noise levels from 0.002 to 0.0001; expected a model card"),
        ("widths", [], "network.widths: Tuple should have at least 1 item"),
        ("widths", [8], "network: 3 blocks for 1 widths"),
        ("unshuffle", 0, "network.unshuffle: Input should be greater than 0"),
        ("data_std", -0.25, "network.data_std: Input should be greater than 0"),
    ],
)
def test_a_card_of_no_network_is_refused(model, part, value, said):
    card = json.loads((model / "card.json").read_text())
    (card if part in card else card["network"])[part] = value
    (model / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=said):
        load_prior(model)


def test_a_truncated_card_is_refused(model):
    card = model / "card.json"
    card.write_text(card.read_text()[:100])
    with pytest.raises(InputError, match=r"card.json: .*; expected a model card"):
        open_model(model)


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no card.json; expected a model folder"):
        load_prior(tmp_path)


def test_channels_are_fitted_or_refused():
    prior = load_prior("photo")
    assert fit_channels(prior, 3) is prior
    assert fit_channels(prior, 1).channels == 1
    with pytest.raises(InputError, match="has 3 channels, the picture 2"):
        fit_channels(prior, 2)
