"""Checkpoints of score_sde_pytorch: NCSN++, DDPM++ and its DDPM.

Their modules are numbered, so the architecture is read from what each number is. The SDE leaves no
trace in a network with a positional embedding, and has to be said.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from restore.errors import InputError
from restore.prior.checkpoints.files import Weights
from restore.prior.checkpoints.layout import Choices, Recognised, level_text
from restore.prior.conversion import ContinuousVP, Conversion, Timesteps, VENoise
from restore.prior.networks.ncsnpp import NCSNpp, NCSNppConfig
from restore.prior.schedule import linear_betas, vp_levels

FAMILY = "ncsnpp"
TITLE = "score_sde (NCSN++, DDPM++)"
MARKS = (
    r"all_modules.0.(W|weight)",
    r"all_modules.[23].weight",
    r"all_modules.[34].GroupNorm_0.weight",
    r"all_modules.[34].Conv_1.weight",
)
SDES = ("ve", "vp", "subvp")


class _Module(NamedTuple):
    """One of the numbered modules: its kind, and its channels out and in."""

    kind: Literal["block", "attention", "mix", "down", "norm", "conv", "dense", "fourier"]
    out: int
    into: int
    resamples: bool = False


def _kind(names: dict[str, Tensor]) -> _Module:
    if "GroupNorm_1.weight" in names:
        out, into = names["Conv_0.weight"].shape[:2]
        return _Module("block", out, into, "Conv_2.weight" in names and out == into)
    if "NIN_3.W" in names:
        return _Module("attention", *names["NIN_3.W"].shape)
    if "W" in names:
        return _Module("fourier", names["W"].shape[0], 0)
    for name in ("Conv_0.weight", "Conv2d_0.weight"):
        if name in names:
            out, into, size = names[name].shape[:3]
            return _Module("mix" if size == 1 else "down", out, into)
    weight = names["weight"]
    kinds: dict[int, Literal["norm", "dense", "conv"]] = {1: "norm", 2: "dense", 4: "conv"}
    return _Module(kinds[weight.ndim], weight.shape[0], weight.shape[-1 if weight.ndim < 4 else 1])


def _modules(state: dict[str, Tensor]) -> list[_Module]:
    groups: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        if found := re.fullmatch(r"all_modules\.(\d+)\.(.+)", name):
            groups.setdefault(int(found[1]), {})[found[2]] = value
    return [_kind(groups[i]) for i in sorted(groups)]


def _architecture(path: object, state: dict[str, Tensor], said: Choices) -> NCSNppConfig:
    modules = _modules(state)
    fourier = modules[0].kind == "fourier"
    stem = modules[3 if fourier else 2]
    body = modules[4 if fourier else 3 :]
    residual: Literal["biggan", "ddpm"] = (
        "biggan" if any("Conv_2" in name for name in state) else "ddpm"
    )
    widths: list[int] = []
    counts: list[int] = []
    attention: list[bool] = []
    progressive: Literal["none", "input_skip", "residual"] = "none"
    combine: Literal["sum", "cat"] = "sum"
    # Down the levels until the middle: block, attention, block, and the skips come in.
    width = stem.out
    fresh = True
    for i, module in enumerate(body):
        if module.kind == "block" and module.into > width and not fresh:
            break
        if (module.kind == "block" and module.resamples) or (module.kind == "down" and not fresh):
            fresh = True
            continue
        if module.kind == "mix":
            progressive = "input_skip"
            combine = "cat" if body[i + 1].into == 2 * module.out else "sum"
        elif module.kind == "down":
            progressive = "residual"
        elif module.kind == "block":
            if fresh:
                widths.append(module.out)
                counts.append(0)
                attention.append(False)
            fresh = False
            counts[-1] += 1
            width = module.out
        elif module.kind == "attention":
            attention[-1] = True
    # The last level has swallowed the middle: two blocks, and an attention.
    counts[-1] -= 2
    blocks = counts[0] if len(counts) > 1 else counts[-1]
    tail = [module.kind for module in body if module.kind == "attention"]
    if blocks < 1 or any(c != blocks for c in counts):
        raise InputError(
            f"{path}: levels of {counts} residual blocks; expected the same number in each"
        )
    # Attention of the middle apart, a level has `blocks` of them down and one up.
    inner = sum(attention[:-1])
    attention[-1] = len(tail) > 1 + inner * (blocks + 1)
    norms = sum(module.kind == "norm" for module in body)
    has_fir = any(".Conv2d_0." in name for name in state)
    if progressive == "residual":
        fir = has_fir
    elif residual == "ddpm":
        fir = False
    elif fourier or progressive != "none":
        fir = said.get("fir", True, "the filter has no weights; as in every published NCSN++")
    else:
        fir = said.get("fir", False, "the filter has no weights; as in every published DDPM++")
    return NCSNppConfig(
        channels=stem.into,
        base=stem.out,
        widths=tuple(widths),
        blocks=blocks,
        attention=tuple(attention),
        residual=residual,
        embedding="fourier" if fourier else "positional",
        fir=fir,
        skip_rescale=said.get("skip_rescale", residual == "biggan"),
        progressive_input=progressive,
        progressive_output=norms > 1,
        combine=combine,
    )


def describe(weights: Weights, said: Choices) -> Recognised:
    """The architecture from what each numbered module is.

    Raises:
        InputError: if the state dict fits no architecture, or several SDEs.
    """
    state = weights.state
    config = _architecture(weights.path, state, said)
    sde = said.one_of(
        "sde",
        SDES,
        "ve" if config.embedding == "fourier" else None,
        "" if config.embedding == "fourier" else "the SDE of its training is not in the file",
    )
    levels = tuple(state["sigmas"].double().flatten().tolist()) if "sigmas" in state else ()
    conversion, told = _conversion(config, sde, levels, said)
    with torch.device("meta"):
        network = NCSNpp(config)
    extras = [
        *(["progressive input"] if config.progressive_input != "none" else []),
        *(["progressive output"] if config.progressive_output else []),
        *(["FIR resampling"] if config.fir else []),
    ]
    return Recognised(
        family=FAMILY,
        title=TITLE,
        network=network,
        conversion=conversion,
        channels=config.channels,
        classes=0,
        label=said.label(0),
        facts={
            "levels": level_text(config.widths, config.attention, config.blocks),
            "embedding": config.embedding,
            "with": ", ".join(extras) or "nothing more",
            "SDE": told,
        },
        assumed=said.assumed,
        unused=tuple(name for name in state if name == "sigmas"),
    )


def _conversion(
    config: NCSNppConfig, sde: str, levels: tuple[float, ...], said: Choices
) -> tuple[Conversion, str]:
    if sde == "ve":
        low, high = min(levels, default=0.0), max(levels, default=0.0)
        low, high = said.get("sigma_min", low), said.get("sigma_max", high)
        if not 0 < low < high:
            raise InputError(
                f"{said.path}: no buffer `sigmas` in it; say the range of its training with "
                f"`restore models add FILE --set sigma_min=0.01 --set sigma_max=…`"
            )
        if config.embedding == "fourier":
            return VENoise(low, high), f"VE, {low:g} to {high:g}"
        table = levels or _geometric(low, high, said.get("timesteps", 1000))
        table = tuple(sorted(table))
        return VENoise(low, high, table), f"VE, {len(table)} levels, {low:g} to {high:g}"
    slowest, fastest = said.get("beta_min", 0.1), said.get("beta_max", 20.0)
    if sde == "subvp":
        return ContinuousVP(slowest, fastest, sub=True), "sub-VP"
    if said.get("continuous", True, "not in the file; continuous=false for timesteps"):
        return ContinuousVP(slowest, fastest), "VP"
    steps = said.get("timesteps", 1000)
    betas = linear_betas(steps, slowest / steps, fastest / steps)
    return Timesteps(vp_levels(betas)), f"VP, {steps} timesteps"


def _geometric(low: float, high: float, steps: int) -> tuple[float, ...]:
    return tuple(low * (high / low) ** (i / (steps - 1)) for i in range(steps))
