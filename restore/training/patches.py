"""Training patches from a folder of pictures, in an order that depends on the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from restore.errors import InputError, counted
from restore.io.files import expand_inputs
from restore.io.levels import to_integer
from restore.io.picture import read_picture
from restore.training.recipe import Recipe

CACHE_BYTES = 4 * 2**30
HELD_OUT_EVERY = 40
HELD_OUT_CROP = 192
# Held-out pictures that are looked at.
_VALIDATED = 16


class Patches:
    """Random patches of the pictures under a folder.

    Patch j of step t is a pure function of (seed, t, j): a run that was interrupted goes on with
    exactly the patches that it would have seen. One picture in forty is held out for validation, of
    a folder without so many the last that can be read.

    Args:
        folder: pictures of any kind, at any depth; those smaller than a patch are left out, those
            with transparent parts, and those that cannot be read.
        recipe: patch size, pyramid, channels, seed.
        on_unreadable: called with a line for each file that cannot be read, when that is found.

    Raises:
        InputError: if the folder holds no picture that is large enough.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, on_unreadable: Callable[[str], None] = lambda _: None
    ) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: not a folder; expected a folder of pictures")
        self._folder, self._recipe, self._on_unreadable = folder, recipe, on_unreadable
        self._mode = "L" if recipe.channels == 1 else "RGB"
        self.unreadable: set[Path] = set()
        self._cache: dict[Path, NDArray[np.uint8]] = {}
        self._cached = 0
        names = [file.path for file in expand_inputs([folder], recursive=True)]
        large = [p for p in names if self._smaller_side(p) >= recipe.patch]
        self.held_out = large[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
        if not large:
            raise InputError(
                f"{folder}: found {counted(len(names), 'picture')}, none of {recipe.patch} pixels "
                "or more; expected a folder of pictures to learn from"
            )
        if all(self._picture(p) is None for p in self.held_out[:_VALIDATED]):
            last = next((p for p in reversed(large) if self._picture(p) is not None), large[-1])
            self.held_out = [last]
        held_out = set(self.held_out)
        self.training = [p for p in large if p not in held_out] or large
        # Names and sizes of all: a run goes on with the pictures that it began with.
        told = [(p.relative_to(folder).as_posix(), p.stat().st_size) for p in large]
        self.fingerprint = {"count": len(large), "sha256": sha256(repr(told).encode()).hexdigest()}

    def batch(self, step: int) -> Tensor:
        """The patches of one step: [B, C, patch, patch], channels last in memory."""
        size = self._recipe.batch_size
        generators = [np.random.default_rng([self._recipe.seed, step, j]) for j in range(size)]
        patches = self._values(np.stack([self._patch(g) for g in generators]))
        if not self._recipe.phase:
            return patches
        return patches * torch.stack([_cosine(self._recipe.patch, g) for g in generators])

    def validation(self) -> list[Tensor]:
        """Centre crops [1, C, h, w] of the held-out pictures."""
        crops = []
        for path in self.held_out[:_VALIDATED]:
            pixels = self._picture(path)
            if pixels is None:
                continue
            height, width = (min(n, HELD_OUT_CROP) for n in pixels.shape[:2])
            top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
            crops.append(self._values(pixels[None, top : top + height, left : left + width]))
        return crops

    def _values(self, pixels: NDArray[np.uint8]) -> Tensor:
        """uint8 [B, h, w, C] → float32 [B, C, h, w], white being what the recipe says."""
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 * self._recipe.white

    def _patch(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        recipe = self._recipe
        pixels = self._any_picture(rng)
        scale = 1.0
        if rng.random() >= recipe.full_size_share:
            scale = recipe.pyramid[rng.integers(len(recipe.pyramid))]
        side = min(round(recipe.patch / scale), *pixels.shape[:2])
        top = rng.integers(pixels.shape[0] - side + 1)
        left = rng.integers(pixels.shape[1] - side + 1)
        crop = pixels[top : top + side, left : left + side]
        if side != recipe.patch:
            image = Image.fromarray(crop.squeeze()).resize(
                (recipe.patch,) * 2, Image.Resampling.BOX
            )
            crop = np.asarray(image).reshape(recipe.patch, recipe.patch, -1)
        crop = np.rot90(crop, int(rng.integers(4)))
        return crop[:, ::-1] if rng.integers(2) else crop

    def _any_picture(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A random one; another one where it cannot be read, as often as it takes."""
        while not self.unreadable.issuperset(self.training):
            pixels = self._picture(self.training[rng.integers(len(self.training))])
            if pixels is not None:
                return pixels
        raise InputError(f"{self._folder}: no picture can be read; expected pictures to learn from")

    def _picture(self, path: Path) -> NDArray[np.uint8] | None:
        """[h, w, C], of any depth rounded to 8 bits; None where it cannot be read."""
        cached = self._cache.get(path)
        if cached is not None or path in self.unreadable:
            return cached
        try:
            picture = read_picture(path)
            if picture.alpha is not None and picture.alpha.min() < 1:
                raise InputError(f"{path}: has transparent parts, expected colours that are seen")
            levels = to_integer(picture.pixels, 8)
        except InputError as error:
            self.unreadable.add(path)
            self._on_unreadable(f"{error}; left out")
            return None
        upright = levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0))
        pixels = np.array(Image.fromarray(upright).convert(self._mode))
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if self._cached + pixels.nbytes <= CACHE_BYTES:
            self._cache[path] = pixels
            self._cached += pixels.nbytes
        return pixels

    def _smaller_side(self, path: Path) -> int:
        """In pixels; 0 where it cannot be read."""
        try:
            with Image.open(path) as image:
                return min(image.size)
        except (OSError, SyntaxError, Image.DecompressionBombError):
            # A kind of TIFF that Pillow does not know, or no picture at all.
            pixels = self._picture(path)
            return 0 if pixels is None else min(pixels.shape[:2])


def _cosine(side: int, rng: np.random.Generator) -> Tensor:
    """cos φ [1, side, side] of a random φ that is smooth: any constant, a slope and a curvature."""
    axis = np.linspace(-1, 1, side)
    y, x = axis[:, None], axis[None, :]
    slope, curvature = rng.normal(size=2), 0.7 * rng.normal(size=3)
    phase = rng.uniform(0, 2 * np.pi) + slope[0] * x + slope[1] * y
    phase = phase + curvature[0] * x * x + curvature[1] * x * y + curvature[2] * y * y
    return torch.from_numpy(np.cos(phase, dtype=np.float32))[None]
