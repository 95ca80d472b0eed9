"""Architectures of the published checkpoints, in our words."""

from __future__ import annotations

from typing import Any

from restore.prior.networks.adm import ADM, ADMConfig
from restore.prior.networks.ddpm import DDPM, DDPMConfig
from restore.prior.networks.diffusers_config import UNet2DConfig
from restore.prior.networks.diffusers_unet import UNet2D
from restore.prior.networks.edm import EDMConfig, EDMUNet
from restore.prior.networks.ncsnpp import NCSNpp, NCSNppConfig


def _at(*levels: int, of: int) -> tuple[bool, ...]:
    return tuple(i in levels for i in range(of))


def _adm(widths: tuple[int, ...], attention: tuple[bool, ...], **given: Any) -> ADMConfig:
    values = {"model_channels": 256, "blocks": 2, **given}
    return ADMConfig(in_channels=3, out_channels=6, widths=widths, attention=attention, **values)


_LARGE = (256, 256, 512, 512, 1024, 1024)
_LARGEST = (128, 256, 256, 512, 512, 1024, 1024)
ADMS = {
    "ImageNet 64": _adm(
        (192, 384, 576, 768), _at(1, 2, 3, of=4), model_channels=192, blocks=3, classes=1000,
        new_order=True,
    ),
    "ImageNet 128": _adm(
        (256, 256, 512, 768, 1024), _at(2, 3, 4, of=5), classes=1000, head_channels=None, heads=4
    ),
    "ImageNet 256, conditional": _adm(_LARGE, _at(3, 4, 5, of=6), classes=1000),
    "ImageNet 256 or LSUN 256": _adm(_LARGE, _at(3, 4, 5, of=6)),
    "ImageNet 512": _adm(_LARGEST, _at(4, 5, 6, of=7), classes=1000),
    "FFHQ 256": _adm(
        (128, 128, 256, 256, 512, 512), _at(4, of=6), model_channels=128, blocks=1
    ),
}  # fmt: skip
DDPMS = {
    "CelebA-HQ and LSUN 256": DDPMConfig(
        3, 3, 128, (128, 128, 256, 256, 512, 512), 2, _at(4, of=6)
    ),
    "CIFAR-10": DDPMConfig(3, 3, 128, (128, 256, 256, 256), 2, _at(1, of=4)),
}


def _song(blocks: int, **given: Any) -> NCSNppConfig:
    values = {"widths": (128, 256, 256, 256), "attention": _at(1, of=4), **given}
    return NCSNppConfig(channels=3, base=128, blocks=blocks, **values)


_RESIDUAL: dict[str, Any] = {"progressive_input": "residual"}
_SKIPS: dict[str, Any] = {"progressive_input": "input_skip", "progressive_output": True}
_TIMES: dict[str, Any] = {"embedding": "positional"}
NCSNPPS = {
    "ve.ffhq_256_ncsnpp_continuous": _song(
        2, widths=(128, 128, *[256] * 5), attention=_at(4, of=7), **_SKIPS
    ),
    "ve.ffhq_ncsnpp_continuous": NCSNppConfig(
        3, 16, (16, 32, 64, 128, 256, 512, 512, 512), 1, _at(6, of=8), **_SKIPS
    ),
    "ve.celeba_ncsnpp": _song(4, attention=_at(2, of=4), **_RESIDUAL, **_TIMES),
    "ve.cifar10_ncsnpp_continuous": _song(4, **_RESIDUAL),
    "ve.cifar10_ncsnpp_deep_continuous": _song(8, **_RESIDUAL),
    "ve.cifar10_ncsnpp": _song(4, **_RESIDUAL, **_TIMES),
    "vp.cifar10_ncsnpp_continuous": _song(4, **_RESIDUAL, **_TIMES),
    "vp.cifar10_ddpmpp_continuous": _song(4, fir=False, **_TIMES),
    "vp.cifar10_ddpmpp_deep_continuous": _song(8, fir=False, **_TIMES),
    "vp.ddpm.cifar10_continuous": _song(
        2, fir=False, residual="ddpm", skip_rescale=False, **_TIMES
    ),
}


def _edm(resolution: int, widths: tuple[int, ...], level: int, **given: Any) -> EDMConfig:
    values: dict[str, Any] = {"noise_width": 128, "augmentations": 9, **given}
    return EDMConfig(
        song=True, resolution=resolution, channels=3, out_channels=3, base=128, widths=widths,
        blocks=4, attention=_at(level, of=len(widths)), embedding_width=512, **values,
    )  # fmt: skip


_SMALL: Any = (32, (256, 256, 256), 1)
_FACES: Any = (64, (128, 256, 256, 256), 2)
_VE: dict[str, Any] = {"fourier": True, "encoder": "residual", "noise_width": 256, "taps": 4}
EDMS = {
    "cifar10-uncond-vp": _edm(*_SMALL),
    "cifar10-cond-vp": _edm(*_SMALL, classes=10),
    "cifar10-uncond-ve": _edm(*_SMALL, **_VE),
    "ffhq, afhqv2-uncond-vp": _edm(*_FACES),
    "ffhq, afhqv2-uncond-ve": _edm(*_FACES, **_VE),
    "imagenet-64x64-cond-adm": EDMConfig(
        song=False, resolution=64, channels=3, out_channels=3, base=192,
        widths=(192, 384, 576, 768), blocks=3, attention=_at(1, 2, 3, of=4), noise_width=192,
        embedding_width=768, classes=1000,
    ),
}  # fmt: skip


def _blocks(kind: str, special: str, at: int, of: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    down = [f"{special if i == at else kind}DownBlock2D" for i in range(of)]
    return tuple(down), tuple(name.replace("Down", "Up") for name in reversed(down))


def _diffusers(widths: tuple[int, ...], kind: str, special: str, at: int, **given: Any) -> Any:
    down, up = _blocks(kind, special, at, len(widths))
    return {
        "block_out_channels": widths, "layers_per_block": 2, "down_block_types": down,
        "up_block_types": up, "attention_head_dim": None, "norm_eps": 1e-6,
    } | given  # fmt: skip


_DDPM = {"downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1}
_NCSNPP = {"time_embedding_type": "fourier", "mid_block_scale_factor": 1.41421356237}
DIFFUSERS = {
    "ddpm-cifar10-32": _diffusers((128, 256, 256, 256), "", "Attn", 1, **_DDPM),
    "ddpm-celebahq-256": _diffusers((128, 128, 256, 256, 512, 512), "", "Attn", 4, **_DDPM),
    "ncsnpp-church-256": _diffusers(
        (128, 128, 256, 256, 256, 256, 256), "Skip", "AttnSkip", 4, **_NCSNPP
    ),
}
NETWORKS: dict[str, Any] = {
    "adm": (ADM, ADMS),
    "ddpm": (DDPM, DDPMS),
    "ncsnpp": (NCSNpp, NCSNPPS),
    "edm": (EDMUNet, EDMS),
    "diffusers": (UNet2D, {n: UNet2DConfig.model_validate(c) for n, c in DIFFUSERS.items()}),
}
