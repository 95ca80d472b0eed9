"""Every method on photographs, at equal numbers of evaluations: docs/benchmarks/methods.md.

    python -m benchmarks.methods PICTURES [--crop 256] [--count 20] [--methods ddrm snips ...]
        [--problems sr4 ...] [--settings 20 ...] [--dtype bf16]

METHODS may be a peer's, `benchmarks.peers.deepinv:DDRM`.

Centre crops of pictures that the model has not seen. All methods get the same operator,
measurement, noise level, denoiser and seed. At 20 and 100 evaluations those that can start from the
classical estimate, with noise of a level that suits the problem; the published setting is the
method's own defaults from the prior's largest level. Means of eight samples where methods are held
to the classical estimate (`AVERAGED`), one sample elsewhere. Figures are kept beside the page as
they come, so that a run goes on where it stopped; those of another model are measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import operators
from benchmarks.methods_page import page
from operators import LinearOperator
from restore.io.atomic import atomic_path
from restore.io.picture import read_picture
from restore.methods import Method, methods
from restore.methods.base import fields_of
from restore.methods.registry import find_method
from restore.metrics import psnr, ssim
from restore.prior.counted import Counted
from restore.prior.denoiser import Denoiser
from restore.prior.models import find_model, load_prior
from restore.problem import Problem
from restore.solve import misfit, solve
from restore.tasks.baselines import bicubic, biharmonic
from restore.tasks.device import DTYPES

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
BUDGETS = (20, 100)
SAMPLES = 8
AVERAGED = {
    "random": ("ddrm", "scoresde", "ilvr", "snips", "ccdf", "ddrm-cg", "diffpir"),
    "sr4": ("ddrm",),
}


class Case(NamedTuple):
    """A problem of one picture.

    Attributes:
        problem: y = A x + σ_y n.
        start: the classical estimate that a method may begin from, [1, C, H, W].
        level: σ of the noise that is put on it.
        classical: what results are compared with.
    """

    problem: Problem
    start: Tensor
    level: float
    classical: Tensor


def measured(operator: LinearOperator, truth: Tensor, noise_std: float, seed: int) -> Problem:
    clean = operator(truth)
    generator = torch.Generator().manual_seed(seed)
    return Problem(
        operator, clean + noise_std * torch.randn(clean.shape, generator=generator), noise_std
    )


def filled(truth: Tensor, hole: Tensor, level: float) -> Case:
    problem = measured(operators.Mask(~hole, tuple(truth.shape[1:])), truth, 0.0, 0)
    start = biharmonic(problem.y, hole).clamp(0, 1)
    return Case(problem, start, level, start)


def scattered(truth: Tensor, seed: int) -> Case:
    generator = torch.Generator().manual_seed(seed)
    return filled(truth, torch.rand(truth.shape[-2:], generator=generator) < 0.5, 0.1)


def lettered(truth: Tensor, _: int) -> Case:
    """Lines of thick letters over the whole picture."""
    height, width = truth.shape[-2:]
    image = Image.new("L", (width, height))
    size = max(16, height // 8)
    for line, top in enumerate(range(0, height, 2 * size)):
        text = "restoration " * 8
        ImageDraw.Draw(image).text(
            (-line * size, top), text, 255, ImageFont.load_default(size), stroke_width=size // 12
        )
    return filled(truth, torch.from_numpy(np.asarray(image) > 127), 0.3)


def enlarged(truth: Tensor, seed: int, noise_std: float = 0.0) -> Case:
    operator = operators.Downsample(tuple(truth.shape[1:]), 4, kernel="bicubic")
    problem = measured(operator, truth, noise_std, seed)
    start = bicubic(problem.y, (truth.shape[2], truth.shape[3])).clamp(0, 1)
    return Case(problem, start, 0.3, start)


def wiener(problem: Problem, prior_std: float = 0.25) -> Tensor:
    """The posterior mean under independent pixels N(½, prior_std²)."""
    operator, y = problem.operator, problem.y
    middle = torch.full((1, *operator.domain.shape), 0.5)
    rho = max(problem.noise_std / prior_std, 1e-3) ** 2
    x = middle + operator.solve_normal(operator.adjoint(y - operator(middle)), rho)
    return x.clamp(0, 1)


def deblurred(truth: Tensor, seed: int, kernel: Tensor) -> Case:
    problem = measured(operators.Blur(tuple(truth.shape[1:]), kernel), truth, 0.01, seed)
    start = wiener(problem)
    return Case(problem, start, 0.2, start)


def coloured(truth: Tensor, _: int) -> Case:
    problem = measured(operators.Colorize(tuple(truth.shape[1:])), truth, 0.0, 0)
    start = problem.y.expand_as(truth)
    return Case(problem, start, 0.5, start)


def compressed(truth: Tensor, seed: int) -> Case:
    side = 2 ** math.floor(math.log2(min(truth.shape[-2:])))
    shape = (truth.shape[1], side, side)
    problem = measured(operators.Hadamard(shape, 0.25, seed=seed), truth[..., :side, :side], 0.0, 0)
    start = wiener(problem)
    return Case(problem, start, 0.5, start)


PROBLEMS: dict[str, tuple[str, str, Callable[[Tensor, int], Case]]] = {
    "random": ("Half of the pixels missing", "biharmonic", scattered),
    "text": ("Thick letters to fill", "biharmonic", lettered),
    "sr4": ("4× bicubic", "bicubic", enlarged),
    "sr4-noisy": ("4× bicubic, noise 0.05", "bicubic", lambda x, i: enlarged(x, i, 0.05)),
    "gaussian": (
        "Gaussian blur of 2 pixels, noise 0.01",
        "Wiener",
        lambda x, i: deblurred(x, i, operators.gaussian_kernel(2.0)),
    ),
    "uniform": (
        "9×9 box blur, noise 0.01",
        "Wiener",
        lambda x, i: deblurred(x, i, operators.box_kernel(9)),
    ),
    "colorize": ("Colour from luma", "grey", coloured),
    "hadamard": ("A quarter of the Hadamard coefficients", "pseudo-inverse", compressed),
}


class Timed(Counted):
    """The denoiser, with its evaluations and the CPU time in it."""

    def __init__(self, prior: Denoiser) -> None:
        super().__init__(prior)
        self.seconds = 0.0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """D(x, σ), timed."""
        began = time.process_time()
        x_hat = super().__call__(x, sigma)
        self.seconds += time.process_time() - began
        return x_hat


def settings(cls: type[Method], case: Case, samples: int) -> Iterator[tuple[str, Method, int]]:
    """(name, method, samples): at each budget that it is defined for, and as published."""
    fields = fields_of(cls)
    started: dict[str, Any] = {"start": case.start, "sigma_max": case.level}
    if "eta" in fields and case.problem.noise_std == 0:
        started["eta"] = 1.0
    started = started if started.keys() <= fields.keys() else {}
    for budget in BUDGETS:
        try:
            yield str(budget), cls(**started).within(budget), samples
        except ValueError:
            continue
    yield "published", cls(), 1


def run(method: Method, case: Case, prior: Denoiser, truth: Tensor, samples: int) -> dict[str, Any]:
    """The figures of one method on one problem; the error where it fails."""
    timed = Timed(prior)
    began = time.process_time()
    try:
        x = solve(case.problem, timed, method, samples=samples if method.samples else 1)[:, 0]
    except (ValueError, ArithmeticError, RuntimeError) as error:
        return {"error": str(error)}
    seconds = time.process_time() - began
    residual = (case.problem.operator(x[:1]) - case.problem.y).square().mean().sqrt()
    x = x.clamp(0, 1)
    mean = x.mean(0)
    return {
        "psnr": psnr(mean.numpy(), truth[0].numpy()),
        "psnr_sample": psnr(x[0].numpy(), truth[0].numpy()),
        "ssim": ssim(mean.numpy(), truth[0].numpy()),
        "residual": float(residual),
        "samples": len(x),
        "evaluations": timed.calls // len(x),
        "seconds": seconds / len(x),
        "overhead": seconds / timed.seconds - 1,
    }


def measure(arguments: argparse.Namespace, kept: dict[str, Any]) -> Iterator[None]:
    """Fill `kept` picture by picture; yields after each problem."""
    prior = load_prior(arguments.model, dtype=DTYPES[arguments.dtype])
    pictures = sorted(arguments.pictures.glob("*.jpg"))
    if not pictures:
        raise SystemExit(f"{arguments.pictures}: no .jpg in it")
    for index, path in enumerate(pictures[: arguments.count]):
        truth = crop(path, arguments.crop)
        for name in arguments.problems:
            case = PROBLEMS[name][2](truth, index)
            target = truth[..., : case.start.shape[-2], : case.start.shape[-1]]
            where = f"{arguments.crop}/{name}/{path.stem}"
            kept.setdefault(
                f"{where}/classical/0",
                {
                    "psnr": psnr(case.classical[0].numpy(), target[0].numpy()),
                    "ssim": ssim(case.classical[0].numpy(), target[0].numpy()),
                },
            )
            for cls in map(find_method, arguments.methods):
                if misfit(cls, case.problem) is not None:
                    continue
                kept_samples = SAMPLES if cls.name in AVERAGED.get(name, ()) else 1
                for setting, method, samples in settings(cls, case, kept_samples):
                    key = f"{where}/{cls.name}/{setting}"
                    if key not in kept and setting in arguments.settings:
                        row = run(method, case, prior, target, samples)
                        kept[key] = {**row, "dtype": arguments.dtype}
                        print(key, json.dumps(kept[key]), flush=True)
            yield


def crop(path: Path, side: int) -> Tensor:
    """The centre of a picture, [1, 3, side, side]."""
    pixels = torch.from_numpy(read_picture(path).pixels)[None]
    top, left = ((n - side) // 2 for n in pixels.shape[-2:])
    return pixels[..., top : top + side, left : left + side].contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=list(methods()))
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    known = [*map(str, BUDGETS), "published"]
    parser.add_argument("--settings", nargs="+", choices=known, default=known)
    arguments = parser.parse_args()
    sha = find_model(arguments.model).card.sha256
    store = FOLDER / "methods.json"
    stored = json.loads(store.read_text()) if store.exists() else {}
    kept = stored["rows"] if stored.get("sha256") == sha else {}
    for _ in measure(arguments, kept):
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(row)}" for key, row in kept.items())
        with atomic_path(store) as temporary:
            temporary.write_text(f'{{"sha256": "{sha}", "rows": {{\n{lines}\n}}}}\n')
    titles = {name: (title, classical) for name, (title, classical, _) in PROBLEMS.items()}
    text = page(kept, arguments.model, sha, titles)
    (FOLDER / "methods.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
