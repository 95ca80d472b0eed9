"""Samples of DDRM beside the exact posterior of a Gaussian-mixture prior."""

from __future__ import annotations

import argparse

import torch

import restore
from operators import Downsample


def main() -> None:
    """Two modes that the measurement cannot tell apart: their weights, exact and sampled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer samples")
    count = 100 if parser.parse_args().short else 1000

    checkerboard = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)[None] * 0.4
    prior = restore.GaussianMixture(
        weights=torch.tensor([0.6, 0.4]),
        means=torch.stack([0.5 + checkerboard, 0.5 - checkerboard]),
        stds=torch.tensor([0.1, 0.1]),
    )
    operator = Downsample((1, 8, 8), 2, kernel="box")
    y = torch.full((1, 1, 4, 4), 0.5)
    problem = restore.Problem(operator, y, noise_std=0.05)

    samples = restore.solve(problem, prior, samples=count)[:, 0]
    share = ((samples - 0.5) * checkerboard).sum((1, 2, 3)).gt(0).float().mean()
    exact = prior.posterior(problem).weights.flatten()[0]
    print(f"weight of the first mode: {share:.3f} in {count} samples, exact {exact:.3f}")
    print(f"their residual: {(operator(samples) - y).std():.3f} for a noise of 0.05")


if __name__ == "__main__":
    main()
