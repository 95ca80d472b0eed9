"""What serves each verb best with a model: start, η, steps, number of samples averaged.

    python -m benchmarks.photo_defaults PICTURES [--crop 128] [--count 20]

Centre crops of pictures that were never trained on; PSNR (dB) of the mean of the samples and the
evaluations of the network that it cost, beside the classical method. Writes
docs/benchmarks/photo_defaults.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from operators import Downsample, Mask
from restore.io.picture import read_picture
from restore.prior.denoiser import Denoiser
from restore.prior.models import load_prior
from restore.problem import Problem
from restore.solve import solve
from restore.tasks.baselines import bicubic, biharmonic, smooth_fill
from restore.tasks.super_resolve import LAST_LEVEL
from restore.tasks.task import consistent

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "photo_defaults.md"
ROUNDING = 1 / (255 * 12**0.5)


class Case(NamedTuple):
    """One problem of one picture."""

    problem: Problem
    start: Tensor
    truth: Tensor
    classical: Tensor
    finish: Callable[[Tensor], Tensor]


class Way(NamedTuple):
    """A method, its parameters and the number of samples averaged."""

    method: str
    average: int
    parameters: dict[str, Any]

    @property
    def evaluations(self) -> int:
        """Of the network, for one picture."""
        return self.average * int(self.parameters["steps"])


def ddrm(steps: int, average: int, eta: float, sigma_max: float) -> Way:
    return Way("ddrm", average, {"steps": steps, "eta": eta, "sigma_max": sigma_max})


def pnp(steps: int, sigma_max: float) -> Way:
    return Way("pnp", 1, {"steps": steps, "sigma_max": sigma_max})


WAYS = [
    ddrm(20, 1, 0.85, 50.0),
    *(ddrm(20, 1, 1.0, level) for level in (50.0, 1.0, 0.6, 0.3, 0.15)),
    ddrm(20, 1, 0.85, 0.3),
    ddrm(10, 1, 1.0, 0.3),
    ddrm(10, 4, 1.0, 0.3),
    *(ddrm(20, 4, 1.0, level) for level in (0.6, 0.3, 0.15)),
    ddrm(20, 8, 1.0, 0.3),
    ddrm(50, 4, 1.0, 0.3),
    *(pnp(20, level) for level in (0.6, 0.4, 0.2, 0.1)),
    pnp(10, 0.2),
    pnp(50, 0.2),
]


def eight_bits(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


def enlarged(truth: Tensor, _: int) -> Case:
    """4x bicubic super-resolution of an 8-bit picture."""
    operator = Downsample(tuple(truth.shape[1:]), 4)
    problem = Problem(operator, eight_bits(operator(truth)), ROUNDING)
    start = bicubic(problem.y, (truth.shape[2], truth.shape[3])).clamp(0, 1)
    return Case(problem, start, truth, start, lambda x: consistent(problem, x, LAST_LEVEL))


def inpainted(truth: Tensor, hole: Tensor) -> Case:
    known = truth * ~hole
    return Case(
        Problem(Mask(~hole, tuple(truth.shape[1:])), known, ROUNDING),
        smooth_fill(known, hole),
        truth,
        biharmonic(known, hole).clamp(0, 1),
        lambda x: torch.where(hole, x.clamp(0, 1), truth),
    )


def random_pixels(truth: Tensor, index: int) -> Case:
    """Half of the pixels missing."""
    rng = np.random.default_rng(index)
    return inpainted(truth, torch.from_numpy(rng.random(truth.shape[-2:]) < 0.5))


def strokes(truth: Tensor, index: int) -> Case:
    """Three thick strokes, of 8 to 14 pixels."""
    rng = np.random.default_rng(index)
    height, width = truth.shape[-2:]
    image = Image.new("1", (width, height))
    for _ in range(3):
        points = [(rng.uniform(0, width), rng.uniform(0, height)) for _ in range(3)]
        ImageDraw.Draw(image).line(points, fill=1, width=int(rng.integers(8, 15)), joint="curve")
    return inpainted(truth, torch.from_numpy(np.asarray(image).copy()))


def psnr(estimate: Tensor, truth: Tensor) -> float:
    return float(-10 * torch.log10((eight_bits(estimate) - truth).square().mean()))


def run(way: Way, case: Case, prior: Denoiser) -> float:
    x = solve(
        case.problem, prior, way.method, samples=way.average, start=case.start, **way.parameters
    )[:, 0]
    return psnr(case.finish(x).mean(0, keepdim=True), case.truth)


def table(title: str, cases: list[Case], prior: Denoiser) -> str:
    """Markdown: a row for each way, best first."""
    classical = [psnr(case.classical, case.truth) for case in cases]
    rows = []
    for way in WAYS:
        gains = np.subtract([run(way, case, prior) for case in cases], classical)
        error = gains.std(ddof=1) / len(gains) ** 0.5
        parameters = ", ".join(f"{k} {v:g}" for k, v in way.parameters.items())
        print(title, way.method, parameters, way.average, f"{gains.mean():+.2f}", flush=True)
        rows.append((gains.mean(), error, way, parameters))
    lines = [
        f"## {title}",
        "",
        f"The classical method has {np.mean(classical):.2f} dB.",
        "",
        "| method | parameters | samples averaged | evaluations | gain in dB |",
        "|---|---|---|---|---|",
    ]
    for gain, error, way, parameters in sorted(rows, key=lambda row: -row[0]):
        lines.append(
            f"| {way.method} | {parameters} | {way.average} | {way.evaluations} "
            f"| {gain:+.2f} ± {error:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run every way on every problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    truths = []
    for path in sorted(arguments.pictures.glob("*.jpg"))[: arguments.count]:
        pixels = torch.from_numpy(read_picture(path).pixels)[None]
        top, left = ((n - arguments.crop) // 2 for n in pixels.shape[-2:])
        window = (..., slice(top, top + arguments.crop), slice(left, left + arguments.crop))
        truths.append(pixels[window].contiguous())
    prior = load_prior(arguments.model)
    problems = {
        "4× bicubic, 8 bits, gain over bicubic": enlarged,
        "Half of the pixels missing, gain over biharmonic": random_pixels,
        "Thick strokes, gain over biharmonic": strokes,
    }
    tables = [
        table(title, [make(truth, i) for i, truth in enumerate(truths)], prior)
        for title, make in problems.items()
    ]
    sizes = f"{arguments.crop}×{arguments.crop}"
    PAGE.write_text(
        f"""# What serves each verb best

`{arguments.model}` on the centre {sizes} of {len(truths)} pictures of BSDS500 `val`. Each method
starts from the classical estimate (bicubic, or a smooth filling) with noise of σ_max on it; `steps`
are evaluations for one sample. Gains are means over the pictures with their standard error.

Made by
`python -m benchmarks.photo_defaults PICTURES --crop {arguments.crop} --count {len(truths)}`.

{chr(10).join(chr(10) + t for t in tables)}
"""
    )


if __name__ == "__main__":
    main()
