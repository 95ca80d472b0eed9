"""Colour a grey picture from a few strokes, and check that its luma is kept."""

from __future__ import annotations

import argparse

import torch

import restore
from operators import Colorize
from restore.io.hints import read_hints
from restore.prior.models import data_folder
from restore.tasks.colorize import colour_problem, with_luma


def main() -> None:
    """A cat: brown fur, green eyes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer steps")
    steps = 1 if parser.parse_args().short else 5

    samples = data_folder() / "samples"
    grey = restore.read_picture(samples / "grey.png")
    luma = torch.from_numpy(grey.pixels)[None]
    known, colours = read_hints(samples / "strokes.png", (grey.height, grey.width))
    hints = (torch.from_numpy(known), torch.from_numpy(colours))

    # Luma everywhere and colours under the strokes, in one operator with an exact SVD.
    problem, start, _ = colour_problem(luma, hints, noise_std=grey.rounding_std)
    x = restore.solve(
        problem, restore.load_prior("photo"), "pnp", steps=steps, start=start, sigma_max=0.05
    )[0]
    coloured = (255 * with_luma(x, luma)).round() / 255
    change = (Colorize((3, grey.height, grey.width))(coloured) - luma).abs().max()
    print(f"{int(known.sum())} hinted pixels; the luma moved by {255 * change:.2f} of 255 at most")


if __name__ == "__main__":
    main()
