"""Fill a hole by name of the operator: a mask, a measurement, a prior, one call."""

from __future__ import annotations

import argparse

import torch

import restore
from operators import Mask
from restore.prior.models import data_folder


def main() -> None:
    """Fill a square in a photograph and say how far it is from the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small crop and few steps")
    side = 64 if (short := parser.parse_args().short) else 192

    picture = restore.read_picture(data_folder() / "samples" / "scratched_truth.png")
    truth = torch.from_numpy(picture.pixels)[None, :, 40 : 40 + side, 60 : 60 + side]
    known = torch.ones(side, side, dtype=torch.bool)
    known[side // 2 : side // 2 + side // 8, side // 4 : side // 2] = False

    operator = Mask(known, (3, side, side))
    problem = restore.Problem(operator, operator(truth.contiguous()))
    samples = restore.solve(
        problem, restore.load_prior("photo"), samples=2 if short else 8, steps=5 if short else 20,
        eta=1.0, sigma_max=1.0,
    )  # fmt: skip
    assert torch.equal(operator(samples[0]), problem.y), "known pixels are kept exactly"

    hole = ~known.expand(3, -1, -1)
    error = (samples.mean(0)[0] - truth[0])[hole].square().mean().sqrt()
    spread = samples[:, 0].std(0)[hole].mean()
    print(f"in the hole: error {255 * error:.1f} of 255, standard deviation {255 * spread:.1f}")


if __name__ == "__main__":
    main()
