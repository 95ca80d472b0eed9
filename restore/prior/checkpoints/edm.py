"""Checkpoints of EDM: SongUNet and DhariwalUNet under its four preconditionings.

The published files are pickles that hold code; `tools/convert_edm.py` makes a safetensors file
of one, with the preconditioning in its metadata. A bare state dict does not say which it was.
"""

from __future__ import annotations

import re
from typing import Literal

import torch
from torch import Tensor

from restore.errors import InputError
from restore.prior.checkpoints.files import Weights
from restore.prior.checkpoints.layout import Choices, Recognised, level_text
from restore.prior.conversion import EDM, ContinuousVP, Conversion, EDMNoise, Timesteps
from restore.prior.networks.edm import EDMConfig, EDMUNet

FAMILY = "edm"
TITLE = "EDM (SongUNet, DhariwalUNet)"
MARKS = (
    r"(model\.)?map_layer0\.weight",
    r"(model\.)?map_layer1\.weight",
    r"(model\.)?enc\.\d+x\d+_conv\.weight",
    r"(model\.)?dec\.\d+x\d+_in0\.qkv\.weight",
)
PRECONDITIONINGS = ("edm", "vp", "ve", "iddpm")
_CLASSES = {"EDMPrecond": "edm", "VPPrecond": "vp", "VEPrecond": "ve", "iDDPMPrecond": "iddpm"}


def describe(weights: Weights, said: Choices) -> Recognised:
    """The architecture from names and shapes.

    Raises:
        InputError: if the names are not those of one of the two networks.
    """
    table = weights.state.get("u")
    # A rename that the loader repeats on the weights: they are read by these names.
    for name in [n for n in weights.state if n.startswith("model.")]:
        weights.state[name.removeprefix("model.")] = weights.state.pop(name)
    config = _architecture(weights.state, said.get("head_channels", 64))
    classes, why = said.get("class_name", ""), ""
    default = _CLASSES.get(classes)
    if default is None:
        default = "iddpm" if config.out_channels > config.channels else "edm"
        why = "not in the file; vp and ve are those of EDM's baselines"
    kind = said.one_of("preconditioning", PRECONDITIONINGS, default, why)
    with torch.device("meta"):
        network = EDMUNet(config)
    return Recognised(
        family=FAMILY,
        title=TITLE,
        network=network,
        conversion=_conversion(kind, table, said),
        channels=config.channels,
        classes=config.classes,
        label=said.label(config.classes),
        facts={
            "network": f"{'SongUNet' if config.song else 'DhariwalUNet'}, trained at "
            f"{config.resolution}x{config.resolution}",
            "levels": level_text(config.widths, config.attention, config.blocks),
            "embedding": "fourier" if config.fourier else "positional",
            "preconditioning": kind,
        },
        assumed=said.assumed,
        unused=tuple(name for name in weights.state if name == "u"),
    )


def _conversion(kind: str, table: Tensor | None, said: Choices) -> Conversion:
    if kind == "vp":
        beta_min, extent = said.get("beta_min", 0.1), said.get("beta_d", 19.9)
        return ContinuousVP(beta_min, beta_min + extent, said.get("epsilon_t", 1e-5))
    if kind == "ve":
        return EDMNoise(said.get("sigma_min", 0.02), said.get("sigma_max", 100.0))
    if kind == "iddpm":
        if table is None:
            raise InputError(f"{said.path}: no buffer `u`, the levels of iDDPM; expected it")
        # From the largest level down to 0; the time counts the other way.
        return Timesteps(tuple(table.double().flip(0)[1:].tolist()))
    # The limits in the published pickles are 0 and infinity; these are those of its sampler.
    low, high = said.get("sigma_min", 0.0), said.get("sigma_max", float("inf"))
    return EDM(said.get("sigma_data", 0.5), max(low, 0.002), min(high, 80.0))


def _architecture(state: dict[str, Tensor], head_channels: int) -> EDMConfig:
    first = next(name for name in state if re.fullmatch(r"enc\.\d+x\d+_conv\.weight", name))
    resolution = int(re.findall(r"\d+", first)[0])
    song = "out_norm.weight" not in state
    levels = 1
    while f"enc.{resolution >> levels}x{resolution >> levels}_down.norm0.weight" in state:
        levels += 1
    names = [f"{resolution >> i}x{resolution >> i}" for i in range(levels)]
    blocks = 0
    while f"enc.{names[0]}_block{blocks}.norm0.weight" in state:
        blocks += 1
    channels = state[first].shape[1]
    out = state[f"dec.{names[0]}_aux_conv.weight" if song else "out_conv.weight"].shape[0]
    encoder: Literal["standard", "skip", "residual"] = "standard"
    if levels > 1 and f"enc.{names[1]}_aux_residual.weight" in state:
        encoder = "residual"
    elif levels > 1 and f"enc.{names[1]}_aux_skip.weight" in state:
        encoder = "skip"
    filters = [value for name, value in state.items() if name.endswith(".resample_filter")]
    labels = state.get("map_label.weight")
    augmentations = state.get("map_augment.weight")
    return EDMConfig(
        song=song,
        resolution=resolution,
        channels=channels,
        out_channels=out,
        base=state[first].shape[0],
        widths=tuple(state[f"enc.{n}_block0.conv0.weight"].shape[0] for n in names),
        blocks=blocks,
        attention=tuple(f"enc.{n}_block0.qkv.weight" in state for n in names),
        noise_width=state["map_layer0.weight"].shape[1],
        embedding_width=state["map_layer0.weight"].shape[0],
        fourier="map_noise.freqs" in state,
        encoder=encoder,
        skip_decoder=levels > 1 and f"dec.{names[1]}_aux_norm.weight" in state,
        taps=filters[0].shape[-1] if filters else 2,
        classes=0 if labels is None else labels.shape[1],
        augmentations=0 if augmentations is None else augmentations.shape[1],
        head_channels=head_channels,
    )
