"""Figures of docs/benchmarks/sense.md: the SVD of SENSE against conjugate gradients, and in DDRM.

    python benchmarks/sense.py figures.json

Simulated coils; equispaced lines, 4-fold, 8 % of them in the middle. One thread.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import restore
from operators import SenseMRI
from restore.mri.baselines import cg_sense
from restore.mri.coils import simulated_coils
from restore.mri.masks import make_mask
from restore.prior.denoiser import Denoiser, Wrapped
from restore.solve import solve

# Height, width, coils, and whether the maps are 0 outside a head, as estimated ones are.
SIZES = ((230, 180, 8, False), (320, 320, 15, False), (320, 320, 15, True))
NOISE = 0.02
STEPS = 10
ITERATIONS = (5, 10, 20, 40, 80, 160, 320)
# Relative error that conjugate gradients are to reach.
ACCURACY = 1e-4


class Timed(Wrapped):
    """A prior that knows how long it took."""

    def __init__(self, prior: Denoiser) -> None:
        super().__init__(prior)
        self.seconds = 0.0

    def __call__(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        """E[x₀ | x]."""
        began = time.process_time()
        x_hat = self._prior(x, sigma)
        self.seconds += time.process_time() - began
        return x_hat


def main() -> None:
    """Measure both sizes."""
    torch.set_num_threads(1)
    rows = []
    for size in SIZES:
        rows.append(_row(*size))
        print(json.dumps(rows[-1], indent=1), flush=True)
    Path(sys.argv[1]).write_text(json.dumps(rows, indent=1) + "\n")


def _row(height: int, width: int, coils: int, head: bool) -> dict[str, Any]:
    maps = simulated_coils(coils, (height, width))
    if head:
        y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
        maps = maps * ((y / 0.8).square() + (x / 0.65).square() < 1)
    mask = make_mask("equispaced", (height, width), 4, center_fraction=0.08)
    operator = SenseMRI(maps, mask)
    generator = torch.Generator().manual_seed(0)
    image = torch.complex(*torch.randn((2, 1, 1, height, width), generator=generator))
    y = operator(image)
    y = y + NOISE * torch.complex(*torch.randn((2, *y.shape), generator=generator)) * mask

    began = time.process_time()
    svd = operator.svd()
    build = time.process_time() - began
    coefficients = svd.vt(image)
    exact = operator.solve_normal(operator.adjoint(y), NOISE**2)
    needed = None
    for iterations in ITERATIONS:
        found = cg_sense(operator, y, NOISE, iterations)
        error = float((found - exact).norm() / exact.norm())
        if error < ACCURACY:
            needed = iterations
            break

    problem = restore.Problem(operator, y, NOISE)
    overhead = {samples: _overhead(problem, samples) for samples in (1, 8)}
    return {
        "size": [height, width, coils],
        "head": head,
        "svd_build_s": build,
        "svd_vt_s": _median(lambda: svd.vt(image)),
        "svd_v_s": _median(lambda: svd.v(coefficients)),
        "solve_by_svd_s": _median(lambda: operator.solve_normal(operator.adjoint(y), NOISE**2)),
        "normal_s": _median(lambda: operator.normal(image)),
        "cg_iterations": needed,
        "cg_s": None
        if needed is None
        else _median(lambda: cg_sense(operator, y, NOISE, needed), 3),
        "cg_error": error,
        "ddrm_overhead_one": overhead[1],
        "ddrm_overhead_eight": overhead[8],
    }


def _overhead(problem: restore.Problem, samples: int) -> float:
    """Of DDRM, its time without the denoiser over that of the denoiser."""
    timed = Timed(restore.load_prior("brain"))
    start = problem.operator.adjoint(problem.y)
    began = time.process_time()
    solve(
        problem, timed, "ddrm", samples=samples, batch_size=samples, steps=STEPS, start=start,
        sigma_max=0.3,
    )  # fmt: skip
    return (time.process_time() - began - timed.seconds) / timed.seconds


def _median(run: Callable[[], Any], times: int = 5) -> float:
    """Processor seconds: others share the machine."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
