"""Denoising by a model beside colour BM3D, on centre crops that were never trained on.

    python -m benchmarks.denoising PICTURES                     # the model; writes the page
    python -m benchmarks.denoising PICTURES --bm3d              # BM3D, once: package bm3d, which is
                                                                # for non-commercial use only
    python -m benchmarks.denoising PICTURES --card              # also into the model's card

Noise is not clipped; its seed is the picture's number and the level. Above σ = 0.5 the squared
error is given relative to that of predicting the picture's mean colour.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restore.io.picture import read_picture
from restore.prior.models import CARD, find_model, load_prior

CROP = 256
LEVELS = (5, 15, 25, 50, 100)
LARGE = (0.5, 1.0, 3.0)
HERE = Path(__file__).parents[1] / "docs" / "benchmarks"
STORED = HERE / "bm3d.json"
PAGE = HERE / "denoising.md"


def crops(folder: Path) -> list[tuple[str, np.ndarray]]:
    """Centre crops [3, 256, 256] in [0, 1], by name."""
    found = []
    for path in sorted(folder.glob("*.jpg")):
        pixels = read_picture(path).pixels
        top, left = (pixels.shape[1] - CROP) // 2, (pixels.shape[2] - CROP) // 2
        found.append((path.stem, pixels[:, top : top + CROP, left : left + CROP]))
    return found


def noise(index: int, level: float) -> np.ndarray:
    """Standard normal [3, 256, 256] of a picture and a level."""
    rng = np.random.default_rng([index, round(1000 * level)])
    return rng.standard_normal((3, CROP, CROP), dtype=np.float32)


def psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    return -10 * math.log10(float(np.mean((np.clip(estimate, 0, 1) - truth) ** 2)))


def run_bm3d(pictures: list[tuple[str, np.ndarray]]) -> None:
    """Add what is missing to the stored results; can be interrupted."""
    import bm3d

    results: dict[str, dict[str, float]] = json.loads(STORED.read_text()) if STORED.exists() else {}
    for level in (25, 15, 50, 5, 100):
        row = results.setdefault(str(level), {})
        for index, (name, truth) in enumerate(pictures):
            if name in row:
                continue
            noisy = truth + level / 255 * noise(index, level / 255)
            denoised = bm3d.bm3d_rgb(noisy.transpose(1, 2, 0).astype(float), level / 255)
            row[name] = round(psnr(denoised.transpose(2, 0, 1), truth), 3)
            STORED.write_text(json.dumps(results, indent=1) + "\n")
            print(level, name, row[name], flush=True)


def run_model(
    name: str, pictures: list[tuple[str, np.ndarray]]
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """PSNR of each picture by level in 255ths, and relative squared errors at large σ."""
    prior = load_prior(name)

    def denoise(index: int, truth: np.ndarray, sigma: float) -> np.ndarray:
        noisy = torch.from_numpy(truth + sigma * noise(index, sigma))[None]
        return prior(noisy, sigma)[0].numpy()

    with torch.no_grad():
        scores = {
            str(level): [
                psnr(denoise(i, truth, level / 255), truth) for i, (_, truth) in enumerate(pictures)
            ]
            for level in LEVELS
        }
        relative = {}
        for sigma in LARGE:
            errors = [
                np.mean((denoise(i, truth, sigma) - truth) ** 2)
                for i, (_, truth) in enumerate(pictures)
            ]
            spread = [truth.var((1, 2)).mean() for _, truth in pictures]
            relative[f"{sigma:g}"] = round(float(np.mean(errors) / np.mean(spread)), 4)
    return scores, relative


def page(
    name: str, scores: dict[str, list[float]], relative: dict[str, float], names: list[str]
) -> tuple[str, dict[str, dict[str, float]]]:
    """The page, and the rows of the card."""
    stored: dict[str, dict[str, float]] = json.loads(STORED.read_text()) if STORED.exists() else {}
    rows: dict[str, dict[str, float]] = {}
    lines = ["| σ of 255 | model | BM3D | difference |", "|---|---|---|---|"]
    for level, values in scores.items():
        rows[level] = {"model": round(float(np.mean(values)), 2)}
        reference = [stored[level][n] for n in names if n in stored.get(level, {})]
        if len(reference) < len(names):
            lines.append(f"| {level} | {np.mean(values):.2f} | – | – |")
            continue
        difference = np.subtract(values, reference)
        error = difference.std(ddof=1) / len(difference) ** 0.5
        rows[level]["bm3d"] = round(float(np.mean(reference)), 2)
        lines.append(
            f"| {level} | {np.mean(values):.2f} | {np.mean(reference):.2f} "
            f"| {difference.mean():+.2f} ± {error:.2f} |"
        )
    large = ", ".join(f"{value:.3f} at σ = {sigma}" for sigma, value in relative.items())
    text = f"""# Denoising

`{name}` on the centre {CROP}×{CROP} of {len(names)} pictures of BSDS500 `val`, none of them used in
training; PSNR in dB, means over pictures, differences with their standard error. BM3D (the package
`bm3d` 4.0.3, for non-commercial use) was run once; its results are in `bm3d.json`.

{chr(10).join(lines)}

Squared error relative to predicting each picture's mean colour: {large}.

Made by `python -m benchmarks.denoising PICTURES`.
"""
    return text, rows


def main() -> None:
    """Run what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--bm3d", action="store_true")
    parser.add_argument("--card", action="store_true", help="write the figures into the card")
    parser.add_argument("--print", action="store_true", help="do not write the page")
    arguments = parser.parse_args()
    pictures = crops(arguments.pictures)
    if arguments.bm3d:
        run_bm3d(pictures)
        return
    scores, relative = run_model(arguments.model, pictures)
    text, rows = page(arguments.model, scores, relative, [name for name, _ in pictures])
    print(text)
    if not arguments.print:
        PAGE.write_text(text)
    if arguments.card:
        path = find_model(arguments.model).folder / CARD
        card: dict[str, Any] = json.loads(path.read_text())
        card["denoising"], card["large_noise"] = rows, relative
        path.write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
