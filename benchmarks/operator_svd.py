"""Time and memory of every operator on RGB pictures, as a Markdown table.

    python benchmarks/operator_svd.py > docs/benchmarks/operators.md

Each line runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from operators import LinearOperator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NAMES = {
    "mask": "`Mask`, 50 %",
    "colorize": "`Colorize`",
    "downsample": "`Downsample` 4, bicubic (Kronecker)",
    "downsample15": "`Downsample` 1.5, lanczos (Kronecker)",
    "cosine": "`Blur` gaussian 2, reflect (DCT)",
    "circular": "`Blur` motion 15, circular (real FFT)",
    "kronecker": "`Blur` gaussian 2, replicate (Kronecker)",
    "padded": "`Blur` motion 15, reflect (matrix-free)",
    "hadamard": "`Hadamard`, 50 %",
}
SIZES = (256, 512, 1024, 2048)
MIB = 2**20
Result = TypeVar("Result")


def build(name: str, size: int, device: str) -> LinearOperator:
    """Return the operator called `name` for an RGB picture of size × size."""
    import torch

    import operators

    shape = (3, size, size)
    gaussian, motion = operators.gaussian_kernel(2.0), operators.motion_kernel(15, 0.5)
    builds: dict[str, Callable[[], LinearOperator]] = {
        "mask": lambda: operators.Mask(torch.rand(size, size) < 0.5, shape, device=device),
        "colorize": lambda: operators.Colorize(shape, device=device),
        "downsample": lambda: operators.Downsample(shape, 4, device=device),
        "downsample15": lambda: operators.Downsample(shape, 1.5, kernel="lanczos", device=device),
        "cosine": lambda: operators.Blur(shape, gaussian, device=device),
        "circular": lambda: operators.Blur(shape, motion, "circular", device=device),
        "kronecker": lambda: operators.Blur(shape, gaussian, "replicate", device=device),
        "padded": lambda: operators.Blur(shape, motion, device=device),
        "hadamard": lambda: operators.Hadamard(shape, 0.5, device=device),
    }
    return builds[name]()


class PeakMemory:
    """Peak memory of a block above what was held before, in bytes."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __enter__(self) -> PeakMemory:
        import torch

        if self.device != "cpu":
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()
            return self
        # Linux: 5 sets the high-water mark of the process back to what it holds now.
        Path("/proc/self/clear_refs").write_text("5")
        self.before = self._status("VmRSS")
        return self

    def _status(self, key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith(key)))

    def __exit__(self, *_: object) -> None:
        import torch

        peak = self._status("VmHWM") if self.device == "cpu" else torch.cuda.max_memory_allocated()
        self.used = max(0, peak - self.before)


def measure(name: str, size: int, device: str) -> dict[str, float]:
    """Return seconds of construction, SVD and applications (best of three), and peak bytes."""
    import torch

    torch.set_num_threads(1)

    def clock() -> float:
        if device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def once(fn: Callable[[], Result]) -> tuple[Result, float, int]:
        with PeakMemory(device) as memory:
            start = clock()
            value = fn()
            passed = clock() - start
        return value, passed, memory.used

    def timed(fn: Callable[[], object]) -> float:
        return min(once(fn)[1] for _ in range(3))

    # Libraries allocate at their first call; that is not the operator's.
    small = build(name, 64, device)
    small.normal(torch.rand(3, 64, 64, device=device))
    small.svd_or_none()
    x = torch.rand(3, size, size, device=device)
    result: dict[str, float] = {"svd": math.nan, "vt": math.nan, "v": math.nan, "ut": math.nan}
    A, result["build"], built = once(lambda: build(name, size, device))
    svd, passed, factorised = once(A.svd_or_none)
    result["build memory"] = max(built, factorised)
    y, _, result["apply memory"] = once(lambda: A(x))
    result["apply"] = timed(lambda: A(x))
    result["adjoint"] = timed(lambda: A.adjoint(y))
    if svd:
        result["svd"] = passed
        c, _, analysed = once(lambda: svd.vt(x))
        _, _, synthesised = once(lambda: svd.v(c))
        result["apply memory"] = max(result["apply memory"], analysed, synthesised)
        result["vt"] = timed(lambda: svd.vt(x))
        result["v"] = timed(lambda: svd.v(c))
        result["ut"] = timed(lambda: svd.ut(y))
    return result


def seconds(value: float) -> str:
    """Return a time as text with its unit."""
    if math.isnan(value):
        return "–"
    return (
        f"{value:.2f} s"
        if value >= 1
        else f"{1000 * value:.2g} ms"
        if value < 0.1
        else f"{1000 * value:.0f} ms"
    )


def exponent(key: str, small: dict[str, float], large: dict[str, float], ratio: float) -> str:
    """Return p of cost ∝ n^p between two picture sizes, if the cost is enough to tell."""
    least = MIB if "memory" in key else 1e-3
    if not (small[key] > 0 and large[key] >= least):
        return "–"
    return f"{math.log(large[key] / small[key]) / math.log(ratio):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.device)))
        return

    import torch

    where = platform.processor() or platform.machine()
    if options.device != "cpu":
        where = torch.cuda.get_device_name()
    print("# Time and memory of the operators\n")
    print(f"    python {shlex.join(['benchmarks/operator_svd.py', *sys.argv[1:]])}\n")
    print(f"RGB, float32, torch {torch.__version__}, {where}.")
    if options.device == "cpu":
        print("Times are processor seconds on one thread, which other programs hardly change: the")
    else:
        print("Times are by the clock: the")
    print("best of three, for building and the SVD one. Memory is the peak above what was held")
    print("before the call, and includes the result.\n")
    columns = ["operator", "size", "build", "SVD", "A·x", "Aᴴ·y", "Vᴴ·x", "V·c", "Uᴴ·y"]
    columns += ["building,·MiB", "applying,·MiB"]
    print(f"| {' | '.join(columns).replace('·', ' ')} |")
    print("|---" * len(columns) + "|")
    results: dict[str, dict[int, dict[str, float]]] = {}
    for name, title in NAMES.items():
        results[name] = {}
        for size in options.sizes:
            command = [
                sys.executable,
                __file__,
                "--device",
                options.device,
                "--one",
                name,
                str(size),
            ]
            # Every larger array gets pages of its own, so that freed ones are not counted.
            environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
            output = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            ).stdout
            r = results[name][size] = json.loads(output)
            times = " | ".join(
                seconds(r[key]) for key in ("build", "svd", "apply", "adjoint", "vt", "v", "ut")
            )
            memory = f"{r['build memory'] / MIB:.0f} | {r['apply memory'] / MIB:.0f}"
            print(f"| {title} | {size} | {times} | {memory} |", flush=True)
    if len(options.sizes) > 1:
        small, large = options.sizes[-2:]
        print(f"\nThe exponent p of cost ∝ n^p in the number n of pixels, {small} to {large}:\n")
        print("| operator | SVD | A x | V c | building, memory | applying, memory |")
        print("|---|---|---|---|---|---|")
        for name, title in NAMES.items():
            a, b = results[name][small], results[name][large]
            keys = ("svd", "apply", "v", "build memory", "apply memory")
            ratio = (large / small) ** 2
            growth = " | ".join(exponent(key, a, b, ratio) for key in keys)
            print(f"| {title} | {growth} |")


if __name__ == "__main__":
    main()
