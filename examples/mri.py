"""Reconstruct a brain from a quarter of its k-space: `python examples/mri.py [--short]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import operators
import restore
from restore.io.kspace import read_kspace
from restore.mri.baselines import cg_sense
from restore.mri.espirit import espirit
from restore.mri.noise import kspace_noise

SAMPLE = Path(__file__).parents[1] / "data" / "samples" / "brain.h5"


def main() -> None:
    """Print how well two reconstructions foretell samples that were kept from them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="A few seconds.")
    short = parser.parse_args().short

    scan = read_kspace(SAMPLE)
    y, mask = torch.from_numpy(scan.data), torch.from_numpy(scan.mask)
    maps = espirit(y[0]).maps
    scale = float(operators.SenseMRI(maps, mask).adjoint(y).abs().flatten().quantile(0.99))
    y = y / scale  # the prior knows images of about 1

    # Every tenth sample outside the middle is kept for the test.
    held = mask & (torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) < 0.1)
    held[52:76, 44:68] = False
    scanner = operators.SenseMRI(maps, mask & ~held)
    measured = y * (mask & ~held)
    sigma = kspace_noise(measured, mask & ~held)

    start = cg_sense(scanner, measured, sigma, 10)
    found = restore.solve(
        restore.Problem(scanner, measured, sigma), restore.load_prior("brain"), "pnp",
        steps=10 if short else 30, weight=0.25, start=start,
    )[0]  # fmt: skip
    whole = operators.SenseMRI(maps, held)
    truth = y * held
    for name, image in (("cg-sense", start), ("pnp", found)):
        error = (whole(image) - truth).norm() / truth.norm()
        print(f"{name}: relative error of the samples that were held back {float(error):.3f}")


if __name__ == "__main__":
    main()
