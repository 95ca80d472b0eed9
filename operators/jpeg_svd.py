"""The exact SVD of JPEG's linear part: one small dense one for each kind of MCU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from operators.blockwise import Blockwise
from operators.jpeg import Jpeg
from operators.jpeg_planes import BLOCK, split
from operators.svd import ThinSVD


def factorised(jpeg: Jpeg) -> ThinSVD:
    """Return the SVD of A, block-diagonal over the MCUs."""
    pixels = torch.arange(jpeg.domain.numel, device="cpu").reshape(jpeg.domain.shape).movedim(0, -1)
    grids = jpeg.block_grids(BLOCK**2)
    inputs, outputs, lefts, values, rights = [], [], [], [], []
    for top, height in _spans(jpeg.domain.shape[1], jpeg.mcu[0]):
        for left, width in _spans(jpeg.domain.shape[2], jpeg.mcu[1]):
            # In double precision, but of the matrices that the operator multiplies by.
            small = jpeg.resized(min(height, jpeg.mcu[0]), min(width, jpeg.mcu[1]))
            small = small.to("cpu", torch.float64)
            u, s, vh = torch.linalg.svd(_dense(small), full_matrices=False)
            region = pixels[top : top + height, left : left + width]
            inputs.append(_tiles(region, *small.domain.shape[1:]))
            outputs.append(block_groups(jpeg, grids, (top, height), (left, width), small))
            lefts.append(u)
            values.append(s.expand(len(inputs[-1]), -1).flatten())
            rights.append(vh.mT)
    dtype, device = jpeg.domain.dtype, jpeg.device
    return ThinSVD(
        Blockwise(jpeg.codomain.shape, outputs, lefts, dtype=dtype, device=device),
        torch.cat(values).to(device=device, dtype=jpeg.domain.real_dtype),
        Blockwise(jpeg.domain.shape, inputs, rights, dtype=dtype, device=device),
    )


def block_groups(
    jpeg: Jpeg,
    grids: Sequence[Tensor],
    rows: tuple[int, int],
    columns: tuple[int, int],
    small: Jpeg,
) -> Tensor:
    """Return the indices of the blocks of each MCU of a region, `[number, rows of one MCU]`.

    Args:
        jpeg: The whole picture's.
        grids: Indices of the blocks of each component, of `Jpeg.block_grids`.
        rows: The region's first row and their number.
        columns: Likewise.
        small: The operator of one of its MCUs.
    """
    groups = []
    for grid, step, padded in zip(grids, jpeg.steps, small.padded, strict=True):
        sides = []
        for (start, length), mcu, factor, size in zip(
            (rows, columns), jpeg.mcu, step, padded, strict=True
        ):
            first = start // (BLOCK * factor)
            sides.append(slice(first, first + max(1, length // mcu) * (size // BLOCK)))
        groups.append(_tiles(grid[sides[0], sides[1]], *(size // BLOCK for size in padded)))
    return torch.cat(groups, 1)


def _dense(jpeg: Jpeg) -> Tensor:
    """The matrix, its columns pixel by pixel with the channels of a pixel together."""
    channels, height, width = jpeg.domain.shape
    unit = torch.eye(jpeg.domain.numel, dtype=jpeg.domain.dtype, device="cpu")
    unit = unit.reshape(-1, height, width, channels).movedim(-1, 1)
    return jpeg(unit).flatten(1).mT


def _spans(size: int, step: int) -> list[tuple[int, int]]:
    """Start and length of the whole steps of a side, and of what is left."""
    whole = size // step * step
    return [(start, length) for start, length in ((0, whole), (whole, size - whole)) if length]


def _tiles(grid: Tensor, rows: int, columns: int) -> Tensor:
    """Return `[R, C, K]` cut into tiles, `[number, rows·columns·K]`."""
    x = split(split(grid, 1, (-1, columns)), 0, (-1, rows))
    return x.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1)
