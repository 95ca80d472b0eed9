"""CT projectors beside ASTRA's on the CPU and scikit-image's, and CG with and without its filter.

    python -m benchmarks.ct_projectors [--astra FOLDER]

ASTRA is not a dependency: `--astra` names a folder where astra-toolbox is installed. Every pair is
timed in turns in one run, on two threads, by the median of the ratios; the first call, which sets
things up, is not timed.
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

SIZES = (128, 256, 512, 1024)
VIEWS = 180
ROUNDS = 5


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def paired(
    ours: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of ours, and the median of other / ours."""
    ours(), other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b / a for a, b in pairs)


def projector_table(with_astra: bool) -> None:
    print(
        "| size | batch | projector s | ASTRA / ours | adjoint s | ASTRA / ours | skimage / ours |"
    )
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        angles = np.arange(VIEWS) * np.pi / VIEWS
        detectors = math.ceil(size * math.sqrt(2)) + 1
        A = ParallelBeamCT((1, size, size), torch.from_numpy(angles), detectors)
        for batch in (1, 16):
            if size == 1024 and batch == 16:
                continue
            rounds = ROUNDS if size * batch < 4096 else 3
            x = torch.rand(batch, 1, size, size)
            y = A(x)
            pictures, lines = x.numpy()[:, 0], y.numpy()[:, 0]
            cells = [str(size), str(batch)]
            forward, backward = (lambda: A(x)), (lambda: A.adjoint(y))
            if with_astra:
                import astra

                volume = astra.create_vol_geom(size, size)
                rays = astra.create_proj_geom("parallel", 1.0, detectors, angles)
                W = astra.OpTomo(astra.create_projector("linear", rays, volume))
                found = W.FP(pictures[0])
                error = np.linalg.norm(found - lines[0]) / np.linalg.norm(lines[0])
                assert error < 1e-4, error
                own, ratio = paired(forward, lambda: [W.FP(p) for p in pictures], rounds)
                cells += [f"{own:.4f}", f"{ratio:.2f}"]
                own, ratio = paired(backward, lambda: [W.BP(p) for p in lines], rounds)
                cells += [f"{own:.4f}", f"{ratio:.2f}"]
            else:
                cells += [f"{seconds(forward):.4f}", "", f"{seconds(backward):.4f}", ""]
            if batch == 1 and size <= 512:
                degrees = np.rad2deg(angles)
                call = lambda: radon(pictures[0], degrees, circle=False)  # noqa: E731
                cells.append(f"{paired(forward, call, 3)[1]:.1f}")
            else:
                cells.append("")
            print("| " + " | ".join(cells) + " |", flush=True)


def iteration_table() -> None:
    print("\n| views | ρ / ‖A‖² | CG | with the filter |")
    print("|---|---|---|---|")
    size = 256
    for views in (20, 45, 90, 180):
        angles = torch.arange(views).double() * (math.pi / views)
        A = ParallelBeamCT((1, size, size), angles, 363)
        b = A.adjoint(A(torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(0))))
        for share in (1e-2, 1e-3, 1e-4):
            rho = share * float(A.norm()) ** 2
            calls = [0, 0]

            def applied(
                x: torch.Tensor, which: int, rho: float = rho, A: ParallelBeamCT = A
            ) -> torch.Tensor:
                calls[which] += 1
                return A.normal(x) + rho * x

            for which, near in enumerate((None, A._near_inverse(rho))):
                conjugate_gradient(
                    lambda x, which=which: applied(x, which), b, (-3, -2, -1), name="CG",
                    tolerance=1e-3, precondition=near,
                )  # fmt: skip
            print(f"| {views} | {share:g} | {calls[0]} | {calls[1]} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--astra", help="folder with astra-toolbox")
    chosen = parser.parse_args()
    if chosen.astra:
        sys.path.append(chosen.astra)
    torch.set_num_threads(2)
    projector_table(bool(chosen.astra))
    iteration_table()
