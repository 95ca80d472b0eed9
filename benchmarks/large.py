"""Large pictures: what tiles change at one megapixel, and memory and time at twelve.

    python benchmarks/large.py tiles PHOTOS       # mean difference with and without tiles
    python benchmarks/large.py memory PHOTOS      # peak memory and time of each verb at 4000x3000
    python benchmarks/large.py parts PHOTOS       # the same apart from the network, first and step

PHOTOS is a folder of at least twelve photographs, of which a mosaic is made; after it may come the
verbs that are measured (`dejpeg`), otherwise all are. Each run is a process
of its own; its memory is the largest resident size (`ru_maxrss`). Its processor seconds are divided
by those of its tiles, the time of one of which is measured in the same minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

STEPS = {"inpaint": 3, "super-resolve": 3, "dejpeg": 1, "deblur": 3}
TILE_AT_ONE_MEGAPIXEL = 256
TILES = 14.1  # megapixels of a picture of 4000x3000, the overlaps counted twice
NO_NETWORK = ["--model", "large:mean"]  # found beside this file


def mean(x: Tensor, sigma: float | Tensor) -> Tensor:  # noqa: ARG001
    """What stands for the network where all else is measured."""
    smooth = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    # Near enough to x for the coefficients of a JPEG to fit into their intervals.
    return x.lerp(smooth, 0.1)


def mosaic(photos: Path, width: int, height: int) -> Image.Image:
    """Twelve photographs, each enlarged to a square, side by side."""
    whole = Image.new("RGB", (width, height))
    side = width // 4
    files = sorted(f for f in photos.iterdir() if f.suffix.lower() in (".jpg", ".png"))
    for number, file in enumerate(files[:12]):
        photo = Image.open(file).convert("RGB")
        edge = min(photo.size)
        photo = photo.crop((0, 0, edge, edge)).resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(photo, (number % 4 * side, number // 4 * side))
    return whole


def more(folder: Path) -> dict[str, list[str]]:
    """Further commands for the pictures that `inputs` wrote, with the verb."""
    picture = str(folder / "blurred.png")
    kernel = Image.fromarray(np.full((9, 9), 255, np.uint8))
    kernel.putpixel((0, 0), 0)
    kernel.save(folder / "kernel.png")
    return {
        "deblur, motion": ["deblur", picture, "--kernel", "motion:15,30"],
        "deblur, file": ["deblur", picture, "--kernel", str(folder / "kernel.png")],
        "dejpeg, two samples": ["dejpeg", str(folder / "photo.jpg"), "--samples", "2"],
    }


def inputs(photos: Path, folder: Path, width: int, height: int) -> dict[str, list[str]]:
    """Write the measured pictures; the command of each verb."""
    whole = mosaic(photos, width, height)
    whole.save(folder / "photo.png")
    whole.save(folder / "photo.jpg", quality=30)
    whole.resize((width // 4, height // 4), Image.Resampling.BICUBIC).save(folder / "small.png")
    # By a library, and without the margin that it had to invent.
    blurred = gaussian_filter(np.asarray(whole, np.float32), (1.5, 1.5, 0))[8:-8, 8:-8]
    Image.fromarray(np.rint(blurred).astype(np.uint8)).save(folder / "blurred.png")
    hole = np.zeros((height, width), np.uint8)
    for top, left, rows, columns in ((0.2, 0.2, 60, 200), (0.8, 0.1, 10, 600), (0.5, 0.7, 40, 40)):
        row, column = int(top * height), int(left * width)
        hole[row : row + rows, column : column + columns] = 255
    Image.fromarray(hole).save(folder / "mask.png")
    place = str(folder) + os.sep
    return {
        "inpaint": [f"{place}photo.png", "--mask", f"{place}mask.png"],
        "super-resolve": [f"{place}small.png", "--scale", "4"],
        "dejpeg": [f"{place}photo.jpg"],
        "deblur": [f"{place}blurred.png", "--kernel", "gaussian:1.5"],
    }


def run(verb: str, arguments: list[str], output: Path, steps: int | None = None) -> dict[str, Any]:
    """Run a verb in a process of its own: its record with the seconds and the peak memory."""
    restore = str(Path(sys.executable).with_name("restore"))
    count = ["--steps", str(steps or STEPS[verb])]
    command = [restore, verb, *arguments, *count, "-o", str(output), "--json", "--overwrite"]
    began = time.perf_counter()
    beside = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=beside)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    record: dict[str, Any] = json.loads(printed)
    return record | {
        "wall": time.perf_counter() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
    }


def pixels(path: Path) -> NDArray[np.float64]:
    """A picture as written, 0 to 255."""
    return np.asarray(Image.open(path)).astype(float)


def compare_tiles(photos: Path, folder: Path, verbs: list[str]) -> None:
    """Each verb with and without tiles at 1200x900."""
    for verb, arguments in inputs(photos, folder, 1200, 900).items():
        if verbs and verb not in verbs:
            continue
        whole, tiled = folder / f"{verb}_whole.png", folder / f"{verb}_tiled.png"
        run(verb, arguments, whole)
        run(verb, [*arguments, "--tile", str(TILE_AT_ONE_MEGAPIXEL)], tiled)
        difference = np.abs(pixels(whole) - pixels(tiled))
        print(
            f"| {verb} | {difference.mean():.5f} | {np.quantile(difference, 0.999):.0f} "
            f"| {difference.max():.0f} |",
            flush=True,
        )


def tile_seconds() -> float:
    """Processor seconds of one megapixel through the network, in a tile of 768."""
    from restore import load_prior

    prior, tile = load_prior(), torch.rand(1, 3, 720, 656)
    prior(tile, 0.1)
    began = time.process_time()
    prior(tile, 0.1)
    return (time.process_time() - began) / (tile.shape[-1] * tile.shape[-2] / 1e6)


def commands(photos: Path, folder: Path) -> dict[str, list[str]]:
    """Each verb at 4000x3000."""
    usual = inputs(photos, folder, 4000, 3000)
    return {verb: [verb, *arguments] for verb, arguments in usual.items()} | more(folder)


def chosen(photos: Path, folder: Path, verbs: list[str]) -> dict[str, list[str]]:
    """The commands of some verbs, or of all without any.

    Their pictures are made in a process of its own: the largest size of one that is started
    counts what the one that starts it had.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        made = pool.submit(commands, photos, folder).result()
    return {name: command for name, command in made.items() if not verbs or command[0] in verbs}


def measure_memory(photos: Path, folder: Path, verbs: list[str]) -> None:
    """Each verb with the network."""
    for name, (verb, *arguments) in chosen(photos, folder, verbs).items():
        record = run(verb, arguments, folder / "result.png")
        tiles = record["evaluations"] * TILES * tile_seconds()
        print(
            f"| {name} | {record['megabytes']:.0f} | {record['wall']:.0f} | {record['cpu']:.0f} "
            f"| {record['evaluations']} | {tiles:.0f} | {record['cpu'] / tiles:.2f} |",
            flush=True,
        )


def measure_parts(photos: Path, folder: Path, verbs: list[str]) -> None:
    """Each verb without the network: one step, each further one, and the peak memory."""
    for name, (verb, *arguments) in chosen(photos, folder, verbs).items():
        one, two = (run(verb, [*arguments, *NO_NETWORK], folder / "r.png", n) for n in (1, 2))
        print(
            f"| {name} | {one['cpu']:.1f} | {two['cpu'] - one['cpu']:.1f} "
            f"| {two['megabytes']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    mode, folder_of_photos = sys.argv[1], Path(sys.argv[2])
    measured = {"tiles": compare_tiles, "memory": measure_memory, "parts": measure_parts}[mode]
    with tempfile.TemporaryDirectory() as temporary:
        measured(folder_of_photos, Path(temporary), sys.argv[3:])
