"""Checkpoints of DDPM in the layout of pytorch_diffusion, DDIM and DDRM."""

from __future__ import annotations

import torch

from restore.prior.checkpoints.files import Weights
from restore.prior.checkpoints.layout import Choices, Recognised, count, level_text
from restore.prior.conversion import Timesteps
from restore.prior.networks.ddpm import DDPM, DDPMConfig
from restore.prior.schedule import linear_betas, vp_levels

FAMILY = "ddpm"
TITLE = "DDPM (pytorch_diffusion, DDIM, DDRM)"
MARKS = (
    "temb.dense.0.weight",
    "conv_in.weight",
    "down.0.block.0.norm1.weight",
    "mid.attn_1.q.weight",
    "up.0.block.0.norm1.weight",
    "conv_out.weight",
)


def describe(weights: Weights, said: Choices) -> Recognised:
    """The architecture from names and shapes."""
    state = weights.state
    base = state["temb.dense.0.weight"].shape[1]
    levels = count(state, r"down\.(\d+)\.")
    widths = tuple(state[f"down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels))
    attention = tuple(f"down.{i}.attn.0.q.weight" in state for i in range(levels))
    config = DDPMConfig(
        in_channels=state["conv_in.weight"].shape[1],
        out_channels=state["conv_out.weight"].shape[0],
        base=base,
        widths=widths,
        blocks=count(state, r"down\.0\.block\.(\d+)\."),
        attention=attention,
        conv_resampling=levels == 1 or "down.0.downsample.conv.weight" in state,
    )
    start, end = said.get("beta_start", 1e-4), said.get("beta_end", 0.02)
    timesteps = said.get("timesteps", 1000)
    with torch.device("meta"):
        network = DDPM(config)
    return Recognised(
        family=FAMILY,
        title=TITLE,
        network=network,
        conversion=Timesteps(vp_levels(linear_betas(timesteps, start, end))),
        channels=config.in_channels,
        classes=0,
        label=said.label(0),
        facts={
            "levels": level_text(widths, attention, config.blocks),
            "schedule": f"linear, {timesteps} timesteps",
        },
        assumed=said.assumed,
        unused=tuple(name for name in state if name == "logvar"),
    )
