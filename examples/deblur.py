"""Undo the motion of a camera, without a claim about what lies beyond the picture."""

from __future__ import annotations

import argparse
import math

import torch

import restore
from operators import Blur, motion_kernel
from restore.prior.models import data_folder
from restore.tasks.baselines import wiener


def main() -> None:
    """A cup of coffee, moved by 15 pixels at 30 degrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small crop and few steps")
    short = parser.parse_args().short

    samples = data_folder() / "samples"
    pair = [restore.read_picture(samples / f"blurred{end}.png").pixels for end in ("", "_truth")]
    blurred, truth = (torch.from_numpy(pixels)[None] for pixels in pair)
    if short:
        blurred, truth = blurred[..., :48, :64].contiguous(), truth[..., :48, :64]

    # The picture is the valid part of the blur of a larger canvas.
    kernel = motion_kernel(15, math.radians(30))
    margin = kernel.shape[0] // 2
    height, width = blurred.shape[-2:]
    operator = Blur((3, height + 2 * margin, width + 2 * margin), kernel, border="valid")
    problem = restore.Problem(operator, blurred, noise_std=0.01)
    start = wiener(problem, kernel)
    canvas = restore.solve(
        problem, restore.load_prior("photo"), "pnp", steps=4 if short else 20, start=start
    )[0]
    for name, picture in (("Wiener", start), ("plug-and-play", canvas)):
        inner = picture[..., margin:-margin, margin:-margin].clamp(0, 1)
        error = (inner - truth).square().mean()
        print(f"{name:13} {-10 * torch.log10(error):.2f} dB")


if __name__ == "__main__":
    main()
