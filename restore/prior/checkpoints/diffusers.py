"""Folders of the diffusers library: `UNet2DModel`, its `config.json` and its scheduler's.

A folder may be the network's own, or a pipeline's with the network in `unet` and the schedule in
`scheduler`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from restore.errors import InputError, first_error
from restore.io.json_text import parse_json
from restore.prior.checkpoints.files import Weights
from restore.prior.checkpoints.layout import Choices, Recognised, level_text
from restore.prior.conversion import Conversion, Timesteps, VENoise
from restore.prior.networks.diffusers_config import UNet2DConfig
from restore.prior.networks.diffusers_unet import UNet2D
from restore.prior.schedule import cosine_betas, linear_betas, vp_levels

FAMILY = "diffusers"
TITLE = "diffusers UNet2DModel"
MARKS = (
    r"conv_in\.weight",
    r"time_embedding\.linear_1\.weight",
    r"down_blocks\.0\.resnets\.0\.norm1\.weight",
    r"up_blocks\.0\.resnets\.0\.norm1\.weight",
    r"conv_norm_out\.weight",
)
CONFIG = "config.json"
WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
)
LATENT_PARTS = ("vae", "vqvae", "text_encoder", "movq")
# The attention of older files, and what it is called now.
_OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def weights_in(folder: Path) -> Path | None:
    """The weights file of a folder of the library; None where it is no such folder.

    Raises:
        InputError: if the folder is a latent model's, or has a config and no weights.
    """
    if (folder / "model_index.json").is_file():
        latent = [name for name in LATENT_PARTS if (folder / name).exists()]
        if latent:
            raise InputError(
                f"{folder}: a latent-diffusion pipeline (it has {', '.join(latent)}); latent "
                f"models are out of scope, expected a model of pixels"
            )
        folder = folder / "unet"
    if not (folder / CONFIG).is_file():
        return None
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: {CONFIG} and no weights; expected {WEIGHTS[0]}")


def describe(weights: Weights, said: Choices) -> Recognised:
    """The architecture from `config.json`, the schedule from `scheduler_config.json`.

    Raises:
        InputError: if one of them is missing or says what is not served.
    """
    folder = weights.path.parent
    config = _config(folder)
    for name in [n for n in weights.state if n.split(".")[-2] in _OLD]:
        parts = name.split(".")
        value = weights.state.pop(name)
        new = ".".join([*parts[:-2], _OLD[parts[-2]], parts[-1]])
        weights.state[new] = value.flatten(1) if value.ndim > 1 else value
    # A buffer that some versions of the library saved under a second name.
    if "time_proj.W" in weights.state:
        weights.state.setdefault("time_proj.weight", weights.state.pop("time_proj.W"))
    conversion, told = _conversion(_schedule(folder), config, said)
    with torch.device("meta"):
        network = UNet2D(config)
    attention = tuple("Attn" in kind for kind in config.down_block_types)
    if config.out_channels not in (config.in_channels, 2 * config.in_channels):
        raise InputError(
            f"{folder}: {config.in_channels} channels in and {config.out_channels} out; "
            f"expected a plain prior"
        )
    classes = config.num_class_embeds or 0
    return Recognised(
        family=FAMILY,
        title=TITLE,
        network=network,
        conversion=conversion,
        channels=config.in_channels,
        classes=classes,
        label=said.label(classes),
        facts={
            "levels": level_text(config.block_out_channels, attention, config.layers_per_block),
            "embedding": config.time_embedding_type,
            "schedule": told,
        },
        assumed=said.assumed,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; expected JSON") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: {type(content).__name__}; expected a JSON object")
    return content


def _config(folder: Path) -> UNet2DConfig:
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: a diffusers network without {CONFIG}; expected it beside")
    content = _json(path)
    kind = content.get("_class_name", "UNet2DModel")
    if kind != "UNet2DModel":
        latent = " (a latent or text-conditional model, which is out of scope)"
        told = latent if "Condition" in str(kind) or "Autoencoder" in str(kind) else ""
        raise InputError(f"{path}: {kind}{told}; expected UNet2DModel")
    try:
        config = UNet2DConfig.model_validate(content)
    except ValidationError as error:
        place, reason = first_error(error)
        found = error.errors()[0]["input"]
        raise InputError(f"{path}: {'.'.join(place)}: {reason}, found {found!r}") from None
    levels = {len(config.down_block_types), len(config.up_block_types)}
    if levels != {len(config.block_out_channels)}:
        raise InputError(f"{path}: the numbers of block types and of channels differ")
    return config


def _schedule(folder: Path) -> dict[str, Any]:
    for path in (
        folder / "scheduler_config.json",
        folder.parent / "scheduler" / "scheduler_config.json",
        folder / "scheduler" / "scheduler_config.json",
    ):
        if path.is_file():
            return _json(path)
    return {}


def _conversion(
    schedule: dict[str, Any], config: UNet2DConfig, said: Choices
) -> tuple[Conversion, str]:
    kind = str(schedule.get("_class_name", ""))
    if config.time_embedding_type == "fourier":
        low = said.get("sigma_min", float(schedule.get("sigma_min", 0.01)))
        high = said.get("sigma_max", float(schedule.get("sigma_max", 1348.0)))
        return VENoise(low, high, centres=False), f"VE, {low:g} to {high:g}"
    if any(word in kind for word in ("FlowMatch", "EDM", "Karras", "CMStochastic", "SdeVe", "VQ")):
        raise InputError(
            f"{said.path}: the schedule of {kind} is not served; "
            f"expected one of DDPM's (DDPMScheduler, DDIMScheduler, …)"
        )
    why = "" if schedule else "no scheduler_config.json; the library's default"
    values = {
        "beta_schedule": schedule.get("beta_schedule", "linear"),
        "num_train_timesteps": int(schedule.get("num_train_timesteps", 1000)),
        "beta_start": float(schedule.get("beta_start", 1e-4)),
        "beta_end": float(schedule.get("beta_end", 0.02)),
    }
    prediction = said.one_of(
        "prediction",
        ("epsilon", "v_prediction", "sample"),
        schedule.get("prediction_type", "epsilon"),
        why,
    )
    timesteps = said.get("timesteps", values["num_train_timesteps"])
    name = said.one_of(
        "schedule",
        ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"),
        values["beta_schedule"],
        why,
    )
    betas = schedule.get("trained_betas") or _betas(
        name, timesteps, values["beta_start"], values["beta_end"]
    )
    if schedule.get("rescale_betas_zero_snr"):
        betas = _zero_snr(betas)
    levels = tuple(level for level in vp_levels(betas) if math.isfinite(level) and level < 1e6)
    told = f"{name}, {len(levels)} timesteps, predicts {prediction}"
    return Timesteps(levels, prediction), told  # type: ignore[arg-type]


def _betas(name: str, timesteps: int, start: float, end: float) -> list[float]:
    if name == "linear":
        return linear_betas(timesteps, start, end)
    if name == "scaled_linear":
        return [root**2 for root in linear_betas(timesteps, start**0.5, end**0.5)]
    if name == "squaredcos_cap_v2":
        return cosine_betas(timesteps)
    return [start + (end - start) / (1 + math.exp(-v)) for v in linear_betas(timesteps, -6, 6)]


def _zero_snr(betas: list[float]) -> list[float]:
    """β rescaled so that nothing is left of the picture at the end (Lin et al., WACV 2024)."""
    kept: Tensor = torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0).sqrt()
    kept = (kept - kept[-1]) * kept[0] / (kept[0] - kept[-1])
    kept = kept.square()
    ratios = torch.cat([kept[:1], kept[1:] / kept[:-1]])
    rescaled: list[float] = (1 - ratios).tolist()
    return rescaled
