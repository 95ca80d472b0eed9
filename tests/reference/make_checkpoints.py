"""Write checkpoints/ and checkpoints.npz: tiny networks of the original code and what they give.

    git clone https://github.com/openai/guided-diffusion
    git clone https://github.com/bahjat-kawar/ddrm
    git clone https://github.com/yang-song/score_sde_pytorch
    git clone https://github.com/NVlabs/edm
    pip install --no-deps --target library diffusers==0.42.1     # and what it asks for
    python tests/reference/make_checkpoints.py guided-diffusion ddrm score_sde_pytorch edm library

The stored files are from commits 22e0df8, 32b6b3c, cb1f359 and 008a4e5 and from diffusers 0.42.1.
The script runs the other repositories' functions and contains none of their code. What it changes
at run time:

- the compiled resampling extension of score_sde_pytorch is replaced by plain convolution;
- the attention heads of DhariwalUNet, of 64 channels, have 16;
- all parameters are random (the originals start with zeros), rounded to half precision, so that
  the files are small.

What a network adds up over its levels needs three of them to be seen. Where norms have 32 groups
some level has 64 channels: a group of one channel takes the shift by the time away again.

For each network: an input and the raw output at some time, and D(x, σ) at five noise levels as the
original code computes it (its own schedule, its own estimate of the clean picture), in its own
units.
"""

# ruff: noqa: C408
from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from checkpoints_cases import FOLDER
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SIZE = 16
ARRAYS: dict[str, np.ndarray] = {}
TIMES = (0, 50, 300, 700, 999)
LEVELS = (0.02, 0.3, 2.0, 10.0, 40.0)


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """The network with nothing zero, in values of half precision.

    Of a large one only the signs are random, which git compresses to a ninth.
    """
    large = sum(p.numel() for p in network.parameters()) > 500_000
    generator = torch.Generator().manual_seed(seed)
    norms = {
        id(p)
        for m in network.modules()
        if "GroupNorm" in type(m).__name__
        for p in [m.weight]  # type: ignore[union-attr]
    }
    for value in network.parameters():
        fan = value[0].numel() if value.ndim > 1 else 100
        noise = torch.randn(value.shape, generator=generator)
        noise = (noise.sign() if large else noise) / fan**0.5
        value.data = (noise + (1 if id(value) in norms else 0)).half().float()
    return network.eval().requires_grad_(False)


def picture(seed: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, SIZE, SIZE, generator=generator)


X, NOISE, CLEAN = picture(1), picture(11)[:1], 0.3 * picture(12)[:1]


def keep(
    name: str,
    times: Tensor,
    raw: Tensor,
    sigmas: list[float],
    denoise: Callable[[Tensor, int], Tensor],
) -> None:
    """Store a case; D is of x₀ + σ n in the network's units, one picture a level."""
    noisy = [CLEAN + sigma * NOISE for sigma in sigmas]
    denoised = torch.cat([denoise(value, i) for i, value in enumerate(noisy)])
    assert torch.isfinite(raw).all()
    assert torch.isfinite(denoised).all()
    assert raw.std() > 0.05
    levels = torch.tensor(sigmas, dtype=torch.float64)
    stored = {"time": times, "raw": raw, "sigma": levels, "denoised": denoised}
    ARRAYS.update({f"{name}/{key}": value.numpy() for key, value in stored.items()})


def halves(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.half() for name, value in state.items()}


def make_adm(clone: Path) -> None:
    sys.path.insert(0, str(clone))
    from guided_diffusion.script_util import create_gaussian_diffusion  # type: ignore
    from guided_diffusion.unet import UNetModel  # type: ignore[import-not-found]

    common = dict(
        image_size=SIZE, in_channels=3, model_channels=32, num_res_blocks=1,
        attention_resolutions=(2,), channel_mult=(1, 1),
    )  # fmt: skip
    variants: dict[str, dict[str, Any]] = {
        "adm_conditional.pt": dict(
            out_channels=6, num_head_channels=16, use_scale_shift_norm=True, resblock_updown=True,
            use_new_attention_order=True, num_classes=5,
        ),
        "adm_convolutions.pt": dict(out_channels=3, num_heads=4, channel_mult=(1, 2)),
        "adm_without_resampling_weights.pt": dict(
            out_channels=3, num_head_channels=16, use_scale_shift_norm=True, conv_resample=False
        ),
    }  # fmt: skip
    for seed, (name, extra) in enumerate(variants.items()):
        network = randomised(UNetModel(**(common | extra)), seed)
        torch.save(halves(network.state_dict()), FOLDER / name)
        learned = extra["out_channels"] == 6
        diffusion = create_gaussian_diffusion(
            steps=1000,
            learn_sigma=learned,
            noise_schedule="cosine" if "conditional" in name else "linear",
        )
        label = {"y": torch.tensor([3])} if "num_classes" in extra else {}
        kept = diffusion.alphas_cumprod

        def denoise(
            x: Tensor, i: int, network=network, label=label, diffusion=diffusion, kept=kept
        ) -> Tensor:
            t = torch.tensor([TIMES[i]])
            scaled = x * float(kept[TIMES[i]]) ** 0.5
            found = diffusion.p_mean_variance(
                network, scaled, t, clip_denoised=False, model_kwargs=label
            )
            return found["pred_xstart"]

        x, times = X, torch.tensor([7.0, 612.25])
        labels = {"y": torch.tensor([3, 3])} if label else {}
        raw = network(x, times, **labels)
        keep(name, times, raw, [float((1 / kept[t] - 1) ** 0.5) for t in TIMES], denoise)


def make_ddpm(clone: Path) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "models"]:
        del sys.modules[name]
    sys.path.insert(0, str(clone))
    from models.diffusion import Model  # type: ignore[import-not-found]

    config = SimpleNamespace(
        model=SimpleNamespace(
            ch=32, out_ch=3, ch_mult=[1, 2], num_res_blocks=1, attn_resolutions=[SIZE // 2],
            dropout=0.0, in_channels=3, resamp_with_conv=True, type="simple",
        ),
        data=SimpleNamespace(image_size=SIZE),
        diffusion=SimpleNamespace(num_diffusion_timesteps=1000),
    )  # fmt: skip
    network = randomised(Model(config), 20)
    state = {f"module.{name}": value for name, value in halves(network.state_dict()).items()}
    torch.save(state, FOLDER / "ddpm.ckpt")
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))

    def denoise(x: Tensor, i: int) -> Tensor:
        a = float(kept[TIMES[i]])
        scaled = x * a**0.5
        epsilon = network(scaled, torch.tensor([float(TIMES[i])]))
        return (scaled - epsilon * (1 - a) ** 0.5) / a**0.5

    x, times = X, torch.tensor([7.0, 612.25])
    sigmas = [float((1 / kept[t] - 1) ** 0.5) for t in TIMES]
    keep("ddpm.ckpt", times, network(x, times), sigmas, denoise)


def resampled(x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: Any = (0, 0)) -> Tensor:
    """What the compiled extension computes: zeros between, padding, a filter, every n-th."""
    batch, channels, rows, columns = x.shape
    spread = x.new_zeros(batch, channels, rows * up, columns * up)
    spread[..., ::up, ::up] = x
    padded = F.pad(spread, (*pad, *pad))
    weight = kernel.flip(0, 1).to(x.dtype).expand(channels, 1, -1, -1)
    return F.conv2d(padded, weight, groups=channels)[..., ::down, ::down]


def make_ncsnpp(clone: Path) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "models"]:
        del sys.modules[name]
    extension: Any = types.ModuleType("op")
    extension.upfirdn2d = resampled
    sys.modules["op"] = extension
    sys.path.insert(0, str(clone))
    import sde_lib  # type: ignore[import-not-found]
    from models import ddpm, ncsnpp, utils  # type: ignore[attr-defined]

    base = dict(
        nf=8, ch_mult=(1, 2), num_res_blocks=1, attn_resolutions=(SIZE // 2,), dropout=0.0,
        resamp_with_conv=True, conditional=True, fir=True, fir_kernel=[1, 3, 3, 1],
        skip_rescale=True, resblock_type="biggan", progressive="none", progressive_input="none",
        progressive_combine="sum", embedding_type="fourier", init_scale=0.1, fourier_scale=2,
        nonlinearity="swish", sigma_min=0.01, sigma_max=50.0, num_scales=100, beta_min=0.1,
        beta_max=20.0, scale_by_sigma=True, normalization="GroupNorm",
    )  # fmt: skip
    positional = dict(embedding_type="positional")
    vp = positional | dict(scale_by_sigma=False, num_scales=1000)
    variants: dict[str, tuple[dict[str, Any], str, bool]] = {
        "ncsnpp_input_skip.pth": (
            dict(progressive="output_skip", progressive_input="input_skip", ch_mult=(1, 2, 2)),
            "ve", True,
        ),
        "ncsnpp_concatenated.pth": (
            dict(progressive_input="input_skip", progressive_combine="cat"), "ve", True,
        ),
        "ncsnpp_residual.pth": (
            dict(progressive_input="residual", num_res_blocks=2, attn_resolutions=(SIZE,)),
            "ve", True,
        ),
        "ncsnpp_timesteps.pth": (positional | dict(progressive_input="residual"), "ve", False),
        "ncsnpp_vp.pth": (
            vp | dict(progressive_input="residual", ch_mult=(1, 2, 2)), "vp", True,
        ),
        "ddpmpp_vp.pth": (vp | dict(fir=False), "vp", True),
        "ddpmpp_subvp.pth": (vp | dict(fir=False), "subvp", True),
        "ddpm_score_sde.pth": (
            vp | dict(nf=32, resblock_type="ddpm", skip_rescale=False, fir=False),
            "vp", False,
        ),
    }  # fmt: skip
    for seed, (name, (extra, kind, continuous)) in enumerate(variants.items()):
        config = SimpleNamespace(
            model=SimpleNamespace(**(base | extra)),
            data=SimpleNamespace(image_size=SIZE, num_channels=3, centered=kind != "ve"),
            training=SimpleNamespace(continuous=continuous),
        )
        cls = ddpm.DDPM if "ddpm_" in name else ncsnpp.NCSNpp
        network = randomised(cls(config), 40 + seed)
        if config.model.embedding_type == "fourier":
            w = network.all_modules[0].W
            generator = torch.Generator().manual_seed(9)
            w.data = (2 * torch.randn(w.shape, generator=generator)).half().float()
        state = {f"module.{k}": v.half() for k, v in network.state_dict().items()}
        state["module.sigmas"] = network.sigmas
        averages = [
            v.half()
            for k, v in network.named_parameters()
            if not (k == "all_modules.0.W" and config.model.embedding_type == "fourier")
        ]
        # The weights themselves are others than their averages, which are what is to be used.
        for key in state:
            if "sigmas" not in key and not key.endswith("0.W"):
                state[key] = torch.tensor(0.5).half().expand(state[key].shape)
        content = {
            "optimizer": {"state": {}, "param_groups": []},
            "model": state,
            "ema": {"decay": 0.999, "num_updates": 5, "shadow_params": averages},
            "step": 5,
        }
        torch.save(content, FOLDER / name)
        kinds = {"ve": sde_lib.VESDE, "vp": sde_lib.VPSDE, "subvp": sde_lib.subVPSDE}
        model = config.model
        if kind == "ve":
            sde = kinds[kind](model.sigma_min, model.sigma_max, model.num_scales)
        else:
            sde = kinds[kind](model.beta_min, model.beta_max, model.num_scales)
        score = utils.get_score_fn(sde, network, train=False, continuous=continuous)
        steps = model.num_scales - 1
        instants = [round(f * steps) / steps for f in (0.05, 0.2, 0.5, 0.8, 0.95)]
        discrete = kind == "vp" and not continuous

        def marginal(t: Tensor, sde=sde, discrete=discrete) -> tuple[Tensor, Tensor]:
            if discrete:
                index = (t * (sde.N - 1)).round().long()
                return sde.sqrt_alphas_cumprod[index], sde.sqrt_1m_alphas_cumprod[index]
            mean, std = sde.marginal_prob(torch.ones(1, 1, 1, 1), t)
            return mean.flatten(), std

        def denoise(x: Tensor, i: int, score=score, marginal=marginal, instants=instants) -> Tensor:
            # A hair above the timestep, since the code truncates it.
            t = torch.tensor([instants[i]])
            mean, std = marginal(t)
            scaled = mean * x
            return (scaled + std**2 * score(scaled, t + 1e-7)) / mean

        x = X
        if kind == "ve":
            times = torch.tensor([0.7, 23.0]) if continuous else torch.tensor([90, 12])
        else:
            times = torch.tensor([7.0, 612.25])
        # It centres pictures of [0, 1] itself; the stored input is what its first layer sees.
        raw = network((x + 1) / 2 if kind == "ve" else x, times)
        if kind == "ve":  # ours is before the division by σ
            used = times if continuous else network.sigmas[times]
            raw = raw * used.view(-1, 1, 1, 1).float()
        sigmas = [float(s / m) for m, s in (marginal(torch.tensor([t])) for t in instants)]
        keep(name, times.float(), raw, sigmas, denoise)


def make_edm(clone: Path) -> None:
    sys.path.insert(0, str(clone))
    from training import networks  # type: ignore[import-not-found]

    block = networks.UNetBlock

    song = dict(
        model_type="SongUNet", img_resolution=SIZE, img_channels=3, model_channels=8,
        channel_mult=[1, 2], num_blocks=1, attn_resolutions=[SIZE // 2],
    )  # fmt: skip
    fourier = dict(
        embedding_type="fourier", channel_mult_noise=2, encoder_type="residual",
        resample_filter=[1, 3, 3, 1],
    )  # fmt: skip
    dhariwal = dict(
        model_type="DhariwalUNet", img_resolution=SIZE, img_channels=3, model_channels=16,
        channel_mult=[1, 2], num_blocks=1, attn_resolutions=[SIZE // 2],
    )  # fmt: skip
    deep = fourier | dict(channel_mult=[1, 2, 2])
    variants: dict[str, tuple[str, dict[str, Any]]] = {
        "edm_ddpmpp.safetensors": ("EDMPrecond", song | dict(augment_dim=9)),
        "edm_ncsnpp.safetensors": ("EDMPrecond", song | fourier | dict(label_dim=4)),
        "edm_skip.safetensors": (
            "EDMPrecond",
            song | deep | dict(encoder_type="skip", decoder_type="skip"),
        ),
        "edm_ve.safetensors": ("VEPrecond", song | deep),
        "edm_vp.safetensors": ("VPPrecond", song),
        "edm_iddpm.safetensors": ("iDDPMPrecond", dhariwal | dict(label_dim=4)),
    }
    for seed, (name, (kind, extra)) in enumerate(variants.items()):
        if extra["model_type"] == "DhariwalUNet":
            networks.UNetBlock = lambda **given: block(**(given | {"channels_per_head": 16}))
        network = randomised(getattr(networks, kind)(**extra), 60 + seed)
        networks.UNetBlock = block
        for key, value in network.named_buffers():
            if key.endswith("freqs"):
                value.data = (value / 8).half().float()
        with tempfile.TemporaryDirectory() as folder:
            pickled = Path(folder) / "network.pkl"
            with pickled.open("wb") as stream:
                pickle.dump({"ema": copy.deepcopy(network)}, stream)
            script = Path(__file__).parents[2] / "tools" / "convert_edm.py"
            converted = Path(folder) / "converted.safetensors"
            subprocess.run([sys.executable, script, clone, pickled, converted], check=True)
            state = load_file(converted)
            with converted.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                metadata = json.loads(stream.read(length))["__metadata__"]
        small = {k: v if k == "u" else v.half() for k, v in state.items()}
        save_file(small, FOLDER / name, metadata=metadata)
        classes = extra.get("label_dim", 0)
        chosen = {"edm_ncsnpp.safetensors": 1, "edm_iddpm.safetensors": 2}.get(name, 0)
        one_hot = F.one_hot(torch.tensor([chosen]), classes).float() if classes else None
        sigmas = list(LEVELS)
        if kind == "iDDPMPrecond":
            sigmas = [float(network.u[999 - t]) for t in TIMES]

        def denoise(x: Tensor, i: int, network=network, one_hot=one_hot, sigmas=sigmas) -> Tensor:
            return network(x, torch.tensor([sigmas[i]]), one_hot)

        x, times = X, torch.tensor([0.7, -0.4])
        raw = network.model(x, times, None if one_hot is None else one_hot.expand(2, -1))
        keep(name, times, raw, sigmas, denoise)


def make_diffusers(library: Path) -> None:
    sys.path.insert(0, str(library))
    from diffusers import DDPMScheduler, UNet2DModel  # type: ignore[import-not-found]
    from diffusers.schedulers import ScoreSdeVeScheduler  # type: ignore[import-not-found]

    common = dict(sample_size=SIZE, layers_per_block=1, norm_num_groups=4)
    variants: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "diffusers_epsilon": (
            dict(
                block_out_channels=(16, 32), down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8,
                downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6,
            ),
            dict(),
        ),
        "diffusers_v": (
            dict(
                block_out_channels=(16, 16, 16), attention_head_dim=None,
                down_block_types=("AttnDownBlock2D", "ResnetDownsampleBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "ResnetUpsampleBlock2D", "AttnUpBlock2D"),
                resnet_time_scale_shift="scale_shift", num_class_embeds=3,
                downsample_type="resnet", upsample_type="resnet",
            ),
            dict(prediction_type="v_prediction", beta_schedule="squaredcos_cap_v2"),
        ),
        "diffusers_sample": (
            dict(
                block_out_channels=(16, 16), down_block_types=("DownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "UpBlock2D"), add_attention=False,
            ),
            dict(prediction_type="sample", beta_schedule="scaled_linear"),
        ),
        "diffusers_ncsnpp": (
            dict(
                block_out_channels=(32, 32, 32), time_embedding_type="fourier", norm_num_groups=4,
                down_block_types=("SkipDownBlock2D", "SkipDownBlock2D", "AttnSkipDownBlock2D"),
                up_block_types=("AttnSkipUpBlock2D", "SkipUpBlock2D", "SkipUpBlock2D"),
                norm_eps=1e-6,
                mid_block_scale_factor=1.41421356237, center_input_sample=True,
                attention_head_dim=None,
            ),
            dict(sigma_min=0.01, sigma_max=50.0),
        ),
    }  # fmt: skip
    for seed, (name, (extra, schedule)) in enumerate(variants.items()):
        network = randomised(UNet2DModel(**(common | extra)), 80 + seed)
        fourier = extra.get("time_embedding_type") == "fourier"
        if fourier:
            network.time_proj.weight.data *= 5
        folder = FOLDER / name
        network.half().save_pretrained(folder)
        network.float()
        if fourier:
            scheduler = ScoreSdeVeScheduler(**schedule)
        else:
            scheduler = DDPMScheduler(clip_sample=False, **schedule)
        scheduler.save_pretrained(folder)
        labels = torch.tensor([1]) if "num_class_embeds" in extra else None

        def denoise(
            x: Tensor, i: int, network=network, labels=labels, scheduler=scheduler, fourier=fourier
        ) -> Tensor:
            if fourier:
                sigma = torch.tensor([LEVELS[i]])
                return x + sigma**2 * network(x, sigma).sample
            kept = scheduler.alphas_cumprod[TIMES[i]]
            scaled = x * kept.sqrt()
            output = network(scaled, TIMES[i], labels).sample
            return scheduler.step(output, TIMES[i], scaled).pred_original_sample

        x = X
        times = torch.tensor([0.7, 23.0]) if fourier else torch.tensor([7.0, 612.25])
        raw = network(x, times, None if labels is None else labels.expand(2)).sample
        if fourier:
            raw = raw * times.view(-1, 1, 1, 1)
            sigmas = list(LEVELS)
        else:
            kept = scheduler.alphas_cumprod.double()
            sigmas = [float((1 / kept[t] - 1).sqrt()) for t in TIMES]
        keep(name, times, raw, sigmas, denoise)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    makers = (make_adm, make_ddpm, make_ncsnpp, make_edm, make_diffusers)
    with torch.no_grad():
        for make, source in zip(makers, sys.argv[1:], strict=True):
            make(Path(source).resolve())
    ARRAYS.update(x=X.numpy(), noise=NOISE.numpy(), clean=CLEAN.numpy())
    np.savez_compressed(FOLDER.with_suffix(".npz"), **ARRAYS)


if __name__ == "__main__":
    main()
