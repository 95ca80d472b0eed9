"""Checkpoints of guided diffusion (ADM) and improved diffusion.

The number of attention heads and the schedule leave no trace in a state dict. They are known for
the published architectures; for another one they have to be said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from restore.errors import InputError
from restore.prior.checkpoints.files import Weights
from restore.prior.checkpoints.layout import Choices, Recognised, count, level_text
from restore.prior.conversion import Timesteps
from restore.prior.networks.adm import ADM, ADMConfig
from restore.prior.schedule import cosine_betas, linear_betas, vp_levels

FAMILY = "adm"
TITLE = "guided diffusion (ADM)"
MARKS = (
    "time_embed.0.weight",
    "input_blocks.0.0.weight",
    "middle_block.0.in_layers.0.weight",
    "middle_block.1.qkv.weight",
    "output_blocks.0.0.in_layers.0.weight",
    "out.2.weight",
)


class _Published(NamedTuple):
    name: str
    head_channels: int
    heads: int
    new_order: bool
    schedule: str


# By width of the embedding, widths, blocks a level, levels with attention, class-conditional.
_PUBLISHED = {
    (192, (192, 384, 576, 768), 3, "0111", True): _Published("ImageNet 64", 64, 0, True, "cosine"),
    (256, (256, 256, 512, 768, 1024), 2, "00111", True): _Published(
        "ImageNet 128", 0, 4, False, "linear"
    ),
    (256, (256, 256, 512, 512, 1024, 1024), 2, "000111", True): _Published(
        "ImageNet 256, conditional", 64, 0, False, "linear"
    ),
    (256, (256, 256, 512, 512, 1024, 1024), 2, "000111", False): _Published(
        "ImageNet 256 or LSUN 256", 64, 0, False, "linear"
    ),
    (256, (128, 256, 256, 512, 512, 1024, 1024), 2, "0000111", True): _Published(
        "ImageNet 512", 64, 0, False, "linear"
    ),
    (256, (128, 256, 256, 512, 512, 1024, 1024), 2, "0000111", False): _Published(
        "ImageNet 512, unconditional", 64, 0, False, "linear"
    ),
    (128, (128, 128, 256, 256, 512, 512), 1, "000010", False): _Published(
        "FFHQ 256 of ILVR and DPS", 64, 0, False, "linear"
    ),
}


def describe(weights: Weights, said: Choices) -> Recognised:
    """The architecture from names and shapes.

    Raises:
        InputError: if the network is conditioned on a picture, or its heads are not known.
    """
    state = weights.state
    blocks, levels, convolves = _shape_of_the_unet(state)
    step = blocks + 1
    first = state["input_blocks.0.0.weight"]
    base = state["time_embed.0.weight"].shape[1]
    channels, out_channels = first.shape[1], state["out.2.weight"].shape[0]
    if out_channels not in (channels, 2 * channels):
        raise InputError(
            f"{weights.path}: {channels} channels in and {out_channels} out, a network that is "
            f"conditioned on a picture (a super-resolution model); expected a plain prior"
        )
    starts = [1 + level * step for level in range(levels)]
    widths = tuple(state[f"input_blocks.{i}.0.out_layers.3.weight"].shape[0] for i in starts)
    attention = tuple(f"input_blocks.{i}.1.qkv.weight" in state for i in starts)
    classes = state["label_emb.weight"].shape[0] if "label_emb.weight" in state else 0
    key = (base, widths, blocks, "".join(str(int(a)) for a in attention), classes > 0)
    published = _PUBLISHED.get(key)
    usual = published or _Published("", 0, 0, False, "linear")
    why = "" if published else "not in the file; the usual one"
    attended = [w for w, a in zip(widths, attention, strict=True) if a] + [widths[-1]]
    heads, head_channels = _heads(weights, said, usual, attended)
    scale_shift = (
        state["middle_block.0.emb_layers.1.weight"].shape[0]
        == 2 * state["middle_block.0.out_layers.3.weight"].shape[0]
    )
    config = ADMConfig(
        in_channels=channels,
        out_channels=out_channels,
        model_channels=base,
        widths=widths,
        blocks=blocks,
        attention=attention,
        head_channels=head_channels or None,
        heads=heads or 1,
        new_order=said.get("new_order", usual.new_order, why or None),
        scale_shift=scale_shift,
        residual_resampling=_resamples_by_blocks(state, blocks),
        conv_resampling=convolves,
        classes=classes,
    )
    schedule = said.one_of("schedule", ("linear", "cosine"), usual.schedule, why)
    timesteps = said.get("timesteps", 1000)
    prediction = said.one_of("prediction", ("epsilon", "sample", "v_prediction"), "epsilon")
    levels_of_noise = _levels(schedule, timesteps)
    with torch.device("meta"):
        network = ADM(config)
    facts = {
        "published as": published.name if published else "an architecture not published",
        "levels": level_text(widths, attention, blocks),
        "attention": f"{heads} heads" if heads else f"heads of {head_channels} channels",
        "variance": "learned, dropped" if out_channels > channels else "fixed",
        "schedule": f"{schedule}, {timesteps} timesteps",
    }
    return Recognised(
        family=FAMILY,
        title=TITLE,
        network=network,
        conversion=Timesteps(
            levels_of_noise,
            prediction,  # type: ignore[arg-type]
            scale=1000 / timesteps,
        ),
        channels=channels,
        classes=classes,
        label=said.label(classes),
        facts=facts,
        assumed=said.assumed,
    )


def _heads(
    weights: Weights, said: Choices, usual: _Published, widths: list[int]
) -> tuple[int, int]:
    """Number of the attention's heads, or the channels of one, for levels of these widths.

    Raises:
        InputError: if neither is known, or it does not divide a width.
    """
    head_channels = said.get("head_channels", usual.head_channels)
    heads = said.get("heads", usual.heads if not said.given.get("head_channels") else 0)
    if said.given.get("heads"):
        head_channels = 0
    if not heads and not head_channels:
        raise InputError(
            f"{weights.path}: the attention heads of this architecture are not in the file; "
            f"candidates: head_channels=64, heads=4, heads=1; say which with "
            f"`restore models add FILE --set heads=…`"
        )
    if any(w % (head_channels or heads) for w in widths):
        raise InputError(
            f"{weights.path}: {head_channels or heads} does not divide the widths {widths} of the "
            f"attention; expected another head_channels or heads"
        )
    return heads, head_channels


def _levels(schedule: str, timesteps: int) -> tuple[float, ...]:
    if schedule == "cosine":
        return vp_levels(cosine_betas(timesteps))
    ratio = 1000 / timesteps
    return vp_levels(linear_betas(timesteps, 1e-4 * ratio, 0.02 * ratio))


def _shape_of_the_unet(state: dict[str, Any]) -> tuple[int, int, bool]:
    """Blocks a level, levels, and whether the resampling layers have weights."""
    outputs = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("output_blocks"))
    ups = [i for i in range(outputs) if _is_up(state, i)]
    if ups:
        step = ups[0] + 1
        return step - 1, outputs // step, True
    inputs = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("input_blocks"))
    gaps = [i for i in range(inputs) if not count(state, rf"(input_blocks\.{i})\.")]
    step = gaps[0] if gaps else outputs
    return step - 1, outputs // step, False


def _is_up(state: dict[str, Any], i: int) -> bool:
    later = range(1, 3)
    return any(
        f"output_blocks.{i}.{k}.{name}" in state
        for k in later
        for name in ("conv.weight", "in_layers.0.weight")
    )


def _resamples_by_blocks(state: dict[str, Any], blocks: int) -> bool:
    return f"input_blocks.{blocks + 1}.0.in_layers.0.weight" in state
