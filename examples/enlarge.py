"""Enlarge a picture and check that shrinking the result gives the picture back."""

from __future__ import annotations

import argparse

import torch

import restore
from operators import Downsample
from restore.prior.models import data_folder
from restore.tasks.baselines import bicubic


def main() -> None:
    """Four times larger, from the small sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small crop and few steps")
    short = parser.parse_args().short

    picture = restore.read_picture(data_folder() / "samples" / "small.png")
    small = torch.from_numpy(picture.pixels)[None]
    small = small[..., :16, :24].contiguous() if short else small
    size = (4 * small.shape[-2], 4 * small.shape[-1])

    operator = Downsample((3, *size), 4, kernel="bicubic")
    large = restore.solve(
        restore.Problem(operator, small), restore.load_prior("photo"), steps=4 if short else 20,
        eta=1.0, start=bicubic(small, size), sigma_max=0.5,
    )[0]  # fmt: skip
    difference = (operator(large) - small).abs().max()
    print(
        f"{list(small.shape)} -> {list(large.shape)}; shrunk again it differs by {difference:.1e}"
    )


if __name__ == "__main__":
    main()
