"""The steps of JPEG on planes of pixels: padding, chroma decimation, enlargement, 8×8 cosines.

Each map is linear and has its transpose beside it; all act on the last two dimensions. They slice
with `narrow`, since indexing with brackets fails on the pretended device of `FakeTensorMode`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 8
ROWS, COLUMNS = -2, -1

# JFIF 1.02, section 7: full-range Y, Cb, Cr of full-range R, G, B.
YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)


Area = tuple[tuple[int, int], tuple[int, int]]
"""Start and length of rows and of columns, in pixels."""

Factors = tuple[tuple[int, int], ...]

SAMPLINGS: dict[str, Factors] = {
    "4:4:4": ((1, 1), (1, 1), (1, 1)),
    "4:2:2": ((1, 2), (1, 1), (1, 1)),
    "4:4:0": ((2, 1), (1, 1), (1, 1)),
    "4:2:0": ((2, 2), (1, 1), (1, 1)),
}
"""Sampling factors (vertical, horizontal) of Y, Cb and Cr by their usual names."""


def factors_of(sampling: str | Sequence[tuple[int, int]]) -> Factors:
    """Return the sampling factors that a name or three pairs say.

    Raises:
        ValueError: If the name is unknown, or they do not divide the largest.
    """
    if isinstance(sampling, str):
        if sampling not in SAMPLINGS:
            raise ValueError(f"Jpeg: sampling {sampling!r}; it is one of {', '.join(SAMPLINGS)}")
        return SAMPLINGS[sampling]
    factors = tuple((int(v), int(h)) for v, h in sampling)
    whole = len(factors) == 3 and all(
        factor[axis] > 0 and max(f[axis] for f in factors) % factor[axis] == 0
        for factor in factors
        for axis in (0, 1)
    )
    if not whole:
        raise ValueError(
            f"Jpeg: the sampling factors are {factors}; expected three that divide the largest"
        )
    return factors


def cosine_matrix() -> Tensor:
    """Return the orthonormal DCT-II of 8 samples, `[8, 8]` in double precision."""
    k = torch.arange(BLOCK, dtype=torch.float64, device="cpu")
    rows = torch.cos(math.pi / BLOCK * (k + 0.5) * k.unsqueeze(1)) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return rows


def split(x: Tensor, dim: int, sizes: tuple[int, int]) -> Tensor:
    """Return x with one dimension as two, of which one may be -1."""
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


def extend(x: Tensor, size: int, dim: int) -> Tensor:
    """Repeat the last line along `dim` up to `size` lines."""
    missing = size - x.shape[dim]
    if missing == 0:
        return x
    last = x.narrow(dim, x.shape[dim] - 1, 1)
    shape = list(x.shape)
    shape[dim] = missing
    return torch.cat([x, last.expand(shape)], dim)


def fold(y: Tensor, size: int, dim: int) -> Tensor:
    """Return the transpose of `extend`: the lines from the last of `size` on are summed."""
    if y.shape[dim] == size:
        return y
    kept = y.narrow(dim, 0, size - 1)
    rest = y.narrow(dim, size - 1, y.shape[dim] - size + 1)
    return torch.cat([kept, rest.sum(dim, keepdim=True)], dim)


def decimate(plane: Tensor, step: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Average rectangles of `step` pixels and pad to `size` samples, as libjpeg's encoder does.

    Pixels are repeated to the right before they are averaged, the averaged rows downwards after.
    """
    x = extend(plane, size[1] * step[1], COLUMNS)
    x = extend(x, step[0] * math.ceil(x.shape[ROWS] / step[0]), ROWS)
    x = split(split(x, COLUMNS, (-1, step[1])), ROWS - 1, (-1, step[0])).mean((-3, -1))
    return extend(x, size[0], ROWS)


def decimate_transposed(samples: Tensor, step: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Return the transpose of `decimate`, to `size` pixels."""
    rows = math.ceil(size[0] / step[0])
    x = repeat(fold(samples, rows, ROWS), step) / (step[0] * step[1])
    return fold(fold(x, size[0], ROWS), size[1], COLUMNS)


def repeat(samples: Tensor, step: tuple[int, int]) -> Tensor:
    """Return every sample as a rectangle of `step` equal pixels."""
    return samples.repeat_interleave(step[0], ROWS).repeat_interleave(step[1], COLUMNS)


def enlarge(samples: Tensor, step: tuple[int, int]) -> Tensor:
    """Enlarge chroma as libjpeg's decoder does: by a triangle filter where the step is 2.

    Each pixel is ¾ of its sample and ¼ of the neighbour on its side. As in libjpeg (jdsample.c)
    this holds for the steps (1, 2), (2, 2) and (2, 1), with columns only if there are more than
    two of them; otherwise samples are repeated.
    """
    if not _smooth(samples.shape[COLUMNS], step):
        return repeat(samples, step)
    x = _double(samples, ROWS) if step[0] == 2 else samples
    return _double(x, COLUMNS) if step[1] == 2 else x


def enlarge_transposed(pixels: Tensor, step: tuple[int, int]) -> Tensor:
    """Return the transpose of `enlarge`."""
    if not _smooth(pixels.shape[COLUMNS] // step[1], step):
        y = split(split(pixels, COLUMNS, (-1, step[1])), ROWS - 1, (-1, step[0]))
        return y.sum((-3, -1))
    y = _double_transposed(pixels, COLUMNS) if step[1] == 2 else pixels
    return _double_transposed(y, ROWS) if step[0] == 2 else y


def _smooth(columns: int, step: tuple[int, int]) -> bool:
    return step in ((1, 2), (2, 2), (2, 1)) and (step[1] == 1 or columns > 2)


def _next(x: Tensor, dim: int) -> Tensor:
    """The neighbour after each line, the last one's being itself."""
    n = x.shape[dim]
    return extend(x, n + 1, dim).narrow(dim, 1, n)


def _next_transposed(y: Tensor, dim: int) -> Tensor:
    n = y.shape[dim]
    zero = torch.zeros_like(y.narrow(dim, 0, 1))
    return fold(torch.cat([zero, y], dim), n, dim)


def _double(x: Tensor, dim: int) -> Tensor:
    before = _next(x.flip(dim), dim).flip(dim)
    pair = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * _next(x, dim)], dim)
    return pair.flatten(dim - 1, dim)


def _double_transposed(y: Tensor, dim: int) -> Tensor:
    even, odd = (half.squeeze(dim) for half in split(y, dim, (-1, 2)).chunk(2, dim))
    before = _next_transposed(even.flip(dim), dim).flip(dim)
    return 0.75 * (even + odd) + 0.25 * (before + _next_transposed(odd, dim))


def to_blocks(samples: Tensor) -> Tensor:
    """Return `[..., 8R, 8C]` as `[..., R·C, 8, 8]`, row by row."""
    x = split(split(samples, COLUMNS, (-1, BLOCK)), ROWS - 1, (-1, BLOCK))
    return x.transpose(-3, -2).flatten(-4, -3)


def from_blocks(blocks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the inverse of `to_blocks`, to samples of `size`."""
    x = split(blocks, -3, (size[0] // BLOCK, size[1] // BLOCK)).transpose(-3, -2)
    return x.flatten(-2, -1).flatten(-3, -2)


def to_tiles(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `[C, R·h, K·w]` as its tiles `[R·K, C, h, w]`, row by row."""
    channels, height, width = picture.shape
    down, across = height // size[0], width // size[1]
    x = picture.reshape(channels, down, size[0], across, size[1])
    return x.permute(1, 3, 0, 2, 4).reshape(-1, channels, *size)


def from_tiles(tiles: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the inverse of `to_tiles`, a picture of `size`."""
    _, channels, height, width = tiles.shape
    down, across = size[0] // height, size[1] // width
    x = tiles.reshape(down, across, channels, height, width)
    return x.permute(2, 0, 3, 1, 4).reshape(channels, *size)


def mix(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply the channels of `[..., 3, H, W]` by a matrix."""
    return (matrix @ x.flatten(-2)).reshape(x.shape)


def cut(x: Tensor, area: Area) -> Tensor:
    """Return an area of a picture."""
    return x.narrow(ROWS, *area[0]).narrow(COLUMNS, *area[1])


def put(out: Tensor, area: Area, piece: Tensor) -> None:
    """Write a piece of a picture; by index, since `copy_` fails on the pretended device."""
    rows = torch.arange(piece.shape[ROWS], device=out.device) + area[0][0]
    out.narrow(COLUMNS, *area[1]).index_copy_(ROWS, rows, piece)
