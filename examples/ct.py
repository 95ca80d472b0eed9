"""Reconstruct a CT slice from few views with noise: `python examples/ct.py [--short]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import operators
import restore
from restore.ct import parallel_fbp
from restore.io.dicom import read_dicom

SAMPLE = Path(__file__).parents[1] / "data" / "samples" / "head.dcm"
MU_WATER = 0.0193  # 1/mm at 70 keV


def main() -> None:
    """Print how near filtered back-projection and a prior come to the slice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="A few seconds, half the size.")
    short = parser.parse_args().short

    slice_ = read_dicom(SAMPLE)
    truth = torch.from_numpy((slice_.values[0] / 1000 + 1).clip(0))  # 1 is water
    pixel = slice_.spacing[0]
    if short:
        truth = torch.nn.functional.avg_pool2d(truth[None], 2)[0]
        pixel *= 2
    size = (truth.shape[0], truth.shape[1])
    scale = float(truth.max())  # the prior knows images of about [0, 1]

    angles = torch.arange(30) * torch.pi / 30
    unit = MU_WATER * scale  # lengths in which attenuation is at most 1
    scanner = operators.ParallelBeamCT(
        (1, *size), angles, round(1.5 * size[0]), pixel * unit, pixel * unit
    )
    clean = scanner(truth[None, None] / scale)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    sigma = 0.01
    y = clean + sigma * noise

    fbp = parallel_fbp(y[:, 0], angles, size, pixel * unit, pixel * unit)[:, None]
    found = restore.solve(
        restore.Problem(scanner, y, sigma), restore.load_prior("ct"), "pnp",
        steps=10 if short else 20, weight=0.25, start=fbp,
    )[0]  # fmt: skip
    for name, image in (("fbp", fbp), ("pnp", found)):
        error = (image[0, 0] * scale - truth).numpy()
        print(f"{name}: root mean square error {1000 * np.sqrt((error**2).mean()):.0f} HU")


if __name__ == "__main__":
    main()
