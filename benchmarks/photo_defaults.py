"""What serves each verb best with a model: start, η, steps, number of samples averaged.

    python -m benchmarks.photo_defaults PICTURES [--crop 96] [--count 6] [--cases motion box ...]

Centre crops of pictures that were never trained on; PSNR (dB) of the mean of the samples and the
evaluations of the network that it cost, beside the classical method. Each table is kept in
docs/benchmarks/photo_defaults.json as soon as it is whole, with the hash of the model: a table that
is there for the same model and crops is not made again, and docs/benchmarks/photo_defaults.md shows
what is there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from operators import Blur, Downsample, Mask, box_kernel, gaussian_kernel, motion_kernel
from restore.io.picture import read_picture
from restore.prior.denoiser import Denoiser
from restore.prior.models import find_model, load_prior
from restore.problem import Problem
from restore.solve import solve
from restore.tasks.baselines import bicubic, biharmonic, smooth_fill, wiener
from restore.tasks.colorize import colour_problem, luma_of, with_luma
from restore.tasks.task import LAST_LEVEL, consistent

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
STORED, PAGE = FOLDER / "photo_defaults.json", FOLDER / "photo_defaults.md"
ROUNDING = 1 / (255 * 12**0.5)
# σ_y of the blurred pictures, on top of which they are rounded to 8 bits.
BLUR_NOISE = 0.01


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


def pnp(steps: int, sigma_max: float, weight: float = 0.5) -> Way:
    return Way("pnp", 1, {"steps": steps, "sigma_max": sigma_max, "weight": weight})


KNOWN = [
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
BLURRED = [
    *(pnp(20, 0.2, weight) for weight in (0.25, 0.5, 1.0)),
    *(pnp(20, level) for level in (0.1, 0.4)),
    pnp(10, 0.2),
    pnp(50, 0.2),
    Way("ddrm-cg", 4, {"steps": 20, "eta": 0.85, "sigma_max": 0.2}),
]
WITH_SVD = [*BLURRED, ddrm(20, 4, 1.0, 0.2)]
COLOURED = [
    *(pnp(steps, level) for level in (0.05, 0.1, 0.2) for steps in (5, 20)),
    *(ddrm(20, 1, 1.0, level) for level in (0.1, 0.3, 1.0)),
    ddrm(20, 4, 1.0, 0.3),
]


def eight_bits(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


def enlarged(truth: Tensor, seed: int, noise_std: float = 0.0) -> Case:
    """4x bicubic super-resolution of an 8-bit picture, with noise on top of that if any."""
    operator = Downsample(tuple(truth.shape[1:]), 4)
    y = eight_bits(operator(truth))
    if noise_std > 0:
        y += noise_std * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    problem = Problem(operator, y, noise_std or ROUNDING)
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


def blurred(kernel: Tensor, border: str) -> Callable[[Tensor, int], Case]:
    """A blur of the centre, whose pixels near the border know nothing of what lies beyond."""
    margin = kernel.shape[0] // 2

    def make(truth: Tensor, index: int) -> Case:
        y = Blur(tuple(truth.shape[1:]), kernel, "valid")(truth)
        noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(index))
        y = eight_bits(y + BLUR_NOISE * noise)
        size = truth.shape if border == "valid" else y.shape
        problem = Problem(Blur(tuple(size[1:]), kernel, border), y, BLUR_NOISE)
        start = wiener(problem, kernel).clamp(0, 1)

        def finish(x: Tensor) -> Tensor:
            inner = x[..., margin:-margin, margin:-margin] if border == "valid" else x
            return inner.clamp(0, 1)

        inner = truth[..., margin:-margin, margin:-margin]
        return Case(problem, start, inner, finish(start), finish)

    return make


def grey(truth: Tensor, _: int) -> Case:
    """The luma, in 8 bits."""
    return coloured(truth, None)


def hinted(truth: Tensor, index: int) -> Case:
    """The luma, and five strokes of 12×3 pixels in the median colour beneath them."""
    rng = np.random.default_rng(index)
    known, colours = torch.zeros(truth.shape[-2:], dtype=torch.bool), torch.zeros_like(truth[0])
    for _ in range(5):
        top, left = (int(rng.integers(0, n - 12)) for n in truth.shape[-2:])
        stroke = (slice(top, top + 3), slice(left, left + 12))
        known[stroke] = True
        colours[:, *stroke] = truth[0][:, *stroke].flatten(1).median(1).values[:, None, None]
    return coloured(truth, (known, colours))


def coloured(truth: Tensor, hints: tuple[Tensor, Tensor] | None) -> Case:
    y = eight_bits(luma_of(truth))
    problem, start, _ = colour_problem(y, hints, ROUNDING)
    return Case(problem, start, truth, start, lambda x: with_luma(x, y))


PROBLEMS: dict[str, tuple[str, Callable[[Tensor, int], Case], list[Way]]] = {
    "enlarged": ("4× bicubic, 8 bits, gain over bicubic", enlarged, KNOWN),
    "pixels": ("Half of the pixels missing, gain over biharmonic", random_pixels, KNOWN),
    "strokes": ("Thick strokes, gain over biharmonic", strokes, KNOWN),
    **{
        name if border == "valid" else f"{name}-{border}": (
            f"{title}, σ_y 0.01, border {border}, gain over Wiener",
            blurred(kernel, border),
            ways if border == "valid" else [pnp(20, 0.2)],
        )
        for name, title, kernel, ways in (
            ("gaussian", "Gaussian blur of 2 pixels", gaussian_kernel(2.0), WITH_SVD),
            ("box", "Box blur of 9 pixels", box_kernel(9), WITH_SVD),
            ("motion", "Motion of 15 pixels at 30°", motion_kernel(15, math.pi / 6), BLURRED),
        )
        for border in ("valid", "reflect", "replicate")
    },
    "grey": ("Colours from luma alone, gain over grey", grey, COLOURED),
    "hinted": (
        "Colours from luma and five strokes, gain over the spread strokes",
        hinted,
        COLOURED,
    ),
}


def psnr(estimate: Tensor, truth: Tensor) -> float:
    return float(-10 * torch.log10((eight_bits(estimate) - truth).square().mean()))


def run(way: Way, case: Case, prior: Denoiser) -> float:
    x = solve(
        case.problem, prior, way.method, samples=way.average, start=case.start, **way.parameters
    )[:, 0]
    return psnr(case.finish(x).mean(0, keepdim=True), case.truth)


def table(title: str, cases: list[Case], ways: list[Way], prior: Denoiser) -> str:
    """Markdown: a row for each way, best first."""
    classical = [psnr(case.classical, case.truth) for case in cases]
    rows = []
    for way in ways:
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


def centre(picture: Tensor, side: int) -> Tensor:
    top, left = ((n - side) // 2 for n in picture.shape[-2:])
    return picture[..., top : top + side, left : left + side].contiguous()


def read_stored() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(STORED.read_text()) if STORED.exists() else {}
    return stored


def write_page(stored: dict[str, Any]) -> None:
    """All tables that there are, each with the model and the crops that it is of."""
    tables = [
        "\n".join(
            [
                stored[name]["table"].replace("\n", "\n\n" + stored[name]["made"] + "\n", 1),
                "",
            ]
        )
        for name in PROBLEMS
        if name in stored
    ]
    PAGE.write_text(
        f"""# What serves each verb best

Each table names its model, which may be an earlier one than that bundled now. The pictures are
centres of BSDS500 `val`, never trained on. Each method starts from the classical estimate (bicubic,
a smooth filling, Wiener's) with noise of σ_max added; `steps` are evaluations for one sample. Gains
are means over the pictures with their standard error.

A blurred centre is the valid part of the blur of the crop: what lies beyond its border is unknown,
as in a photograph. With a border other than "valid" the method assumes that border.

Made by `python -m benchmarks.photo_defaults PICTURES`.

{chr(10).join(tables)}"""
    )


def main() -> None:
    """Make the tables that are not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--cases", nargs="*", choices=PROBLEMS, default=list(PROBLEMS))
    arguments = parser.parse_args()
    paths = sorted(arguments.pictures.glob("*.jpg"))[: arguments.count]
    truths = [
        centre(torch.from_numpy(read_picture(path).pixels)[None], arguments.crop) for path in paths
    ]
    made = (
        f"Model `{arguments.model}` ({find_model(arguments.model).card.sha256[:12]}), "
        f"{len(truths)} crops of {arguments.crop}×{arguments.crop}."
    )
    prior = load_prior(arguments.model)
    for name in arguments.cases:
        if read_stored().get(name, {}).get("made") == made:
            continue
        title, make, ways = PROBLEMS[name]
        cases = [make(truth, index) for index, truth in enumerate(truths)]
        made_table = {"made": made, "table": table(title, cases, ways, prior)}
        # Read again: another run may have written meanwhile.
        stored = read_stored() | {name: made_table}
        STORED.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
        write_page(stored)


if __name__ == "__main__":
    main()
