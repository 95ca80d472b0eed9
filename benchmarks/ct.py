"""Figures of docs/benchmarks/ct.md: CT slices from few and limited views, a tooth, a fan beam.

    python -m benchmarks.ct SERIES TOOTH.h5 HTC.mat HTC_TRUTH.png figures.json ['head14/*' ...]

SERIES is a folder of DICOM slices named by number; the model was trained on none of `HELD_OUT` (see
data/models/ct/card.json). Parts whose name fits a pattern are measured again, the others stay.
The tables of all parts are printed at the end.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage.data import shepp_logan_phantom
from skimage.filters import threshold_otsu
from skimage.transform import resize

import restore
from benchmarks.mri import spread_over_error
from restore.errors import InputError
from restore.io.arrays import read_arrays
from restore.methods.base import fields_of
from restore.metrics.scan import scan_scores
from restore.prior.denoiser import Denoiser
from restore.solve import misfit, solve
from restore.tasks.ct import CT
from restore.tasks.ct_settings import CtSettings
from restore.tasks.scan import Scan
from restore.tasks.task import START_LEVEL, TUNED, as_array

CPU = torch.device("cpu")
CLASSICAL = ("fbp", "sirt", "tv")
# ScoreSDE from the same start is CCDF.
SAMPLERS = ("pnp", "diffpir", "ddrm-cg", "ccdf", "daps", "snips", "ddrm", "ddnm")
STEPS, SAMPLES = 20, 8
# Of 40 evaluations, as the 20 steps of CCDF are, and as the verb's own of SNIPS.
OTHERWISE: dict[str, dict[str, int]] = {"daps": {"steps": 8}}
AVERAGED = ("diffpir", "ccdf", "snips", "daps", "ddrm")
HELD_OUT = ("14", "11", "18")
# 120° with their middle at 90°: flipping the picture gives the same views, which the SVD needs.
LIMITED = "31:151:60"
ANGLES = ("0:180:20", "0:180:45", "0:180:90", LIMITED)
NOISES = (0.01, 0.0)
SIDE = 256

Row = dict[str, Any]


def main() -> None:
    """Measure, keep every row as soon as it is there, and print the tables."""
    torch.set_num_threads(1)
    series, tooth, fan, fan_truth, out = map(Path, sys.argv[1:6])
    patterns = sys.argv[6:] or ["*"]
    kept: dict[str, dict[str, Row]] = json.loads(out.read_text()) if out.exists() else {}
    prior = restore.load_prior("ct")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = _simulations(series, folder, prior)
        parts |= {
            f"tooth/{views}": lambda views=views: _tooth(tooth, views, prior) for views in (45, 23)
        }
        parts |= {
            f"fan/{degrees}": lambda degrees=degrees: _fan(fan, fan_truth, degrees, folder, prior)
            for degrees in (90, 60, 30)
        }
        for part, measure in parts.items():
            if any(fnmatch(part, pattern) for pattern in patterns):
                kept[part] = {}
                for method, row in measure():
                    kept[part][method] = row
                    print(part, method, json.dumps(row), file=sys.stderr, flush=True)
                    out.write_text(json.dumps(kept, indent=1) + "\n")
    for part, rows in kept.items():
        print(f"\n{part}\n")
        for method, row in rows.items():
            cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()]
            print(f"| {method} | {' | '.join(cells)} |")


def _simulations(series: Path, folder: Path, prior: Denoiser) -> dict[str, Any]:
    phantom = folder / "phantom.npy"
    np.save(phantom, 0.02 * resize(shepp_logan_phantom(), (SIDE, SIDE)).astype(np.float32))
    sources = {"phantom": phantom} | {f"head{n}": series / f"{n}.dcm" for n in HELD_OUT}
    return {
        f"{title}/{angles}/{noise:g}": lambda s=source, a=angles, n=noise: _simulated(
            s, a, n, folder / "degraded.npy", prior
        )
        for title, source in sources.items()
        for angles in ANGLES
        for noise in NOISES
    }


def _simulated(
    source: Path, angles: str, noise: float, degraded: Path, prior: Denoiser
) -> Iterator[tuple[str, Row]]:
    clean = CT.measure(source, _settings(simulate=True, angles=angles), CPU, degraded)
    sigma = noise * float(clean.problem.y.max()) * clean.unit
    chosen = _settings(simulate=True, angles=angles, sigma=sigma or None)
    scan = CT.measure(source, chosen, CPU, degraded)
    truth = scan.truth
    assert truth is not None
    yield "noise", {"residual": sigma}
    yield from _methods(scan, prior, truth)
    for name in AVERAGED:
        solved = _solvable(scan, name)
        if solved is not None:
            yield f"{name}, mean of {SAMPLES}", _sampled(solved, prior, name, truth, SAMPLES)


def _settings(**chosen: object) -> CtSettings:
    return CtSettings(size=(SIDE, SIDE), **chosen)


def _methods(
    scan: Scan, prior: Denoiser, truth: np.ndarray, only: tuple[str, ...] = ()
) -> Iterator[tuple[str, Row]]:
    for name in CLASSICAL:
        if not only or name in only:
            began = time.process_time()
            x = scan.classical[name]()
            yield name, _row(scan, x, truth, began)
    for name in SAMPLERS:
        if not only or name in only:
            solved = _solvable(scan, name)
            if solved is not None:
                yield name, _sampled(solved, prior, name, truth, 1)


def _solvable(scan: Scan, name: str) -> Scan | None:
    """The scan with what the method needs; None where it has no such thing."""
    if "svd" in restore.methods()[name].needs:
        try:
            scan = CT.factorised(scan, None)
        except InputError:  # rays without symmetry
            return None
    return None if misfit(restore.methods()[name], scan.problem) else scan


def _sampled(scan: Scan, prior: Denoiser, name: str, truth: np.ndarray, samples: int) -> Row:
    began = time.process_time()
    x = _solved(scan, prior, name, samples)
    row = _row(scan, x.mean(0), truth, began)
    if samples > 1:
        row["spread_over_error"] = spread_over_error(scan, as_array(scan.image(x))[:, 0])
    return row


def _solved(scan: Scan, prior: Denoiser, name: str, samples: int = 1) -> torch.Tensor:
    """Samples of a method with the verb's parameters."""
    known = fields_of(restore.methods()[name])
    values = {"steps": STEPS, **TUNED.get(name, {}), **CT.tuned.get(name, {})}
    values |= OTHERWISE.get(name, {})
    if "start" in known:
        values["start"] = scan.classical[scan.start]()
        if name != "pnp" and "sigma_max" in known:
            values["sigma_max"] = START_LEVEL
    return solve(scan.problem, prior, name, seed=0, samples=samples, **values)


def _row(scan: Scan, x: torch.Tensor, truth: np.ndarray, began: float) -> Row:
    seconds = time.process_time() - began
    residual = float((scan.problem.operator(x) - scan.problem.y).square().mean().sqrt()) * scan.unit
    scores = scan_scores(as_array(scan.image(x[None])[0]), truth)
    return {"psnr": scores.psnr, "ssim": scores.ssim, "residual": residual, "seconds": seconds}


def _tooth(path: Path, views: int, prior: Denoiser) -> Iterator[tuple[str, Row]]:
    """Against SIRT of all the views."""
    whole = CT.measure(path, CtSettings(slice="0", bin=4), CPU, path)
    center = str(whole.sidecar["center"])
    reference = as_array(whole.image(whole.classical["sirt"]()[None])[0])
    chosen = CtSettings(slice="0", bin=4, views=views, center=center)
    scan = CT.measure(path, chosen, CPU, path)
    yield from _methods(scan, prior, reference, ("fbp", "sirt", "tv", "pnp"))


def _fan(
    path: Path, truth_path: Path, degrees: int, folder: Path, prior: Denoiser
) -> Iterator[tuple[str, Row]]:
    """Matthews correlation after Otsu's threshold with the segmented truth."""
    arrays = read_arrays(path)
    side, kept = 128, 2 * degrees + 1
    truth = (
        np.asarray(Image.open(truth_path).convert("L").resize((side, side), Image.Resampling.BOX))
        > 127
    )
    npz = folder / "part.npz"
    np.savez(
        npz,
        sinogram=arrays["CtDataLimited.sinogram"][:kept],
        angles=arrays["CtDataLimited.parameters.angles"].ravel()[:kept],
    )
    chosen = CtSettings(
        bin=4, dso=410.66, dsd=553.74, det_spacing=0.2, size=(side, side),
        pixel_size=0.2 * 410.66 / 553.74 * 512 / side,
    )  # fmt: skip
    scan = CT.measure(npz, chosen, CPU, npz)
    found = {name: scan.classical[name]() for name in ("fbp", "tv")}
    for name, x in (found | {"pnp": _solved(scan, prior, "pnp")[0]}).items():
        yield name, {"matthews": _matthews(as_array(scan.image(x[None])[0]), truth)}


def _matthews(images: np.ndarray, truth: np.ndarray) -> float:
    found = images[0] > threshold_otsu(images[0])
    return float(np.corrcoef(found.ravel(), truth.ravel())[0, 1])


if __name__ == "__main__":
    main()
