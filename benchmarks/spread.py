"""Are samples as far apart as they are wrong? What `--samples` draws, and what else could.

    python -m benchmarks.spread PICTURES [--crop 96] [--count 6] [--samples 4] [--cases grey ...]

Centre crops of pictures that were never trained on, with the problems of `photo_defaults`. Rows are
kept in docs/benchmarks/spread.json as they come, and docs/benchmarks/spread.md shows what is there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from benchmarks.photo_defaults import (
    FOLDER,
    PROBLEMS,
    Case,
    centre,
    enlarged,
    psnr,
)
from operators import Identity
from restore.io.atomic import atomic_path
from restore.io.jpeg_file import write_jpeg
from restore.io.levels import to_integer
from restore.io.picture import read_picture
from restore.methods.registry import find_method
from restore.prior.denoiser import Denoiser
from restore.prior.models import find_model, load_prior
from restore.problem import Problem
from restore.solve import misfit, solve
from restore.tasks.dejpeg import Dejpeg
from restore.tasks.device import DTYPES
from restore.tasks.settings import Settings

STORED, PAGE = FOLDER / "spread.json", FOLDER / "spread.md"
NOISE = 0.02


class Way(NamedTuple):
    """A method with its parameters, and how the page calls it."""

    title: str
    method: str
    parameters: dict[str, Any]


def ways(noisy: bool) -> list[Way]:
    """What is compared, the verbs' own samplers of before and of now among them."""
    eta = 0.85 if noisy else 1.0
    wide: dict[str, Any] = {"sigma_max": 1.0}
    long = {"steps": 60, "inner": 1} | wide
    return [
        Way("ddrm, 20 from 0.3", "ddrm", {"steps": 20, "eta": eta, "sigma_max": 0.3}),
        Way("ddrm-cg, 20 from 0.2", "ddrm-cg", {"steps": 20, "sigma_max": 0.2}),
        Way("diffpir, 60 from 0.3", "diffpir", {"steps": 60, "sigma_max": 0.3}),
        Way("diffpir, 60 from 1", "diffpir", {"steps": 60} | wide),
        Way("ccdf, 30 levels from 1", "ccdf", {"steps": 30} | wide),
        Way("ccdf, 30 levels from 1, `snr` 0.4", "ccdf", {"steps": 30, "snr": 0.4} | wide),
        Way("snips, 60 from 1, `level`", "snips", {"variant": "level"} | long),
        Way("snips, 60 from 1", "snips", long),
        Way("ddrm-jpeg, 20 from t = 300", "ddrm-jpeg", {"steps": 20, "timesteps": 300}),
        Way("snips-interval, 40 from 0.3", "snips-interval", {}),
        Way("snips-interval, 20 from 0.3", "snips-interval", {"steps": 20}),
    ]


def noised(truth: Tensor, seed: int) -> Case:
    y = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
    problem = Problem(Identity(tuple(truth.shape[1:])), y, 0.1)
    return Case(problem, y, truth, y, lambda x: x.clamp(0, 1))


def compressed(quality: int) -> Callable[[Tensor, int], Case]:
    """A JPEG with 4:2:0, as `dejpeg` reads it."""

    def case(truth: Tensor, _: int) -> Case:
        task = Dejpeg()
        with TemporaryDirectory() as folder:
            file = Path(folder) / "picture.jpg"
            write_jpeg(file, to_integer(truth[0].movedim(0, -1).numpy(), 8), quality)
            measured = task.measure(read_picture(file), Settings(), torch.device("cpu"))
        return Case(measured.problem, measured.start, truth, measured.start, measured.finish)

    return case


CASES: dict[str, tuple[str, Callable[[Tensor, int], Case], bool]] = {
    "pixels": ("Half of the pixels missing", PROBLEMS["pixels"][1], False),
    "strokes": ("Thick strokes", PROBLEMS["strokes"][1], False),
    "enlarged": ("4× bicubic, 8 bits", PROBLEMS["enlarged"][1], False),
    "enlarged-noisy": (f"4× bicubic, noise {NOISE}", lambda x, i: enlarged(x, i, NOISE), True),
    "gaussian": ("Gaussian blur of 2 pixels, noise 0.01", PROBLEMS["gaussian"][1], True),
    "grey": ("Colours from luma", PROBLEMS["grey"][1], False),
    "noise": ("Noise of 0.1", noised, True),
    **{f"jpeg{q}": (f"JPEG of quality {q}", compressed(q), True) for q in (10, 40, 75)},
}


def texture(x: Tensor) -> Tensor:
    """What the mean of 5×5 pixels leaves of a picture."""
    return x - avg_pool2d(pad(x, (2, 2, 2, 2), mode="reflect"), 5, 1)


def row(way: Way, cases: list[Case], prior: Denoiser, samples: int) -> dict[str, float] | None:
    """The figures of one way, means over the pictures; None where it does not run."""
    if misfit(find_method(way.method), cases[0].problem) is not None:
        return None
    found = []
    for case in cases:
        given = {"start": case.start} | way.parameters
        x = case.finish(solve(case.problem, prior, way.method, samples=samples, **given)[:, 0])
        mean = x.mean(0, keepdim=True)
        variance = float(x.var(0).mean())
        # The mean of n samples has 1/n of their variance for an error besides its own.
        error = max(float((mean - case.truth).square().mean()) - variance / samples, 1e-9)
        found.append(
            (
                psnr(mean, case.truth),
                -10 * math.log10(error),
                float(np.mean([psnr(one[None], case.truth) for one in x])),
                (variance / error) ** 0.5,
                float(texture(x[:1]).std() / texture(case.truth).std()),
            )
        )
    names = ("mean", "infinite", "one", "spread", "texture")
    return dict(zip(names, np.mean(found, 0).tolist(), strict=True))


HEADER = """# Are samples as far apart as they are wrong?

Made by `python -m benchmarks.spread PICTURES`, with the model `{model}` ({sha}…) on {count} centre
crops of {crop}×{crop} of BSDS500 `val`; {samples} samples of each. All start from the verb's
classical estimate with noise of the level named, and write 8 bits.

- **mean**: PSNR in dB of the mean of the samples; **∞**: of infinitely many, extrapolated;
  **one**: of one. A true sample of the posterior is 3 dB below the mean of infinitely many.
- **spread**: standard deviation of the samples over the error of the mean of infinitely many. It is
  1 where they are as far apart as they are wrong: the map of `--save-std` is then the error to
  expect.
- **texture**: standard deviation of what the mean of 5×5 pixels leaves of a sample, over that of
  the truth.

`--samples` draws with `ccdf` where pixels or colours are missing, with `ccdf` and an `snr` of
0.4 for enlargement and behind blurs, and with `snips` for noise, as in these rows
([why](../decisions/0021-noise-in-two-halves.md)); of a JPEG with `snips-interval`, whose other rows
take its rounding for Gaussian noise ([why](../decisions/0008-intervals-of-a-jpeg.md)).
"""


def page(kept: dict[str, Any]) -> str:
    """The Markdown page."""
    about = kept["about"]
    lines = [HEADER.format(**about)]
    for name, (title, _, _) in CASES.items():
        rows = kept["rows"].get(name, {})
        lines += [f"## {title}", "", "| method | mean | ∞ | one | spread | texture |"]
        lines.append("|---|---|---|---|---|---|")
        for way, figures in rows.items():
            cells = " | ".join(f"{value:.2f}" for value in figures.values())
            lines.append(f"| {way} | {cells} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Make the rows that are not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    about = {
        "model": arguments.model,
        "sha": find_model(arguments.model).card.sha256[:12],
        **{name: getattr(arguments, name) for name in ("crop", "count", "samples")},
    }
    kept = json.loads(STORED.read_text()) if STORED.exists() else {}
    if kept.get("about") != about:
        kept = {"about": about, "rows": {}}
    prior = load_prior(arguments.model, dtype=DTYPES[arguments.dtype])
    paths = sorted(arguments.pictures.glob("*.jpg"))[: arguments.count]
    truths = [
        centre(torch.from_numpy(read_picture(path).pixels)[None], arguments.crop) for path in paths
    ]
    for name in arguments.cases:
        _, make, has_noise = CASES[name]
        cases = [make(truth, index) for index, truth in enumerate(truths)]
        rows = kept["rows"].setdefault(name, {})
        for way in ways(has_noise):
            if way.title in rows:
                continue
            figures = row(way, cases, prior, arguments.samples)
            if figures is None:
                continue
            rows[way.title] = figures
            print(name, way.title, {k: round(v, 2) for k, v in figures.items()}, flush=True)
            with atomic_path(STORED) as path:
                path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
            with atomic_path(PAGE) as path:
                path.write_text(page(kept))


if __name__ == "__main__":
    main()
