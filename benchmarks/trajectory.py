"""AᴴA of samples along a trajectory, by the samples and by FFT: a table of docs/benchmarks/mri.md.

    python benchmarks/trajectory.py

Spokes at golden angles through eight simulated coils, one thread.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch

from operators import NonCartesianMRI
from restore.mri.coils import simulated_coils

COILS = 8
# Sides of the image, spokes, samples of a spoke.
SCANS = ((128, 50, 256), (256, 100, 512), (320, 400, 640), (320, 1600, 640))
TIMES = 5


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| image | samples | by the samples | by FFT | ratio | made once | difference |")
    print("|---" * 7 + "|")
    for scan in SCANS:
        print(_row(*scan), flush=True)


def _row(side: int, spokes: int, readout: int) -> str:
    angle = torch.arange(spokes, dtype=torch.float64) * math.pi * (math.sqrt(5) - 1) / 2
    radius = torch.arange(readout, dtype=torch.float64) / readout - 0.5
    k = torch.stack([radius * angle.sin()[:, None], radius * angle.cos()[:, None]], -1)
    maps = simulated_coils(COILS, (side, side))
    A = NonCartesianMRI(k.flatten(0, 1), (1, side, side), maps)
    x = torch.complex(*torch.randn(2, 1, 1, side, side, generator=torch.Generator().manual_seed(0)))
    y = A(x)
    A.adjoint(y)  # the plans are made
    once = _seconds(lambda: A.normal(x))
    both = [
        (_seconds(lambda: A.adjoint(A(x))), _seconds(lambda: A.normal(x))) for _ in range(TIMES)
    ]
    slow, quick = (statistics.median(part) for part in zip(*both, strict=True))
    expected = A.adjoint(y)
    error = float((A.normal(x) - expected).norm() / expected.norm())
    return (
        f"| {side}×{side} | {spokes * readout:,} | {slow:.3f} s | {quick:.3f} s "
        f"| {slow / quick:.1f} | {once - quick:.2f} s | {error:.0e} |"
    )


def _seconds(run: Callable[[], object]) -> float:
    """Processor seconds: others share the machine."""
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
