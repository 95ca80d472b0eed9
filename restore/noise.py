"""Random numbers of the samplers: the same for a sample whatever the batch and the device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

CELL = 32
"""Side in pixels of the squares that `PlacedNoise` draws."""
_WORKERS = 8


def seeded_generator(seed: int) -> torch.Generator:
    """Return torch's random numbers of a seed from 0, on the CPU.

    They are of its last 32 bits, all that torch takes of it. `NoiseSource` hashes its seeds: its
    numbers are never those of a measurement simulated by the same seed.
    """
    return torch.Generator().manual_seed(seed % 2**32)


class Noise(Protocol):
    """Anything that yields standard normal noise for a batch."""

    def __call__(self, like: Tensor, /) -> Tensor:
        """Return fresh noise of like's shape, device and number type."""
        ...


class NoiseSource:
    """Standard normal noise keyed by seed, sample, picture, shape and number of the draw.

    Draw k of a shape for picture p of sample i is a function of (seed, i, p, shape, k) alone. So it
    does not depend on what else is in the batch, nor on the device: the numbers come from the CPU,
    in single precision whatever the number type, one generator for each row and shape. Off the CPU
    the next draw is made by threads while the device computes.

    A complex normal has unit variance in the real and in the imaginary part.

    Args:
        seed: any integer from 0.
        chains: (sample, picture) of each row of the batch.

    Raises:
        ValueError: if the seed is negative.
    """

    def __init__(self, seed: int, chains: Sequence[tuple[int, int]] = ((0, 0),)) -> None:
        if seed < 0:
            raise ValueError(f"{type(self).__name__}: the seed is {seed}; it must be at least 0")
        self._seed = seed
        self._chains = list(chains)
        self._streams: dict[tuple[int, ...], torch.Generator] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[tuple[int, ...], tuple[Tensor, list[Future[None]]]] = {}

    def __call__(self, like: Tensor, /) -> Tensor:
        """Return the next noise [rows, *shape], of like's shape, device and number type.

        Raises:
            ValueError: if like has another number of rows than the source.
        """
        if like.shape[0] != len(self._chains):
            raise ValueError(
                f"{type(self).__name__}: the batch is {like.shape[0]};"
                f" the source has {len(self._chains)}"
            )
        shape = (*like.shape, 2) if like.is_complex() else tuple(like.shape)
        if _draws_ahead(like.device):
            if shape not in self._ahead:
                self._ahead[shape] = self._start(shape, like.device)
            values, drawn = self._ahead[shape]
            for future in drawn:
                future.result()
            self._ahead[shape] = self._start(shape, like.device)
        else:
            values = torch.empty(shape, dtype=torch.float32, device="cpu")
            for row, chain in zip(values, self._chains, strict=True):
                self._fill(row, chain)
        values = values.to(like.device, non_blocking=like.device.type == "cuda")
        values = torch.view_as_complex(values) if like.is_complex() else values
        return values.to(like.dtype)

    def _start(
        self, shape: tuple[int, ...], device: torch.device
    ) -> tuple[Tensor, list[Future[None]]]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1))
        values = torch.empty(
            shape, dtype=torch.float32, device="cpu", pin_memory=device.type == "cuda"
        )
        rows = zip(values, self._chains, strict=True)
        return values, [self._pool.submit(self._fill, row, chain) for row, chain in rows]

    @torch.inference_mode()  # a thread of its own does not know the caller's mode
    def _fill(self, row: Tensor, chain: tuple[int, int]) -> None:
        row.normal_(generator=self._stream(*chain, *row.shape))

    def _stream(self, *key: int) -> torch.Generator:
        """The generator of a key, where it has got to."""
        if key not in self._streams:
            (word,) = np.random.SeedSequence(self._seed, spawn_key=key).generate_state(1)
            self._streams[key] = seeded_generator(int(word))
        return self._streams[key]


def _draws_ahead(device: torch.device) -> bool:
    # A CPU has no time to spare while it computes.
    return device.type != "cpu"


class PlacedNoise(NoiseSource):
    """Standard normal noise that is keyed by the place in the picture too, for windows of it.

    Draw k at a pixel is a function of (seed, sample, picture, k), the number of channels and where
    the pixel is: whatever the window, a pixel gets the same noise. It is drawn in squares of
    `CELL` pixels, one generator for each. Draws [rows, n], of numbers that belong to no pixel, are
    those of a `NoiseSource`.

    Args:
        seed: any integer from 0.
        chains: (sample, picture) of each row of the batch.
        origin: row and column of the window in the picture, multiples of `CELL`.

    Raises:
        ValueError: if the seed is negative or the origin is no multiple of `CELL`.
    """

    def __init__(
        self,
        seed: int,
        chains: Sequence[tuple[int, int]] = ((0, 0),),
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(seed, chains)
        if origin[0] % CELL or origin[1] % CELL:
            raise ValueError(f"PlacedNoise: origin is {origin}; expected multiples of {CELL}")
        self._origin = origin

    @torch.inference_mode()
    def _fill(self, row: Tensor, chain: tuple[int, int]) -> None:
        if row.ndim == 1:
            super()._fill(row, chain)
            return
        *front, height, width = row.shape
        cell = torch.empty((*front, CELL, CELL), dtype=torch.float32, device="cpu")
        for top in range(0, height, CELL):
            for left in range(0, width, CELL):
                place = ((self._origin[0] + top) // CELL, (self._origin[1] + left) // CELL)
                cell.normal_(generator=self._stream(*chain, *front, *place))
                part = row[..., top : top + CELL, left : left + CELL]
                part.copy_(cell[..., : part.shape[-2], : part.shape[-1]])
