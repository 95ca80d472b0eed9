"""Verbs with the network in float32 and in half precision: docs/benchmarks/precision.md.

    python -m benchmarks.precision PICTURES [--count 8] [--dtypes fp32 bf16]

Whole commands on centre crops of 256×256, each picture in one precision after the other: PSNR, and
the seconds of the runs beside those of the first precision.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

CROP = 256
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "precision.md"
VERBS: dict[str, list[str]] = {
    "inpaint half of the pixels": ["inpaint", "--mask", "mask.png"],
    "super-resolve 4×": ["super-resolve", "--scale", "4"],
    "denoise 0.004 (1 of 255)": ["denoise", "--sigma", "0.004"],
    "denoise 0.1": ["denoise", "--sigma", "0.1"],
    "deblur a Gaussian of 2 pixels": ["deblur", "--kernel", "gaussian:2"],
    "dejpeg quality 20": ["dejpeg", "--quality", "20"],
    "super-resolve 4×, a sample of DDRM": ["super-resolve", "--scale", "4", "--samples", "1"],
}


def run(arguments: list[str], picture: str, dtype: str, folder: Path) -> dict[str, Any]:
    """The record of one command."""
    verb, *options = arguments
    command = [
        *(
            str(Path(sys.executable).with_name("restore")),
            verb,
            picture,
            *options,
            "--dtype",
            dtype,
        ),
        *("--simulate", "--json", "--overwrite", "-o", "out.tif", "--seed", "0"),
    ]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"])
    arguments = parser.parse_args()
    dtypes = arguments.dtypes
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        holes = np.random.default_rng(0).random((CROP, CROP)) < 0.5
        Image.fromarray(holes).save(folder / "mask.png")
        pictures = sorted(arguments.pictures.glob("*.jpg"))[: arguments.count]
        for path in pictures:
            with Image.open(path) as image:
                left, top = ((side - CROP) // 2 for side in image.size)
                image.crop((left, top, left + CROP, top + CROP)).save(folder / f"{path.stem}.png")
        for title, verb in VERBS.items():
            records = [
                [run(verb, f"{path.stem}.png", dtype, folder) for dtype in dtypes]
                for path in pictures
            ]
            scores = [statistics.fmean(r[i]["metrics"]["psnr"] for r in records)
                      for i in range(len(dtypes))]  # fmt: skip
            worst = max(abs(r[0]["metrics"]["psnr"] - one["metrics"]["psnr"])
                        for r in records for one in r[1:])  # fmt: skip
            ratios = [statistics.median(r[i]["seconds"] / r[0]["seconds"] for r in records)
                      for i in range(1, len(dtypes))]  # fmt: skip
            cells = [*(f"{s:.3f}" for s in scores), f"{worst:.3f}", *(f"{r:.2f}" for r in ratios)]
            lines.append(f"| {title} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    columns = [
        *(f"{dtype}, dB" for dtype in dtypes),
        "largest difference of a picture, dB",
        *(f"time of {dtype}" for dtype in dtypes[1:]),
    ]
    PAGE.write_text(
        f"""# Precision of the network

Made by `python -m benchmarks.precision PICTURES` on {len(pictures)} crops of 256×256 of BSDS500
`val` ({torch.cpu.get_capabilities()["cpu_name"]}): mean PSNR of whole commands that differ only in
`--dtype`, and their time relative to {dtypes[0]} (median over the pictures; each is the
first of its process, so that reading, writing and what is set up once are in it, most of the time
of `denoise`, which takes one evaluation).

| verb | {" | ".join(columns)} |
|---{"|---" * len(columns)}|
"""
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
