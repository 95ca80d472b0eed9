"""JPEG at several qualities: PSNR, SSIM and PSNR-B of each way of `dejpeg` and of the decoded file.

    python -m benchmarks.dejpeg PICTURES [--qualities 5 10 20 40] [--crop 128] [--count 6]

Centre crops of pictures that were never trained on (whole pictures without --crop), written by
Pillow with 4:2:0. What is in docs/benchmarks/dejpeg.json is not run again, so that a run goes on
where one was stopped; docs/benchmarks/dejpeg.md shows all that is there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from restore.io.jpeg_file import write_jpeg
from restore.io.levels import as_written, to_integer
from restore.io.picture import read_picture
from restore.metrics import psnr, psnrb, ssim
from restore.prior.denoiser import Denoiser
from restore.prior.models import find_model, load_prior
from restore.solve import solve
from restore.tasks.dejpeg import Dejpeg
from restore.tasks.settings import Settings
from restore.tasks.task import Measurement

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
STORE, PAGE = FOLDER / "dejpeg.json", FOLDER / "dejpeg.md"
TASK = Dejpeg()
MEASURES = ("psnr", "ssim", "psnrb")

Pixels = NDArray[np.float32]
Scores = dict[str, float]


class Way(NamedTuple):
    """A method, the parameters that it has instead of the verb's, the samples averaged."""

    title: str
    method: str
    parameters: dict[str, Any]
    average: int = 1


WAYS = {
    "fast": Way("`--fast`: `pnp-interval`, 2 steps", "pnp-interval", {"steps": 2}),
    "default": Way("the default: `pnp-interval`, 4 steps", "pnp-interval", {"steps": 4}),
    "best": Way("`--best`: `ddrm-jpeg`, 10 steps, mean of 8", "ddrm-jpeg", {"steps": 10}, 8),
    "published": Way(
        "`ddrm-jpeg` as published: 20 steps from t = 300, mean of 8",
        "ddrm-jpeg",
        {"steps": 20, "timesteps": 300},
        8,
    ),
    "interval": Way("`ddrm-interval`, 10 steps, mean of 8", "ddrm-interval", {"steps": 10}, 8),
}
DEFAULT_WAYS = ("fast", "default", "best", "published")


def score(picture: Pixels, truth: Pixels) -> Scores:
    return {
        "psnr": psnr(picture, truth),
        "ssim": ssim(picture, truth) or float("nan"),
        "psnrb": psnrb(picture, truth),
    }


def restored(way: Way, measurement: Measurement, prior: Denoiser) -> Pixels:
    parameters: dict[str, Any] = TASK.method_parameters(way.method, measurement, prior)
    if way.method == "ddrm-jpeg":
        parameters.pop("sigma_max")
    else:
        parameters.pop("timesteps")
    x = solve(
        measurement.problem,
        prior,
        way.method,
        samples=way.average,
        start=measurement.start,
        **parameters | way.parameters,
    )[:, 0]
    return as_written(measurement.finish(x).mean(0).numpy(), 8)


def truth_of(path: Path, crop: int | None) -> Pixels:
    pixels = read_picture(path).pixels
    if crop is None:
        return pixels
    top, left = ((size - crop) // 2 for size in pixels.shape[1:])
    return np.ascontiguousarray(pixels[:, top : top + crop, left : left + crop])


def run(arguments: argparse.Namespace) -> None:
    store: dict[str, Scores] = json.loads(STORE.read_text()) if STORE.exists() else {}
    prior = load_prior(arguments.model)
    sha256 = find_model(arguments.model).card.sha256[:8]
    size = f"{arguments.crop}x{arguments.crop}" if arguments.crop else "whole"
    paths = sorted(arguments.pictures.glob("*.jpg"))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "picture.jpg"
        for quality in arguments.qualities:
            for path in paths[:: max(1, len(paths) // arguments.count)][: arguments.count]:
                truth = truth_of(path, arguments.crop)
                write_jpeg(file, to_integer(np.moveaxis(truth, 0, -1), 8), quality)
                picture = read_picture(file)
                measurement = TASK.measure(picture, Settings(), torch.device("cpu"))
                for name in ("decoded", *arguments.ways):
                    model = "-" if name == "decoded" else sha256
                    key = f"{size}/{quality}/{path.stem}/{name}/{model}"
                    if key in store:
                        continue
                    decoded = name == "decoded"
                    result = picture.pixels if decoded else restored(WAYS[name], measurement, prior)
                    store[key] = score(result, truth)
                    STORE.write_text(json.dumps(store, indent=1, sort_keys=True) + "\n")
                    print(key, store[key], flush=True)


def page(store: dict[str, Scores]) -> str:
    """A table for each size and quality: means over the pictures, gains with standard errors."""
    rows = [(key.split("/"), scores) for key, scores in store.items()]
    tables = []
    for size, quality in sorted({(key[0], int(key[1])) for key, _ in rows}):
        here = [row for row in rows if row[0][:2] == [size, str(quality)]]
        decoded = {key[2]: scores for key, scores in here if key[3] == "decoded"}
        lines = [
            f"## Quality {quality}, {size}",
            "",
            f"The decoded files ({len(decoded)} pictures): "
            + ", ".join(f"{mean(decoded.values(), m):.{digits(m)}f} {m}" for m in MEASURES)
            + ".",
            "",
            "| way | evaluations | pictures | PSNR, dB | SSIM | PSNR-B, dB | model |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, model in sorted({(key[3], key[4]) for key, _ in here if key[3] != "decoded"}):
            way = WAYS[name]
            found = {key[2]: scores for key, scores in here if key[3:] == [name, model]}
            gains = [gain(found, decoded, measure) for measure in MEASURES]
            steps = way.average * way.parameters["steps"]
            lines.append(
                f"| {way.title} | {steps} | {len(found)} | {' | '.join(gains)} | {model} |"
            )
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def digits(measure: str) -> int:
    return 4 if measure == "ssim" else 2


def mean(scores: Any, measure: str) -> float:
    return float(np.mean([one[measure] for one in scores]))


def gain(found: dict[str, Scores], decoded: dict[str, Scores], measure: str) -> str:
    values = np.array([found[name][measure] - decoded[name][measure] for name in found])
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    n = digits(measure)
    return f"{values.mean():+.{n}f} ± {error:.{n}f}"


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--qualities", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--crop", type=int)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(DEFAULT_WAYS))
    run(parser.parse_args())
    PAGE.write_text(
        f"""# JPEG artefacts

Pictures evenly selected from those of BSDS500 `val` at hand, written as JPEG with 4:2:0 and
restored by `dejpeg`: gains over the decoded file, means over the pictures with their standard
errors. PSNR-B accounts for visible block borders (Yim and Bovik 2011); SSIM uses the Gaussian
window of 11 taps. The model is named by the start of its hash. Evaluations are those of the
network for one picture.

Made by `python -m benchmarks.dejpeg PICTURES --crop 256` and its options; what is missing from a
table has not been run.

{page(json.loads(STORE.read_text()))}
"""
    )


if __name__ == "__main__":
    main()
