"""Figures of docs/benchmarks/mri.md: a brain of 8 coils, undersampled; simulations of another one.

    python benchmarks/mri.py BRAIN.npy POISSON.npy figures.json [equispaced4] [simulation] …

BRAIN.npy is k-space without gaps, [coils, rows, columns]; POISSON.npy is another scan, with gaps:
what `pnp` makes of it is the truth of the simulations. Neither is among the training volumes of the
`brain` model. With BART on the path its `pics` is a row. Parts that are named are measured again,
the others stay.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import restore
from restore.io.bart import read_bart, write_bart
from restore.metrics.scan import scan_scores
from restore.prior.counted import Counted
from restore.prior.denoiser import Denoiser
from restore.solve import misfit, solve
from restore.tasks.mri import MRI
from restore.tasks.mri_input import MriSettings
from restore.tasks.scan import Scan
from restore.tasks.task import START_LEVEL, TUNED, as_array

CPU = torch.device("cpu")
PATTERNS = {
    "equispaced4": ("equispaced", 4.0),
    "equispaced8": ("equispaced", 8.0),
    "poisson6": ("poisson", 6.0),
}
# Name, samples, and parameters besides the verb's own; a start at START_LEVEL but for "from …".
METHODS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("pnp", "pnp", 1, {"steps": 30}),
    ("ddrm", "ddrm", 8, {"steps": 20}),
    ("ddrm-cg", "ddrm-cg", 8, {"steps": 20}),
    ("scoresde from noise", "scoresde", 1, {"steps": 50, "sigma_max": 10.0, "start": None}),
    ("ccdf", "ccdf", 8, {"steps": 20}),
    ("ccdf from 1", "ccdf", 8, {"steps": 30, "sigma_max": 1.0}),
    ("snips", "snips", 8, {"steps": 40, "inner": 1}),
    ("snips from 1", "snips", 8, {"steps": 60, "inner": 1, "sigma_max": 1.0}),
    ("daps", "daps", 8, {"steps": 8}),
    ("diffpir", "diffpir", 8, {"steps": 20}),
    ("diffpir from 1", "diffpir", 8, {"steps": 60, "sigma_max": 1.0}),
    ("ddnm+", "ddnm", 1, {"steps": 20}),
)
CALIBRATED = (
    "ddrm", "ccdf", "ccdf from 1", "diffpir", "diffpir from 1", "snips", "snips from 1", "daps",
)  # fmt: skip
SAMPLES, LEVEL = 32, 0.9
BART_WEIGHTS = (0.001, 0.003, 0.01)
SIMULATED_NOISE, REDUCED = 0.03, 3


def main() -> None:
    """Measure, and keep every row as soon as it is there."""
    torch.set_num_threads(1)
    brain, poisson, out = map(Path, sys.argv[1:4])
    chosen = sys.argv[4:] or [*PATTERNS, "simulation"]
    kept = json.loads(out.read_text()) if out.exists() else []
    rows = [row for row in kept if row["part"] not in chosen]
    prior = restore.load_prior("brain")
    with tempfile.TemporaryDirectory() as name:
        for part in chosen:
            found = (
                _calibration(poisson, Path(name), prior)
                if part == "simulation"
                else _retrospective(brain, Path(name), prior, *PATTERNS[part])
            )
            for row in found:
                rows.append({"part": part} | row)
                print(json.dumps(rows[-1]), flush=True)
                out.write_text(json.dumps(rows, indent=1) + "\n")


def _retrospective(
    brain: Path, folder: Path, prior: Denoiser, mask: str, acceleration: float
) -> Iterator[dict[str, Any]]:
    settings = MriSettings(mask=mask, acceleration=acceleration)
    scan = MRI.measure(brain, settings, CPU, folder / "unused.npy")
    about = {"noise_std": scan.problem.noise_std}
    for method in MRI.classical:
        began = time.perf_counter()
        x = scan.classical[method]()
        yield about | _row(scan, method, x, time.perf_counter() - began)
    if shutil.which("bart"):
        for weight in BART_WEIGHTS:
            yield about | _bart(scan, folder, weight)
    for name, method, samples, parameters in METHODS:
        if misfit(restore.methods()[method], scan.problem) is not None:
            continue
        if name == "ddrm-cg" and scan.problem.operator.svd_or_none() is not None:
            continue  # it stands for DDRM where that has no SVD
        began = time.perf_counter()
        counted = Counted(prior)
        x = _solved(scan, counted, method, samples, parameters)
        seconds = time.perf_counter() - began
        if samples > 1:
            yield about | _row(
                scan, f"{name}, one", x[0], seconds / samples, counted.calls // samples
            )
            name = f"{name}, mean of {samples}"
        row = _row(scan, name, x.mean(0), seconds, counted.calls)
        if samples > 1:
            row["spread_over_error"] = spread_over_error(scan, as_array(scan.image(x))[:, 0])
        yield about | row


def _calibration(poisson: Path, folder: Path, prior: Denoiser) -> Iterator[dict[str, Any]]:
    """χ² of single samples, and the share of pixels within their central 90 % interval."""
    whole = MRI.measure(poisson, MriSettings(), CPU, folder / "unused.npy")
    magnitude = as_array(whole.image(_solved(whole, prior, "pnp", 1, {"steps": 30})))[0, 0]
    rows, columns = (side // REDUCED for side in magnitude.shape)
    kept = magnitude[: REDUCED * rows, : REDUCED * columns]
    small = kept.reshape(rows, REDUCED, columns, REDUCED).mean((1, 3))
    np.save(folder / "truth.npy", small)
    settings = MriSettings(simulate=True, sigma=SIMULATED_NOISE, acceleration=3.0)
    scan = MRI.measure(folder / "truth.npy", settings, CPU, folder / "unused.npy")
    for name in CALIBRATED:
        (method, parameters) = next((m, p) for other, m, _, p in METHODS if other == name)
        x = _solved(scan, prior, method, SAMPLES, parameters)
        images = as_array(scan.image(x))[:, 0]
        low, high = np.quantile(images, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        truth, bright = _bright(scan)
        inside = (low <= truth) & (truth <= high)
        chi = [_chi_square(scan, one) for one in x]
        yield {
            "simulation": f"{rows}x{columns}, equispaced 3x",
            "method": name,
            "chi_square": float(np.mean(chi)),
            "chi_square_spread": float(np.std(chi)),
            "inside_90": float(inside[bright].mean()),
            "spread_over_error": spread_over_error(scan, images),
            "psnr_mean": scan_scores(images.mean(0)[None], truth[None]).psnr,
        }


def _solved(
    scan: Scan, prior: Denoiser, method: str, samples: int, parameters: dict[str, Any]
) -> Tensor:
    known = restore.methods()[method].__dataclass_fields__  # type: ignore[attr-defined]
    chosen: dict[str, Any] = {**TUNED.get(method, {}), **MRI.tuned.get(method, {})}
    if "start" in known:
        chosen["start"] = scan.classical[scan.start]()
        if method != "pnp":
            chosen["sigma_max"] = START_LEVEL
    return solve(scan.problem, prior, method, seed=0, samples=samples, **(chosen | parameters))


def _bright(scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """The truth, and where it is at least a tenth of its largest value."""
    assert scan.truth is not None
    truth = scan.truth[0]
    return truth, truth > 0.1 * truth.max()


def spread_over_error(scan: Scan, images: np.ndarray) -> float:
    """Root mean squares over bright pixels; 1 for an exact sampler, of however many samples.

    Then the truth is one more sample: the mean of n samples is wrong by v + v/n, of which v/n is
    theirs.
    """
    truth, bright = _bright(scan)
    variance = images.var(0, ddof=1)[bright].mean()
    error = ((images.mean(0) - truth)[bright] ** 2).mean() - variance / len(images)
    return float(np.sqrt(variance / error))


def _chi_square(scan: Scan, x: Tensor) -> float:
    """Mean square of (A x - y)/σ over the components of what was sampled."""
    y = scan.problem.y
    misfit = (scan.problem.operator(x) - y).abs().square().sum()
    return float(misfit / 2 / (y != 0).sum()) / scan.problem.noise_std**2


def _row(
    scan: Scan, method: str, x: Tensor, seconds: float, evaluations: int = 0
) -> dict[str, Any]:
    assert scan.truth is not None
    scores = scan_scores(as_array(scan.image(x[None])[0]), scan.truth)
    return {
        "method": method,
        "psnr": scores.psnr,
        "ssim": scores.ssim,
        "nmse": scores.nmse,
        "chi_square": _chi_square(scan, x),
        "evaluations": evaluations,
        "seconds": round(seconds, 1),
    }


def _bart(scan: Scan, folder: Path, weight: float) -> dict[str, Any]:
    """`bart ecalib` and `bart pics` with wavelets, on the same numbers, with its own coil maps."""
    y = scan.problem.y[0].numpy()
    write_bart(folder / "k", y.transpose(1, 2, 0)[:, :, None])
    began = time.perf_counter()
    for words in (
        ("ecalib", "-m1", "k", "maps"),
        ("pics", "-l1", f"-r{weight}", "-i100", "-S", "k", "maps", "image"),
    ):
        subprocess.run(["bart", *words], cwd=folder, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    found = torch.from_numpy(read_bart(folder / "image").squeeze().copy())
    row = _row(scan, f"bart ecalib, pics -l1 -r{weight}", found[None, None], seconds)
    return row | {"chi_square": None}  # its phase is that of its own maps


if __name__ == "__main__":
    main()
