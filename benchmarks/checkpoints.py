"""One forward of our networks beside the original code's: same weights, same run.

    python benchmarks/checkpoints.py guided-diffusion ddrm score_sde_pytorch edm library

The arguments are those of tests/reference/make_checkpoints.py. The networks have their published
size and random weights. Runs alternate; the figure is the shortest process time of each.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reference"))
import make_checkpoint_names as originals
from checkpoint_names_cases import NETWORKS

# Name and side of the picture: what the original serves at a size that one core does in seconds.
CASES = {
    "adm": ("FFHQ 256", 64),
    "ddpm": ("CIFAR-10", 32),
    "ncsnpp": ("ve.cifar10_ncsnpp_continuous", 32),
    "edm": ("cifar10-uncond-vp", 32),
    "diffusers": ("ddpm-cifar10-32", 32),
}
MORE = {
    "ncsnpp": ("vp.cifar10_ddpmpp_continuous", 32),
    "edm": ("cifar10-uncond-ve", 32),
    "adm": ("ImageNet 64", 64),
}


def with_weights(network: nn.Module) -> nn.Module:
    """The network on the CPU, nothing zero."""
    if next(network.parameters()).is_meta:
        filters = {n: torch.full(b.shape, 1 / b.numel()) for n, b in network.named_buffers()}
        network = network.to_empty(device="cpu")
        for name, buffer in network.named_buffers():
            buffer.copy_(filters[name])
    generator = torch.Generator().manual_seed(0)
    for value in network.parameters():
        fan = value[0].numel() if value.ndim > 1 else 100
        value.data = torch.randn(value.shape, generator=generator) / fan**0.5
    return network.eval().requires_grad_(False)


def shortest(runs: int, *forwards: Callable[[], Tensor]) -> list[float]:
    """Shortest process time of each, in seconds; the runs alternate."""
    times: list[list[float]] = [[] for _ in forwards]
    for _ in range(runs):
        for forward, found in zip(forwards, times, strict=True):
            before = time.process_time()
            forward()
            found.append(time.process_time() - before)
    return [min(found) for found in times]


def compare(family: str, name: str, side: int, theirs: nn.Module, runs: int) -> None:
    kind, configs = NETWORKS[family]
    theirs = with_weights(theirs)
    with torch.device("meta"):
        ours = kind(configs[name])
    state = {k: v for k, v in theirs.state_dict().items() if k != "sigmas"}
    ours.load_state_dict(copy.copy(state), assign=True)
    ours.eval().requires_grad_(False)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([17.0])
    extra, label = {}, None
    if configs[name].__dict__.get("classes"):
        extra, label = {"y": torch.tensor([3])}, torch.tensor([3])
    ve = name.startswith("ve.")

    def original() -> Tensor:
        if family == "edm":
            return theirs(x, t, None)
        if family == "diffusers":
            return theirs(x, t).sample
        return theirs((x + 1) / 2 if ve else x, t, **extra)

    def own() -> Tensor:
        return ours(x, t, label) / (17 if ve else 1)

    expected = original()
    difference = float((own() - expected).abs().max() / expected.abs().max())
    slow, fast = shortest(runs, original, own)
    parameters = sum(value.numel() for value in ours.parameters()) / 1e6
    print(
        f"| {family} | {name} | {parameters:.1f} M | {side}x{side} | {slow:.3f} s | {fast:.3f} s "
        f"| {fast / slow:.2f} | {difference:.0e} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", nargs=len(CASES), type=Path)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| family | network | parameters | picture | original | ours | ratio | difference |")
    print("|---|---|---|---|---|---|---|---|")
    with torch.no_grad():
        for family, source in zip(CASES, arguments.sources, strict=True):
            wanted = dict([CASES[family], *([MORE[family]] if family in MORE else [])])
            for name, network in getattr(originals, family)(source.resolve()):
                if name in wanted:
                    compare(family, name, wanted[name], network, arguments.runs)


if __name__ == "__main__":
    main()
