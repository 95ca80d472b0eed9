"""Make the sample pictures beside this file, from photographs that scikit-image ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.ndimage
import skimage.data
from PIL import Image, ImageDraw

from operators import motion_kernel

HERE = Path(__file__).parent
SCRATCHES = 9


def main() -> None:
    """Write every sample and its truth."""
    scratched()
    small()
    noisy()
    grey()
    blurred()


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


def grey() -> None:
    """The cat without colour, and strokes that say where it is brown and where green."""
    photo = Image.fromarray(skimage.data.chelsea()).crop((60, 30, 316, 206))
    photo.convert("L").save(HERE / "grey.png", optimize=True)
    strokes = Image.new("RGBA", photo.size)
    draw = ImageDraw.Draw(strokes)
    for colour, *points in (
        ("#b08878", (20, 150), (70, 160)),
        ("#a87860", (60, 16), (110, 30), (150, 20)),
        ("#b89088", (190, 60), (230, 100)),
        ("#a8a860", (88, 74), (92, 92)),
        ("#a8a860", (136, 70), (134, 88)),
        ("#a8a860", (246, 90), (246, 102)),
        ("#b89888", (64, 100), (120, 122)),
    ):
        draw.line(points, fill=colour, width=9)
    strokes.save(HERE / "strokes.png", optimize=True)


def blurred() -> None:
    """The coffee moved by 15 pixels at 30 degrees, with noise of 0.01, and the truth."""
    pixels = np.asarray(Image.fromarray(skimage.data.coffee()).resize((384, 256))) / 255
    kernel = motion_kernel(15, np.pi / 6).numpy()
    moved = np.stack([scipy.ndimage.convolve(pixels[..., c], kernel) for c in range(3)], -1)
    window = (slice(40, 200), slice(120, 344))
    noisy_pixels = moved[window] + np.random.default_rng(6).normal(0, 0.01, (160, 224, 3))
    for name, values in (("blurred", noisy_pixels), ("blurred_truth", pixels[window])):
        levels = np.rint(255 * values).clip(0, 255).astype(np.uint8)
        Image.fromarray(levels).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
