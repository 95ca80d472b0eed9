"""Restore two sample pictures with the bundled model and show them on one sheet.

A scratched photograph is inpainted and a small one is enlarged four times; PSNR and SSIM against
the truth are printed beside those of the classical method. The pictures land in demo_output/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from restore.cli.console import progress_bar
from restore.io.levels import as_written, to_integer
from restore.io.picture import read_picture
from restore.prior.models import data_folder
from restore.tasks.baselines import bicubic, biharmonic
from restore.tasks.inpaint import Inpaint
from restore.tasks.photo import Restorer
from restore.tasks.settings import Settings
from restore.tasks.super_resolve import SuperResolve
from restore.tasks.task import as_array, pixels_of

SAMPLES = data_folder() / "samples"
COLUMNS = ("before", "classical", "ours", "truth")
LABEL = 18


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="the quick presets")
    parser.add_argument("-o", "--output", type=Path, default=Path("demo_output"))
    arguments = parser.parse_args()
    preset = "fast" if arguments.short else "default"
    rows = [
        inpainted(arguments.output, preset),
        enlarged(arguments.output, preset),
    ]
    sheet = arguments.output / "sheet.png"
    contact_sheet(rows).save(sheet)
    print(f"The pictures are in {arguments.output}/, side by side in {sheet}")


def inpainted(folder: Path, preset: str) -> list[np.ndarray]:
    """Inpaint the scratched photograph; before, classical, ours, truth."""
    source, mask = SAMPLES / "scratched.png", SAMPLES / "scratched_mask.png"
    truth = SAMPLES / "scratched_truth.png"
    settings = Settings(mask=mask, reference=truth, preset=preset)
    restored = run(Restorer(Inpaint(), settings), source, folder / "inpainted.png")
    picture = pixels_of(read_picture(source), "cpu")
    hole = pixels_of(read_picture(mask), "cpu")[0, 0] > 0.5
    return [pixels(source), as_array(biharmonic(picture, hole)[0]), restored, pixels(truth)]


def enlarged(folder: Path, preset: str) -> list[np.ndarray]:
    """Enlarge the small photograph; before, classical, ours, truth."""
    source, truth = SAMPLES / "small.png", SAMPLES / "small_truth.png"
    settings = Settings(scale=4, reference=truth, preset=preset)
    restored = run(Restorer(SuperResolve(), settings), source, folder / "enlarged.png")
    small = pixels_of(read_picture(source), "cpu")
    classical = bicubic(small, restored.shape[1:])
    blocks = small[0].repeat_interleave(4, 1).repeat_interleave(4, 2)
    return [as_array(blocks), as_array(classical[0]), restored, pixels(truth)]


def run(restorer: Restorer, source: Path, output: Path) -> np.ndarray:
    """Restore one file and print its scores."""
    with progress_bar(visible=True) as progress:
        bar = progress.add_task(restorer.task.name, total=None, note="")
        result = restorer.restore(
            source, output, suffix="",
            on_step=lambda step, total, _: progress.update(bar, completed=step, total=total),
        )  # fmt: skip
    record = result.record
    print(f"{restorer.task.name}: {source.name} -> {output} in {record['seconds']:.0f} s")
    for name, scores in (
        ("ours", record["metrics"]),
        (record["baseline"]["name"], record["baseline"]),
    ):
        print(f"  {name + ':':12}PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}")
    return pixels(output)


def pixels(path: Path) -> np.ndarray:
    """[C, H, W] in [0, 1]."""
    return read_picture(path).pixels


def contact_sheet(rows: list[list[np.ndarray]]) -> Image.Image:
    """The pictures in a grid, named above."""
    height, width = rows[0][0].shape[1:]
    sheet = Image.new("RGB", (width * len(COLUMNS), (height + LABEL) * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        for j, (name, picture) in enumerate(zip(COLUMNS, row, strict=True)):
            draw.text((j * width + 4, i * (height + LABEL) + 3), name, fill="black")
            levels = to_integer(as_written(picture, 8), 8).transpose(1, 2, 0)
            sheet.paste(Image.fromarray(levels), (j * width, i * (height + LABEL) + LABEL))
    return sheet


if __name__ == "__main__":
    main()
