r"""Time and memory of DDRM beside its denoiser, ours and others', as a Markdown table.

    python -m benchmarks.ddrm_speed --prior photo [--ddrm CLONE] [--deepinv FOLDER] [-o FILE]

CLONE is a clone of https://github.com/bahjat-kawar/ddrm. FOLDER holds deepinv, installed apart:

    pip install --no-deps --target FOLDER torchvision==0.28.0 deepinv==0.5.0 natsort tqdm einops \
        h5py matplotlib contourpy cycler fonttools kiwisolver pyparsing python-dateutil six

Each cell is 20 steps on one RGB picture, noise 0.05, with the same denoiser, in a process of its
own. The time is that of the whole run over that spent inside the denoiser within the same run (CPU
time of one thread on a CPU, wall time on an accelerator), so that both saw the same machine. The
memory is by how much the tensors alive at the peak of a run exceed those at the peak of one call of
the denoiser, in pictures. Setup (SVD, indices) is neither timed nor counted.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import operators
import restore
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import karras

STEPS, NOISE_STD = 20, 0.05
OPERATORS = ("mask", "4x bicubic", "colorize", "blur")
METHODS = ("ours", "authors", "deepinv")
BLUR_SIGMA = 2.0
Run = Callable[[], object]


class Timed:
    """The denoiser, with the time that it took and the number of its calls."""

    def __init__(self, prior: restore.Denoiser, clock: Callable[[], float]) -> None:
        self.prior, self.clock = prior, clock
        self.channels, self.centre = prior.channels, prior.centre
        self.sigma_min, self.sigma_max = prior.sigma_min, prior.sigma_max
        self.native_sigmas = prior.native_sigmas
        self.seconds, self.calls = 0.0, 0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """D(x, σ), timed."""
        began = self.clock()
        x_hat = self.prior(x, sigma)
        self.seconds += self.clock() - began
        self.calls += 1
        return x_hat


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that are alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and note the tensors that it makes."""
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor) and tensor.data_ptr() not in self.known:
                storage = tensor.untyped_storage()
                self.known.add(storage.data_ptr())
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, storage.data_ptr(), storage.nbytes())
        return out

    def _gone(self, pointer: int, size: int) -> None:
        self.known.discard(pointer)
        self.now -= size


def kept_pixels(size: int) -> Tensor:
    return torch.rand(size, size, generator=torch.Generator().manual_seed(0)) > 0.5


def ours(name: str, x: Tensor, timed: Timed) -> Run:
    shape, size = tuple(x.shape[1:]), x.shape[-1]
    operator: operators.LinearOperator = {
        "mask": lambda: operators.Mask(kept_pixels(size), shape),
        "4x bicubic": lambda: operators.Downsample(shape, 4),
        "colorize": lambda: operators.Colorize(shape),
        "blur": lambda: operators.Blur(shape, operators.gaussian_kernel(BLUR_SIGMA), "reflect"),
    }[name]().to(x.device)
    operator.svd()
    y = operator(x)
    problem = restore.Problem(operator, y + NOISE_STD * torch.randn_like(y), NOISE_STD)
    return lambda: restore.solve(problem, cast(Denoiser, timed), steps=STEPS)


def authors(name: str, x: Tensor, timed: Timed, clone: Path) -> Run:
    # Imported there, not needed; taken out again, since others ask whether they are installed.
    stubs = ("torchvision", "torchvision.utils", "tqdm")
    for module in stubs:
        sys.modules[module] = types.ModuleType(module)
    sys.modules["torchvision"].utils = sys.modules["torchvision.utils"]  # type: ignore[attr-defined]
    sys.modules["tqdm"].tqdm = lambda iterable: iterable  # type: ignore[attr-defined]
    sys.path.insert(0, str(clone))
    from functions import denoising, svd_replacement  # type: ignore[import-not-found]

    for module in stubs:
        del sys.modules[module]
    device, channels, size = x.device, x.shape[1], x.shape[-1]
    if device.type == "cpu":
        move = Tensor.to
        Tensor.to = (  # type: ignore[method-assign]
            lambda self, *args, **kwargs: self if args == ("cuda",) else move(self, *args, **kwargs)
        )
    if name == "mask":
        # Its constructor finds the kept pixels by a quadratic search; they are set here instead.
        made = svd_replacement.Inpainting.__new__(svd_replacement.Inpainting)
        kept = kept_pixels(size).flatten().repeat_interleave(channels)
        made.channels, made.img_dim = channels, size
        made.kept_indices = torch.where(kept)[0].to(device)
        made.missing_indices = torch.where(~kept)[0].to(device)
        made._singulars = torch.ones(int(kept.sum()), device=device)
    elif name == "4x bicubic":
        row = operators.resize_matrix(size, size // 4)[size // 8]
        made = svd_replacement.SRConv(row[row != 0].float().to(device), channels, size, device, 4)
    elif name == "colorize":
        made = svd_replacement.Colorization(size, device)
    else:
        line = operators.gaussian_kernel(BLUR_SIGMA).sum(0).float().to(device)
        made = svd_replacement.Deblurring(line, channels, size, device)
    betas = torch.linspace(1e-4, 0.02, 1000, device=device)
    signal = (1 - betas).cumprod(0)

    def model(xt: Tensor, t: Tensor) -> Tensor:
        kept = signal[t[0].long()]
        noisy = (xt / kept.sqrt() + 1) / 2
        sigma = 0.5 * ((1 - kept) / kept).sqrt()
        return (noisy - timed(noisy, sigma)) / sigma

    y = made.H(2 * x - 1)
    y = y + 2 * NOISE_STD * torch.randn_like(y)
    timesteps = range(0, 1000, 1000 // STEPS)
    return lambda: denoising.efficient_generalized_steps(
        torch.randn_like(x),
        timesteps,
        model,
        betas,
        made,
        y,
        2 * NOISE_STD,
        etaB=1.0,
        etaA=0.85,
        etaC=0.85,
    )


def deepinv(name: str, x: Tensor, timed: Timed, folder: Path) -> Run:
    # torchvision's compiled operations do not load beside the CPU build of torch.
    library = torch.library.Library("torchvision", "DEF")
    for operation in ("nms", "qnms"):
        library.define(operation + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    sys.path.append(str(folder))
    import deepinv as dinv

    shape, device = tuple(x.shape[1:]), x.device
    noise = dinv.physics.GaussianNoise(NOISE_STD)
    physics: Any = {
        "mask": lambda: dinv.physics.Inpainting(
            shape, mask=kept_pixels(shape[-1]).float().expand(shape).to(device), noise_model=noise
        ),
        "4x bicubic": lambda: dinv.physics.Downsampling(
            img_size=shape, filter="bicubic", factor=4, noise_model=noise, device=device
        ),
        "colorize": lambda: dinv.physics.Decolorize(noise_model=noise, device=device),
        "blur": lambda: dinv.physics.BlurFFT(
            shape,
            filter=operators.gaussian_kernel(BLUR_SIGMA).float()[None, None].to(device),
            noise_model=noise,
            device=device,
        ),
    }[name]()

    class Module(torch.nn.Module):
        def forward(self, noisy: Tensor, sigma: Any) -> Tensor:
            return timed(noisy, float(sigma))

    sigmas = karras(STEPS, timed.sigma_min, timed.sigma_max)[:-1]
    method = dinv.sampling.DDRM(Module(), sigmas=sigmas, eta=0.85, etab=1.0)
    y = physics(x)
    return lambda: method(y, physics)


def measure(arguments: argparse.Namespace, method: str, name: str) -> dict[str, Any]:
    """One cell: relative times, calls of the denoiser, memory in pictures."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    on_cpu = device.type == "cpu"
    prior = restore.load_prior(arguments.prior, device=device)

    def clock() -> float:
        if on_cpu:
            return time.process_time()
        torch.accelerator.synchronize()
        return time.perf_counter()

    timed = Timed(prior, clock)
    x = torch.rand(1, 3, arguments.size, arguments.size, device=device)
    if method == "ours":
        run = ours(name, x, timed)
    elif method == "authors":
        run = authors(name, x, timed, arguments.ddrm)
    else:
        run = deepinv(name, x, timed, arguments.deepinv)
    ratios = []
    with torch.no_grad():
        run()
        for _ in range(arguments.repeats):
            timed.seconds, timed.calls = 0.0, 0
            began = clock()
            run()
            ratios.append((clock() - began) / timed.seconds)
        calls = timed.calls
        with LiveMemory() as alone:
            prior(x.clone(), 1.0)
        with LiveMemory() as whole:
            run()
    pictures = (whole.peak - alone.peak) / (x.numel() * x.element_size())
    return {"ratios": ratios, "calls": calls, "pictures": pictures}


def cell(arguments: argparse.Namespace, method: str, name: str) -> str:
    """One cell of the table, measured in a new process."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.ddrm_speed",
        *arguments.given,
        "--cell",
        method,
        name,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"fails: {done.stderr.strip().splitlines()[-1]}"
    result = json.loads(done.stdout.splitlines()[-1])
    ratios = torch.tensor(result["ratios"], dtype=torch.float64)
    error = float(ratios.std()) / math.sqrt(len(ratios)) if len(ratios) > 1 else math.nan
    calls = "" if result["calls"] == STEPS else f", {result['calls']} calls"
    return f"{float(ratios.mean()):.3f} ± {error:.3f}, {result['pictures']:.0f}{calls}"


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="photo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ddrm", type=Path, help="clone of bahjat-kawar/ddrm")
    parser.add_argument("--deepinv", type=Path, help="folder with deepinv and torchvision")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file")
    parser.add_argument("--cell", nargs=2, metavar=("METHOD", "OPERATOR"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    arguments.given = given
    if arguments.cell:
        print(json.dumps(measure(arguments, *arguments.cell)))
        return
    given_for = {"ours": True, "authors": arguments.ddrm, "deepinv": arguments.deepinv}
    present = [method for method in METHODS if given_for[method]]
    lines = [
        "# Time and memory of DDRM",
        "",
        f"Made by `python -m benchmarks.ddrm_speed --prior {arguments.prior} --device "
        f"{arguments.device} --size {arguments.size} --ddrm CLONE --deepinv FOLDER`.",
        "",
        f"{STEPS} steps on one RGB picture of {arguments.size}×{arguments.size}, "
        f"noise {NOISE_STD:g}, denoiser `{arguments.prior}`, on {arguments.device}.",
        f"Time of the run over the time inside the denoiser (mean of {arguments.repeats} runs ± "
        "standard error), then",
        "peak memory beyond one call of the denoiser, in pictures.",
        "",
        f"| operator | {' | '.join(present)} |",
        f"|---{'|---' * len(present)}|",
    ]
    for name in OPERATORS:
        cells = [cell(arguments, method, name) for method in present]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
