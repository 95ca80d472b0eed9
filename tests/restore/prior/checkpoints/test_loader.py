"""What a checkpoint is: recognised, refused by name, described on a card."""

from __future__ import annotations

import json
import math
import random
import shutil

import pytest
import torch
from checkpoints_cases import CASES, FOLDER
from safetensors.torch import load_file, save_file

from restore.errors import InputError
from restore.prior.checkpoints.files import Weights, read_weights
from restore.prior.checkpoints.layout import Choices, check_names
from restore.prior.checkpoints.loader import find_checkpoint, recognise
from restore.prior.conversion import ContinuousVP
from restore.prior.models import find_model, load_prior
from restore.prior.schedule import linear_betas, vp_levels

X = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def refusal(path, **settings):
    with pytest.raises(InputError) as caught:
        load_prior(path, settings=settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def edm(tmp_path):
    """A copy that may be damaged, its state dict and its metadata."""
    state = load_file(FOLDER / "edm_vp.safetensors")
    path = tmp_path / "edm.safetensors"

    def save(changed=state):
        save_file(changed, path)
        return path

    return state, save


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_family_is_recognised(case):
    card = find_checkpoint(case.path, case.settings).make_card()
    assert card.family == case.family
    assert card.name == case.name
    assert card.channels == 3
    assert 0 < card.sigma_min < card.sigma_max


def test_missing_and_unexpected_names_are_listed(edm):
    state, save = edm
    state["model.enc.another"] = state.pop("model.enc.16x16_block0.conv1.bias")
    message = refusal(save())
    assert "1 missing: enc.16x16_block0.conv1.bias" in message
    assert "1 unexpected: enc.another" in message


def test_a_wrong_shape_is_listed(edm):
    state, save = edm
    state["model.dec.8x8_in1.affine.bias"] = torch.zeros(5)
    assert "1 of another shape: dec.8x8_in1.affine.bias [5] for [16]" in refusal(save())


def test_an_unknown_layout_lists_the_candidates(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"encoder.weight": torch.zeros(3, 3)}, path)
    message = refusal(path)
    assert "names like encoder.weight" in message
    assert "candidates: " in message
    assert "guided diffusion (ADM), missing time_embed.0.weight" in message


def test_half_a_layout_names_what_it_misses(tmp_path):
    state = torch.load(FOLDER / "ddpm.ckpt", weights_only=True)
    path = tmp_path / "half.pt"
    torch.save({k: v for k, v in state.items() if ".mid." not in k}, path)
    assert "DDPM (pytorch_diffusion, DDIM, DDRM), missing mid.attn_1.q.weight" in refusal(path)


def test_the_weights_of_a_model_of_ours_lack_their_card(tmp_path):
    for name in ("model.safetensors", "renamed.safetensors"):
        path = tmp_path / name
        shutil.copy(find_model("photo").weights, path)
        assert refusal(path) == (
            f"{path}: of `restore train`, without its card; expected model.safetensors, with "
            "card.json beside it"
        )


def test_a_latent_model_is_refused_as_such(tmp_path):
    path = tmp_path / "sd.safetensors"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}, path)
    assert "latent-diffusion model" in refusal(path)
    pipeline = tmp_path / "pipeline"
    shutil.copytree(FOLDER / "diffusers_epsilon", pipeline / "unet")
    (pipeline / "model_index.json").write_text("{}")
    (pipeline / "vae").mkdir()
    assert "latent models are out of scope" in refusal(pipeline)


def test_a_text_to_image_network_is_refused(tmp_path):
    folder = tmp_path / "unet"
    shutil.copytree(FOLDER / "diffusers_epsilon", folder)
    config = json.loads((folder / "config.json").read_text())
    config["_class_name"] = "UNet2DConditionModel"
    (folder / "config.json").write_text(json.dumps(config))
    assert "latent or text-conditional model, which is out of scope" in refusal(folder)


def test_a_pipeline_folder_is_read(tmp_path):
    source = FOLDER / "diffusers_epsilon"
    folder = tmp_path / "pipeline"
    shutil.copytree(source, folder / "unet")
    (folder / "scheduler").mkdir()
    shutil.move(folder / "unet" / "scheduler_config.json", folder / "scheduler")
    (folder / "model_index.json").write_text("{}")
    assert torch.equal(load_prior(folder)(X, 0.3), load_prior(source)(X, 0.3))


def test_the_attention_of_older_diffusers_files_is_renamed(tmp_path):
    source = FOLDER / "diffusers_epsilon"
    folder = tmp_path / "old"
    shutil.copytree(source, folder)
    path = folder / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = load_file(path)
    for name in [n for n in state if ".to_" in n]:
        new = name
        for key, value in old.items():
            new = new.replace(key, value)
        state[new] = state.pop(name)
    save_file(state, path)
    assert torch.equal(load_prior(folder)(X, 0.3), load_prior(source)(X, 0.3))


def test_what_the_file_does_not_say_is_asked_for():
    assert "candidates: sde=ve, sde=vp, sde=subvp" in refusal(FOLDER / "ddpmpp_vp.pth")
    assert "candidates: head_channels=64, heads=4" in refusal(FOLDER / "adm_convolutions.pt")
    conditional = refusal(FOLDER / "adm_conditional.pt", head_channels=16)
    assert "class-conditional, 5 classes; say which" in conditional


def test_settings_are_checked():
    path = FOLDER / "ddpm.ckpt"
    assert "colour is not a setting" in refusal(path, colour=1)
    assert "timesteps is 'many'" in refusal(path, timesteps="many")
    wrong = refusal(FOLDER / "ddpmpp_vp.pth", sde="vpp")
    assert "sde is 'vpp'; expected one of ve, vp, subvp" in wrong
    label = refusal(FOLDER / "adm_conditional.pt", head_channels=16, label=5)
    assert "label is 5; expected 0 to 4" in label
    flag = refusal(FOLDER / "adm_conditional.pt", head_channels=16, label=True)
    assert "label is True; expected 0 to 4" in flag
    assert "does not divide the widths" in refusal(FOLDER / "adm_convolutions.pt", heads=5)


@pytest.mark.parametrize(
    ("file", "said", "expected"),
    [
        ("ddpm.ckpt", {"timesteps": 0}, "timesteps is 0; expected a number above 0"),
        ("ddpm.ckpt", {"timesteps": 1}, "noise levels from 0.0100005 to 0.0100005, expected"),
        ("ddpm.ckpt", {"beta_start": -1}, "beta_start is -1; expected a number above 0"),
        ("ddpm.ckpt", {"beta_end": 5}, "noise levels from 0.0100005 to inf, expected"),
        ("ddpm.ckpt", {"beta_end": math.nan}, "beta_end is nan; expected a number above 0"),
        ("ddpmpp_vp.pth", {"sde": "vp", "beta_min": -1}, "beta_min is -1; expected a number"),
        ("ddpmpp_vp.pth", {"sde": "vp", "beta_max": 1e5}, "noise levels from nan to nan"),
        (
            "ddpmpp_vp.pth",
            {"sde": "ve", "sigma_min": 0.01, "sigma_max": math.inf},
            "sigma_max is inf; expected a number above 0",
        ),
        ("adm_conditional.pt", {"heads": -1, "label": 0}, "heads is -1; expected a number above 0"),
        (
            "edm_vp.safetensors",
            {"preconditioning": "edm", "sigma_min": 90},
            "noise levels from 90 to 80, expected",
        ),
        ("diffusers_epsilon", {"timesteps": -5}, "timesteps is -5; expected a number above 0"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(file, said, expected):
    assert expected in refusal(FOLDER / file, **said)


def test_what_only_the_file_knows_is_no_setting():
    assert "M is not a setting" in refusal(FOLDER / "edm_vp.safetensors", M=500)
    as_edm = load_prior(FOLDER / "edm_vp.safetensors", settings={"preconditioning": "edm"})
    assert as_edm.sigma_max == 80 / 2


def test_weights_that_are_no_numbers_are_refused(edm):
    state, save = edm
    name = "model.enc.16x16_block0.conv1.bias"
    state[name][3] = math.nan
    assert "enc.16x16_block0.conv1.bias holds what is no number" in refusal(save())


def test_a_card_holds_what_was_said_and_the_hash(tmp_path):
    path = tmp_path / "ddpmpp.pth"
    shutil.copy(FOLDER / "ddpmpp_vp.pth", path)
    written = find_model(path, {"sde": "vp"}).add()
    assert written == tmp_path / "ddpmpp.pth.card.json"
    said = load_prior(FOLDER / "ddpmpp_vp.pth", settings={"sde": "vp"})
    assert torch.equal(load_prior(path)(X, 0.3), said(X, 0.3))
    assert find_model(path).card.sha256 == find_model(path).actual_sha256()

    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    assert "SHA-256 is" in refusal(path)


def test_a_truncated_card_is_one_line(tmp_path):
    path = tmp_path / "ddpm.ckpt"
    shutil.copy(FOLDER / "ddpm.ckpt", path)
    card = find_model(path).add()
    card.write_text(card.read_text()[:50])
    assert "expected a checkpoint's card" in refusal(path)


def test_classes_differ():
    path = FOLDER / "edm_ncsnpp.safetensors"
    one, two = (load_prior(path, settings={"label": label})(X, 0.3) for label in (1, 2))
    assert not torch.equal(one, two)


def test_native_levels_are_the_networks_timesteps():
    """Of DDPM with 20 steps: from t = 950 down to 0 (METHODS C7), in units of [0, 1]."""
    levels = load_prior(FOLDER / "ddpm.ckpt").native_sigmas(20)
    assert len(levels) == 21
    assert levels[0] == pytest.approx(48.55, rel=1e-3)
    assert levels[-2] == pytest.approx(0.0050, rel=1e-2)
    assert levels[-1] == 0
    assert load_prior(FOLDER / "edm_vp.safetensors").native_sigmas(20) is None


def scheduled(tmp_path, **changes):
    """σ of the timesteps of a diffusers folder with another scheduler."""
    folder = tmp_path / "scheduled"
    shutil.copytree(FOLDER / "diffusers_epsilon", folder)
    path = folder / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    _, found = find_checkpoint(folder).recognise()
    return torch.tensor(found.conversion.levels, dtype=torch.float64)


def test_the_sigmoid_schedule(tmp_path):
    """β rises as 1/(1 + e^-v) over v of -6 to 6."""
    levels = scheduled(tmp_path, beta_schedule="sigmoid", beta_start=1e-3, beta_end=0.02)
    kept = 1 / (1 + levels.square())
    betas = 1 - kept / torch.cat([torch.ones(1), kept[:-1]])
    expected = 1e-3 + 0.019 * torch.linspace(-6, 6, 1000, dtype=torch.float64).sigmoid()
    torch.testing.assert_close(betas, expected, rtol=1e-6, atol=1e-9)


def test_rescaled_betas_end_without_a_picture(tmp_path):
    """√ᾱ loses its last value and keeps its first; the level of no picture is left out."""
    plain = 1 / (1 + scheduled(tmp_path / "plain").square()).sqrt()
    rescaled = 1 / (1 + scheduled(tmp_path, rescale_betas_zero_snr=True).square()).sqrt()
    expected = (plain - plain[-1]) * plain[0] / (plain[0] - plain[-1])
    assert len(rescaled) == len(plain) - 1
    torch.testing.assert_close(rescaled, expected[:-1], rtol=1e-6, atol=1e-9)


def test_time_is_fractional_in_log_sigma():
    conversion = load_prior(FOLDER / "ddpm.ckpt").conversion
    low, high = conversion.levels[3], conversion.levels[4]
    between = torch.tensor([[[[(low * high) ** 0.5]]]])
    assert float(conversion.time(between)) == pytest.approx(3.5, abs=1e-4)
    ends = torch.tensor([1e-6, 1e6]).view(2, 1, 1, 1)
    assert conversion.time(ends).flatten().tolist() == [0, 999]


def test_no_noise_changes_nothing_and_any_size_is_served():
    prior = load_prior(FOLDER / "ncsnpp_input_skip.pth")
    x = torch.rand(2, 3, 13, 22)
    assert torch.equal(prior(x, 0.0), x)
    assert prior(x, 0.5).shape == x.shape


def _fitted(weights, case):
    found = recognise(weights, Choices("file", case.settings, weights.config))
    check_names("file", found.network, weights.state)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_damaged_state_dict_is_one_line(case):
    """A name is missing, a weight has another shape, a fifth of the names are gone."""
    random.seed(case.name)
    weights = read_weights(find_checkpoint(case.path).weights)
    whole = dict(weights.state)
    for damage in range(3):
        state, name = dict(whole), random.choice([n for n in whole if "sigmas" not in n])
        if damage == 0:
            del state[name]
        elif damage == 1:
            state[name] = torch.zeros(7)
        else:
            state = {n: v for n, v in state.items() if random.random() > 0.2}
        damaged = Weights(weights.path, state, weights.config)
        with pytest.raises(InputError) as caught:
            _fitted(damaged, case)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_card_has_the_levels_of_the_prior(case):
    card = find_checkpoint(case.path, case.settings).make_card()
    prior = load_prior(case.path, settings=case.settings)
    assert (card.sigma_min, card.sigma_max) == (prior.sigma_min, prior.sigma_max)


def test_other_numbers_of_timesteps_of_adm_span_the_same_noise_and_time():
    """As in guided diffusion: β grows by 1000/T, and so does what the network is told of one."""
    settings = {"heads": 4, "timesteps": 250}
    conversion = load_prior(FOLDER / "adm_convolutions.pt", settings=settings).conversion
    assert conversion.scale == 4
    assert conversion.levels == vp_levels(linear_betas(250, 4e-4, 0.08))


def test_levels_that_a_file_has_lost_are_geometric(tmp_path):
    state = read_weights(FOLDER / "ncsnpp_timesteps.pth").state
    state.pop("sigmas")
    torch.save(state, tmp_path / "a.pth")
    settings = {"sde": "ve", "sigma_min": 0.01, "sigma_max": 10.0, "timesteps": 4}
    conversion = load_prior(tmp_path / "a.pth", settings=settings).conversion
    assert conversion.levels == pytest.approx((0.01, 0.1, 1.0, 10.0))


def test_the_last_level_of_the_sub_vp_sde_is_that_of_its_kernel():
    """x_t = a x₀ + (1 − a²) n (Song et al., ICLR 2021, eq. 29), a at t = 1 being e^(−10.05/2)."""
    kept = math.exp(-0.5 * (0.1 + 0.5 * 19.9))
    assert ContinuousVP(sub=True).sigma_max == pytest.approx((1 - kept**2) / kept)


@pytest.mark.parametrize(
    "wrong",
    [{"block_out_channels": [-32, 64]}, {"block_out_channels": [10**9, 10**9]}, {"in_channels": -3},
     {"time_embedding_dim": -5}, {"num_class_embeds": -1}, {"norm_num_groups": -1},
     {"attention_head_dim": -8}, {"downsample_padding": 50}, {"layers_per_block": 10**7},
     {"norm_eps": -1}, {"norm_eps": float("nan")}, {"mid_block_scale_factor": 0}],
    ids=str,
)  # fmt: skip
def test_numbers_that_no_network_has_are_refused(tmp_path, wrong):
    folder = tmp_path / "wrong"
    shutil.copytree(FOLDER / "diffusers_epsilon", folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    assert next(iter(wrong)) in refusal(folder)
