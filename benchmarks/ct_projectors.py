"""CT projectors beside ASTRA's on the CPU and scikit-image's, and CG with and without its filter.

    python -m benchmarks.ct_projectors [--astra FOLDER]

ASTRA is not a dependency: `--astra` names a folder where astra-toolbox is installed. Every pair is
timed in turns in one run, on one thread, in seconds of the processor, by the median of the ratios;
the first call, which sets things up, is not timed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.transform import radon

from operators import ParallelBeamCT
from operators.cg import conjugate_gradient
from operators.circulant import near_inverse

CASES = tuple((size, batch) for size in (128, 256, 512, 1024) for batch in (1, 16))
VIEWS = 180
ROUNDS = 5


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def paired(
    ours: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of ours, and the median of other / ours."""
    ours(), other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b / a for a, b in pairs)


def projector_row(size: int, batch: int, with_astra: bool) -> list[str]:
    angles = np.arange(VIEWS) * np.pi / VIEWS
    detectors = math.ceil(size * math.sqrt(2)) + 1
    A = ParallelBeamCT((1, size, size), torch.from_numpy(angles), detectors)
    x = torch.rand(batch, 1, size, size)
    y = A(x)
    pictures, lines = x.numpy()[:, 0], y.numpy()[:, 0]
    cells = [str(size), str(batch)]
    if with_astra:
        import astra

        volume = astra.create_vol_geom(size, size)
        rays = astra.create_proj_geom("parallel", 1.0, detectors, angles)
        W = astra.OpTomo(astra.create_projector("linear", rays, volume))
        error = np.linalg.norm(W.FP(pictures[0]) - lines[0]) / np.linalg.norm(lines[0])
        # Of ASTRA's rounding, which grows with the size: in double precision ours is the same.
        assert error < 3e-4, f"ASTRA and ours differ by {error:.1e}"
        rounds = ROUNDS if size * batch < 4096 else 3
        own, ratio = paired(lambda: A(x), lambda: [W.FP(p) for p in pictures], rounds)
        cells += [f"{own:.4f}", f"{ratio:.2f}"]
        own, ratio = paired(lambda: A.adjoint(y), lambda: [W.BP(p) for p in lines], rounds)
        cells += [f"{own:.4f}", f"{ratio:.2f}"]
    else:
        cells += [f"{seconds(lambda: A(x)):.4f}", "", f"{seconds(lambda: A.adjoint(y)):.4f}", ""]
    if batch > 1 or size > 512:
        return [*cells, ""]
    degrees = np.rad2deg(angles)
    other = paired(lambda: A(x), lambda: radon(pictures[0], degrees, circle=False), 3)[1]
    return [*cells, f"{other:.1f}"]


def projector_table(with_astra: bool) -> None:
    print(
        "| size | batch | projector s | ASTRA / ours | adjoint s | ASTRA / ours | skimage / ours |"
    )
    print("|---|---|---|---|---|---|---|")
    for size, batch in CASES:
        print("| " + " | ".join(projector_row(size, batch, with_astra)) + " |", flush=True)


def iterations(views: int, share: float, with_filter: bool) -> int:
    """Applications of AᴴA until the residual is 1e-3, at 256²."""
    angles = torch.arange(views).double() * (math.pi / views)
    A = ParallelBeamCT((1, 256, 256), angles, 363)
    b = A.adjoint(A(torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))))
    rho = share * float(A.norm()) ** 2
    applied = []

    def shifted(x: torch.Tensor) -> torch.Tensor:
        applied.append(1)
        return A.normal(x) + rho * x

    near = near_inverse(A, rho) if with_filter else None
    conjugate_gradient(shifted, b, (-3, -2, -1), name="CG", tolerance=1e-3, precondition=near)
    return len(applied)


def iteration_table() -> None:
    print("\n| views | ρ / ‖A‖² | CG | with the filter |")
    print("|---|---|---|---|")
    for views in (20, 45, 90, 180):
        for share in (1e-2, 1e-3, 1e-4):
            plain, filtered = (iterations(views, share, kind) for kind in (False, True))
            print(f"| {views} | {share:g} | {plain} | {filtered} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--astra", help="folder with astra-toolbox")
    chosen = parser.parse_args()
    if chosen.astra:
        sys.path.append(chosen.astra)
    torch.set_num_threads(1)
    projector_table(bool(chosen.astra))
    iteration_table()
