"""Denoising in overlapping tiles, so that memory does not grow with the picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from restore.errors import InputError
from restore.prior.denoiser import Denoiser, Wrapped, sigma_column

OVERLAP = 64
# Tiles are whole multiples of what networks pad to, and never halved below the least.
MULTIPLE, LEAST_TILE = 16, 64

Area = tuple[slice, slice]


class TiledDenoiser(Wrapped):
    """D(x, σ) tile by tile, the overlaps blended with sin² weights.

    Only the denoiser is tiled, anew at every step of a sampler; the operator stays whole, so
    consistency with the measurement is not affected and no seam can form. A tile that does not fit
    into memory is halved, and the denoising begins again with the smaller ones.

    Attributes:
        tile: largest side of a tile in pixels now; None where the picture is denoised whole.

    Args:
        prior: the denoiser of one tile.
        tile: largest side of a tile, at least 64, or None; tiles overlap by 64 pixels, or a quarter
            of their side if that is less.
        hole: [H, W], true where D is asked for; None for everywhere. A tile without any such pixel
            is not denoised.
        known: [1, C, H, W], what stands for D in such tiles.
        on_halved: called with (old, new) side after memory ran out.
    """

    def __init__(
        self,
        prior: Denoiser,
        tile: int | None,
        *,
        hole: Tensor | None = None,
        known: Tensor | None = None,
        on_halved: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__(prior)
        if (hole is None) != (known is None):
            raise ValueError("TiledDenoiser: a hole needs what is known around it, and conversely")
        self.tile = tile
        # On the host, so that asking about a tile does not wait for the device.
        self._hole, self._known = hole if hole is None else hole.cpu(), known
        self._on_halved = on_halved

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, C, H, W].

        Raises:
            InputError: if memory does not even suffice for the least tile.
        """
        while True:
            try:
                return self._denoise(x, sigma)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Out of the handler, which holds what the failed evaluation had allocated.
            self._halve(x)

    def _denoise(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if self.tile is None or max(height, width) <= self.tile:
            return self._prior(x, sigma)
        level = sigma_column(sigma, x).flatten()
        (rows, high), (columns, wide) = (_spans(size, self.tile) for size in (height, width))
        across = [_ramp(span, x, wide) for span in columns]
        total, weight = torch.zeros_like(x), x.new_zeros(height, width)
        for vertical in rows:
            down = _ramp(vertical, x, high)[:, None]
            for horizontal, ramp in zip(columns, across, strict=True):
                area = (vertical, horizontal)
                window = down * ramp
                total[(..., *area)] += window * self._of_tile(x, level, area)
                weight[area] += window
        return total.div_(weight)

    def _of_tile(self, x: Tensor, level: Tensor, area: Area) -> Tensor:
        if self._hole is None or self._known is None or bool(self._hole[area].any()):
            return self._prior(x[(..., *area)], level)
        return self._known[(..., *area)]

    def _halve(self, x: Tensor) -> None:
        largest = max(x.shape[-2:])
        old = largest if self.tile is None else min(self.tile, largest)
        if old <= LEAST_TILE:
            raise InputError(
                f"out of memory: {old} pixels a side of a tile are too many for the denoiser; "
                "expected more free memory, or a smaller --batch-size"
            )
        self.tile = max(LEAST_TILE, _up(old // 2))
        if x.device.type == "cuda":
            torch.cuda.empty_cache()
        if self._on_halved is not None:
            self._on_halved(old, self.tile)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the host or on a device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


def _spans(size: int, tile: int) -> tuple[list[slice], int]:
    """The tiles along a side, as few and as short as can be, and their overlap.

    They begin on the grid that networks work on, where the same pixels meet the same weights as in
    the whole picture.
    """
    if size <= tile:
        return [slice(0, size)], min(OVERLAP, tile // 4)
    unit = MULTIPLE if tile >= LEAST_TILE else 1
    tile -= tile % unit
    overlap = min(OVERLAP, tile // 4) // unit * unit
    count = 1 + math.ceil((size - tile) / (tile - overlap))
    length = min(tile, _up(math.ceil((size + (count - 1) * overlap) / count), unit))
    starts = range(0, size - overlap, length - overlap)
    return [slice(start, min(start + length, size)) for start in starts], overlap


def _up(length: int, unit: int = MULTIPLE) -> int:
    return -(-length // unit) * unit


def _ramp(span: slice, like: Tensor, overlap: int) -> Tensor:
    """sin² rise over the overlap at both ends, 1 between; nowhere 0."""
    length = span.stop - span.start
    position = torch.arange(length, device=like.device, dtype=like.dtype) + 0.5
    edge = torch.minimum(position, length - position) / overlap
    return torch.sin(math.pi / 2 * edge.clamp(max=1)).square()
