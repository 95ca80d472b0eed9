"""Make the sample pictures beside this file, from photographs that scikit-image ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

HERE = Path(__file__).parent
SCRATCHES = 9


def main() -> None:
    """Write every sample and its truth."""
    scratched()
    small()
    noisy()


def scratched() -> None:
    """A cat with thin scratches, as of a folded and worn print, and their mask."""
    truth = Image.fromarray(skimage.data.chelsea()).crop((30, 20, 414, 276))
    rng = np.random.default_rng(4)
    mask = Image.new("L", truth.size, 0)
    draw = ImageDraw.Draw(mask)
    width, height = truth.size
    for _ in range(SCRATCHES):
        points = [(rng.uniform(0, width), rng.uniform(0, height))]
        heading = rng.uniform(0, 2 * np.pi)
        for _ in range(12):
            heading += rng.normal(0, 0.25)
            x, y = points[-1]
            points.append((x + 24 * np.cos(heading), y + 24 * np.sin(heading)))
        draw.line(points, fill=255, width=int(rng.integers(2, 6)), joint="curve")
    damaged = Image.composite(Image.new("RGB", truth.size, (235, 230, 220)), truth, mask)
    damaged.save(HERE / "scratched.png", optimize=True)
    mask.save(HERE / "scratched_mask.png", optimize=True)
    truth.save(HERE / "scratched_truth.png", optimize=True)


def small() -> None:
    """A cup of coffee, shrunk four times by Pillow's bicubic."""
    truth = Image.fromarray(skimage.data.coffee()).resize((384, 256), Image.Resampling.LANCZOS)
    truth.resize((96, 64), Image.Resampling.BICUBIC).save(HERE / "small.png", optimize=True)
    truth.save(HERE / "small_truth.png", optimize=True)


def noisy() -> None:
    """A portrait with Gaussian noise of standard deviation 25 of 255."""
    truth = Image.fromarray(skimage.data.astronaut()).crop((96, 0, 352, 256))
    rng = np.random.default_rng(5)
    pixels = np.asarray(truth) + rng.normal(0, 25, (256, 256, 3))
    noisy_pixels = np.rint(pixels).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy_pixels).save(HERE / "noisy.png", optimize=True)
    truth.save(HERE / "noisy_truth.png", optimize=True)


if __name__ == "__main__":
    main()
