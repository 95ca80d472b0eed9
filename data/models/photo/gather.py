"""Gather the training pictures of `photo` from clones of two public repositories.

    git clone https://github.com/BIDS/BSDS500
    git clone https://github.com/EliSchwartz/imagenet-sample-images
    python data/models/photo/gather.py BSDS500 imagenet-sample-images pictures/
    sha256sum -c data/models/photo/training.sha256     # in pictures/
    restore train pictures/ -o model/ --recipe data/models/photo/recipe.json

BSDS500 `train` and `test` whole, and never `val`, which is the test set. Of the ImageNet samples
those of a class whose number does not end in 7, in colour, the long side at most 1024 pixels.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

LONGEST = 1024


def is_colour(image: Image.Image) -> bool:
    """Whether the channels of a picture differ."""
    if image.mode != "RGB":
        return False
    pixels = np.asarray(image.resize((64, 64)), int)
    return bool(np.abs(pixels - pixels[..., :1]).max() >= 4)


def main(bsds: Path, imagenet: Path, output: Path) -> None:
    """Fill the output folder."""
    output.mkdir(parents=True)
    for part in ("train", "test"):
        for path in sorted((bsds / "BSDS500" / "data" / "images" / part).glob("*.jpg")):
            shutil.copy(path, output / f"bsds_{path.name}")
    for path in sorted(imagenet.glob("*.JPEG")):
        if path.name.split("_")[0].endswith("7"):
            continue
        with Image.open(path) as image:
            if not is_colour(image):
                continue
            scale = LONGEST / max(image.size)
            if scale >= 1:
                shutil.copy(path, output / f"in_{path.stem}.jpg")
                continue
            size = (round(image.width * scale), round(image.height * scale))
            small = image.resize(size, Image.Resampling.LANCZOS)
            small.save(output / f"in_{path.stem}.png", compress_level=1)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
