r"""Write checkpoint_names.json: counts and names of published networks, by the original code.

    python tests/reference/make_checkpoint_names.py \
        guided-diffusion ddrm score_sde_pytorch edm library

The arguments and the commits are those of make_checkpoints.py. No weights are made or read: each
entry has the number of parameters, of names, and the SHA-256 of the sorted lines `name shape`.
"""

# ruff: noqa: C408
from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from make_checkpoints import resampled
from torch import nn


def entry(network: nn.Module) -> dict[str, Any]:
    state = network.state_dict()
    kept = {name: value for name, value in state.items() if name not in ("sigmas", "u")}
    lines = sorted(f"{name} {list(value.shape)}" for name, value in kept.items())
    return {
        "parameters": sum(value.numel() for value in network.parameters()),
        "names": len(lines),
        "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


def adm(clone: Path) -> Iterator[tuple[str, nn.Module]]:
    sys.path.insert(0, str(clone))
    from guided_diffusion.script_util import create_model  # type: ignore[import-not-found]

    common = dict(
        learn_sigma=True, use_scale_shift_norm=True, resblock_updown=True, num_head_channels=64,
        attention_resolutions="32,16,8", num_res_blocks=2, num_channels=256,
    )  # fmt: skip
    variants = {
        "ImageNet 64": dict(
            image_size=64, num_channels=192, num_res_blocks=3, class_cond=True,
            use_new_attention_order=True,
        ),
        "ImageNet 128": dict(image_size=128, class_cond=True, num_head_channels=-1, num_heads=4),
        "ImageNet 256, conditional": dict(image_size=256, class_cond=True),
        "ImageNet 256 or LSUN 256": dict(image_size=256),
        "ImageNet 512": dict(image_size=512, class_cond=True),
        "FFHQ 256": dict(
            image_size=256, num_channels=128, num_res_blocks=1, attention_resolutions="16"
        ),
    }  # fmt: skip
    for name, extra in variants.items():
        with torch.device("meta"):
            network = create_model(**(common | extra))
        yield name, network


def ddpm(clone: Path) -> Iterator[tuple[str, nn.Module]]:
    sys.path.insert(0, str(clone))
    from models.diffusion import Model  # type: ignore[import-not-found]

    common = dict(
        ch=128, out_ch=3, num_res_blocks=2, dropout=0.0, in_channels=3, resamp_with_conv=True,
        type="simple", attn_resolutions=[16],
    )  # fmt: skip
    sizes = {"CelebA-HQ and LSUN 256": (256, [1, 1, 2, 2, 4, 4]), "CIFAR-10": (32, [1, 2, 2, 2])}
    for name, (size, multiples) in sizes.items():
        config = SimpleNamespace(
            model=SimpleNamespace(ch_mult=multiples, **common),
            data=SimpleNamespace(image_size=size),
            diffusion=SimpleNamespace(num_diffusion_timesteps=1000),
        )
        with torch.device("meta"):
            network = Model(config)
        yield name, network


def ncsnpp(clone: Path) -> Iterator[tuple[str, nn.Module]]:
    for name in [n for n in sys.modules if n.split(".")[0] == "models"]:
        del sys.modules[name]
    modules: Any = types.ModuleType("op"), types.ModuleType("ml_collections")
    modules[0].upfirdn2d, modules[1].ConfigDict = resampled, SimpleNamespace
    sys.modules["op"], sys.modules["ml_collections"] = modules
    sys.path.insert(0, str(clone))
    from models import ddpm, ncsnpp  # type: ignore[attr-defined]

    for path in (
        "ve.ffhq_256_ncsnpp_continuous", "ve.ffhq_ncsnpp_continuous", "ve.celeba_ncsnpp",
        "ve.cifar10_ncsnpp_continuous", "ve.cifar10_ncsnpp_deep_continuous", "ve.cifar10_ncsnpp",
        "vp.cifar10_ncsnpp_continuous", "vp.cifar10_ddpmpp_continuous",
        "vp.cifar10_ddpmpp_deep_continuous", "vp.ddpm.cifar10_continuous",
    ):  # fmt: skip
        config = importlib.import_module(f"configs.{path}").get_config()
        yield path, (ddpm.DDPM if config.model.name == "ddpm" else ncsnpp.NCSNpp)(config)


def edm(clone: Path) -> Iterator[tuple[str, nn.Module]]:
    sys.path.insert(0, str(clone))
    from training.networks import EDMPrecond  # type: ignore[import-not-found]

    vp = dict(model_type="SongUNet", model_channels=128, augment_dim=9)
    ve = vp | dict(
        embedding_type="fourier", encoder_type="residual", channel_mult_noise=2,
        resample_filter=[1, 3, 3, 1],
    )  # fmt: skip
    small = dict(img_resolution=32, channel_mult=[2, 2, 2])
    large = dict(img_resolution=64, channel_mult=[1, 2, 2, 2])
    variants: dict[str, dict[str, Any]] = {
        "cifar10-uncond-vp": vp | small,
        "cifar10-cond-vp": vp | small | dict(label_dim=10),
        "cifar10-uncond-ve": ve | small,
        "ffhq, afhqv2-uncond-vp": vp | large,
        "ffhq, afhqv2-uncond-ve": ve | large,
        "imagenet-64x64-cond-adm": dict(
            model_type="DhariwalUNet", img_resolution=64, model_channels=192,
            channel_mult=[1, 2, 3, 4], label_dim=1000,
        ),
    }  # fmt: skip
    for name, extra in variants.items():
        with torch.device("meta"):
            network = EDMPrecond(img_channels=3, **extra).model
        yield name, network


def diffusers(library: Path) -> Iterator[tuple[str, nn.Module]]:
    sys.path.insert(0, str(library))
    from checkpoint_names_cases import DIFFUSERS
    from diffusers import UNet2DModel  # type: ignore[import-not-found]

    for name, config in DIFFUSERS.items():
        with torch.device("meta"):
            network = UNet2DModel(**config)
        yield name, network


def main() -> None:
    found: dict[str, dict[str, Any]] = {}
    makers = (adm, ddpm, ncsnpp, edm, diffusers)
    for make, source in zip(makers, sys.argv[1:], strict=True):
        made = make(Path(source).resolve())
        found[make.__name__] = {name: entry(network) for name, network in made}
    path = Path(__file__).with_name("checkpoint_names.json")
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
