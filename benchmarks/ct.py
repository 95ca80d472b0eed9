"""Figures of docs/benchmarks/ct.md: CT slices from few and limited views, a tooth, a fan beam.

    python benchmarks/ct.py SLICE.dcm TOOTH.h5 HTC.mat HTC_TRUTH.png > figures.txt

The slice must be none that the model was trained on (see data/models/ct/card.json).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.data import shepp_logan_phantom
from skimage.filters import threshold_otsu
from skimage.transform import resize

import restore
from restore.metrics.scan import scan_scores
from restore.prior.denoiser import Denoiser
from restore.solve import solve
from restore.tasks.ct import CT
from restore.tasks.ct_settings import CtSettings
from restore.tasks.scan import Scan, as_images
from restore.tasks.task import START_LEVEL, TUNED

CPU = torch.device("cpu")
CLASSICAL = ("fbp", "sirt", "tv")
# ScoreSDE from the same start is CCDF.
SAMPLERS = (
    ("pnp", 20), ("diffpir", 20), ("ddrm-cg", 20), ("ccdf", 20), ("ddrm", 20), ("ddnm", 20)
)  # fmt: skip
SETTINGS = (
    ("head", "0:180:45", 0.01), ("head", "0:180:20", 0.01), ("head", "0:180:90", 0.01),
    ("head", "0:120:60", 0.01), ("head", "0:180:45", 0.0),
    ("phantom", "0:180:20", 0.01), ("phantom", "0:180:45", 0.01),
)  # fmt: skip


def main() -> None:
    """Print every table."""
    torch.set_num_threads(1)
    slice_, tooth, fan, fan_truth = map(Path, sys.argv[1:5])
    prior = restore.load_prior("ct")
    with tempfile.TemporaryDirectory() as name:
        phantom = Path(name) / "phantom.npy"
        np.save(phantom, 0.02 * resize(shepp_logan_phantom(), (256, 256)).astype(np.float32))
        sources = {"phantom": phantom, "head": slice_}
        for title, angles, noise in SETTINGS:
            degraded = Path(name) / "degraded.npy"
            _simulated(title, sources[title], angles, noise, degraded, prior)
    _tooth(tooth, prior)
    _fan(fan, fan_truth, prior)


def _simulated(
    title: str, source: Path, angles: str, noise: float, degraded: Path, prior: Denoiser
) -> None:
    clean = CT.measure(source, _settings(simulate=True, angles=angles), CPU, degraded)
    sigma = noise * float(clean.problem.y.max())
    chosen = _settings(simulate=True, angles=angles, sigma=sigma or None)
    scan = CT.measure(source, chosen, CPU, degraded)
    print(f"\n{title}, angles {angles}, noise {noise:.0%} of the largest line integral")
    for method, images, seconds, residual in _methods(scan, prior):
        scores = scan_scores(images, scan.truth)
        print(
            f"{method:9} {scores.psnr:6.2f} dB  SSIM {scores.ssim:.4f}  residual "
            f"{residual:.4f}  {seconds:5.1f} s",
            flush=True,
        )


def _settings(**chosen: object) -> CtSettings:
    return CtSettings(size=(256, 256), **chosen)


def _methods(scan: Scan, prior: Denoiser, only: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
    for name in CLASSICAL:
        if not only or name in only:
            began = time.perf_counter()
            x = scan.classical[name]()
            yield name, *_finished(scan, x, began)
    for name, steps in SAMPLERS:
        if not only or name in only:
            known = restore.methods()[name].__dataclass_fields__
            values = {**TUNED.get(name, {}), **CT.tuned.get(name, {}), "steps": steps}
            if "start" in known:
                values["start"] = scan.start
                if name != "pnp" and "sigma_max" in known:
                    values["sigma_max"] = START_LEVEL
            began = time.perf_counter()
            try:
                if "svd" in restore.methods()[name].needs:
                    scan = CT.factorised(scan, None)
                x = solve(scan.problem, prior, name, seed=0, samples=1, **values)[0]
            except Exception as error:  # a table with a gap says more than none
                print(f"{name:9} {type(error).__name__}: {error}", flush=True)
                continue
            yield name, *_finished(scan, x, began)


def _finished(scan: Scan, x: torch.Tensor, began: float):  # type: ignore[no-untyped-def]
    seconds = time.perf_counter() - began
    residual = float((scan.problem.operator(x) - scan.problem.y).square().mean().sqrt())
    return as_images(scan.image(x[None])[0]), seconds, residual


def _tooth(path: Path, prior: Denoiser) -> None:
    whole = CT.measure(path, CtSettings(slice="0", bin=4), CPU, path)
    center = str(whole.sidecar["center"])
    reference = as_images(whole.image(whole.classical["sirt"]()[None])[0])
    for views in (45, 23):
        chosen = CtSettings(slice="0", bin=4, views=views, center=center)
        scan = CT.measure(path, chosen, CPU, path)
        print(f"\ntooth, {views} of 181 views against SIRT of all, axis {float(center):.2f}")
        for method, images, seconds, residual in _methods(
            scan, prior, ("fbp", "sirt", "tv", "pnp")
        ):
            scores = scan_scores(images, reference)
            print(
                f"{method:9} {scores.psnr:6.2f} dB  SSIM {scores.ssim:.4f}  residual "
                f"{residual:.4f}  {seconds:5.1f} s",
                flush=True,
            )


def _fan(path: Path, truth_path: Path, prior: Denoiser) -> None:
    from restore.io.arrays import read_arrays

    arrays = read_arrays(path)
    sinogram = arrays["CtDataLimited.sinogram"]
    angles = arrays["CtDataLimited.parameters.angles"].ravel()
    side = 128
    truth = np.asarray(Image.open(truth_path).convert("L").resize((side, side), Image.BOX)) > 127
    with tempfile.TemporaryDirectory() as name:
        for degrees in (90, 60, 30):
            kept = 2 * degrees + 1
            npz = Path(name) / "part.npz"
            np.savez(npz, sinogram=sinogram[:kept], angles=angles[:kept])
            chosen = CtSettings(
                bin=4, dso=410.66, dsd=553.74, det_spacing=0.2, size=(side, side),
                pixel_size=0.2 * 410.66 / 553.74 * 512 / side,
            )  # fmt: skip
            scan = CT.measure(npz, chosen, CPU, npz)
            print(f"\nfan beam, {degrees} degrees, {kept} views, {side}x{side}")
            for method, images, seconds, _ in _methods(scan, prior, ("fbp", "tv", "pnp")):
                found = images[0] > threshold_otsu(images[0])
                print(
                    f"{method:9} Matthews {_matthews(found, truth):.4f}  {seconds:5.1f} s",
                    flush=True,
                )


def _matthews(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.corrcoef(found.ravel(), truth.ravel())[0, 1])


if __name__ == "__main__":
    main()
