"""Random numbers of the samplers: the same for a sample whatever the batch and the device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CELL = 32
"""Side in pixels of the squares that `PlacedNoise` draws."""
_WORKERS = 8


def simulation_generator(seed: int) -> torch.Generator:
    """Return the random numbers of a measurement that is simulated.

    They are a stream of its own: the sampler's noise must not be the measurement's.
    """
    return torch.Generator().manual_seed((seed + 2**40) % 2**64)


class Noise(Protocol):
    """Anything that yields standard normal noise for a batch."""

    def __call__(self, like: Tensor, /) -> Tensor:
        """Return fresh noise of like's shape, device and number type."""
        ...


class NoiseSource:
    """Standard normal noise keyed by seed, sample, picture and number of the draw.

    Draw k for picture p of sample i is a function of (seed, i, p, k) and the shape alone. So it
    does not depend on what else is in the batch, nor on the device: the numbers come from the CPU,
    in single precision whatever the number type, one generator for each row. Off the CPU the next
    draw is made by threads while the device computes.

    A complex normal has unit variance in the real and in the imaginary part.

    Args:
        seed: any integer from 0.
        chains: (sample, picture) of each row of the batch.

    Raises:
        ValueError: if the seed is negative.
    """

    def __init__(self, seed: int, chains: Sequence[tuple[int, int]] = ((0, 0),)) -> None:
        if seed < 0:
            raise ValueError(f"NoiseSource: the seed is {seed}; it must be at least 0")
        self._seed = seed
        self._chains = list(chains)
        self._draw = 0
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: tuple[Tensor, list[Future[None]]] | None = None

    def __call__(self, like: Tensor, /) -> Tensor:
        """Return the next noise [rows, *shape], of like's shape, device and number type.

        Raises:
            ValueError: if like has another number of rows than the source.
        """
        if like.shape[0] != len(self._chains):
            raise ValueError(
                f"NoiseSource: the batch is {like.shape[0]}; the source has {len(self._chains)}"
            )
        shape = (*like.shape, 2) if like.is_complex() else tuple(like.shape)
        if _draws_ahead(like.device):
            values = self._next(shape, like.device)
        else:
            values = torch.empty(shape, dtype=torch.float32, device="cpu")
            for row in range(shape[0]):
                self._fill(values, row, self._draw)
        self._draw += 1
        values = values.to(like.device, non_blocking=like.device.type == "cuda")
        values = torch.view_as_complex(values) if like.is_complex() else values
        return values.to(like.dtype)

    def _fill(self, values: Tensor, row: int, draw: int) -> None:
        key = np.random.SeedSequence(self._seed, spawn_key=(*self._chains[row], draw))
        generator = np.random.Generator(np.random.PCG64(key))
        generator.standard_normal(dtype=np.float32, out=values[row].numpy())

    def _next(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        if self._ahead is None or self._ahead[0].shape != shape:
            self._ahead = self._start(shape, device, self._draw)
        values, rows = self._ahead
        for row in rows:
            row.result()
        self._ahead = self._start(shape, device, self._draw + 1)
        return values

    def _start(
        self, shape: tuple[int, ...], device: torch.device, draw: int
    ) -> tuple[Tensor, list[Future[None]]]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1))
        values = torch.empty(
            shape, dtype=torch.float32, device="cpu", pin_memory=device.type == "cuda"
        )
        return values, [self._pool.submit(self._fill, values, row, draw) for row in range(shape[0])]


def _draws_ahead(device: torch.device) -> bool:
    # A CPU has no time to spare while it computes.
    return device.type != "cpu"


class PlacedNoise:
    """Standard normal noise that is keyed by the place in the picture too, for windows of it.

    Draw k at a pixel is a function of (seed, sample, picture, k), the number of channels and where
    the pixel is: whatever the window, a pixel gets the same noise. It is drawn in squares of
    `CELL` pixels, one generator for each.

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
        if seed < 0:
            raise ValueError(f"PlacedNoise: the seed is {seed}; it must be at least 0")
        if origin[0] % CELL or origin[1] % CELL:
            raise ValueError(f"PlacedNoise: origin is {origin}; expected multiples of {CELL}")
        self._seed = seed
        self._chains = list(chains)
        self._origin = origin
        self._draw = 0

    def __call__(self, like: Tensor, /) -> Tensor:
        """Return the next noise, of like's shape, device and real number type.

        Args:
            like: [rows, …, H, W], or [rows, n] for numbers that belong to no pixel.

        Raises:
            ValueError: if like has another number of rows than the source.
        """
        if like.shape[0] != len(self._chains):
            raise ValueError(
                f"PlacedNoise: the batch is {like.shape[0]}; the source has {len(self._chains)}"
            )
        values = np.empty(tuple(like.shape), np.float32)
        for row, chain in zip(values, self._chains, strict=True):
            self._fill(row if row.ndim > 1 else row[:, None, None], chain)  # numbers: one pixel
        self._draw += 1
        return torch.from_numpy(values).to(like.device, like.dtype)

    def _fill(self, values: NDArray[np.float32], chain: tuple[int, int]) -> None:
        *front, height, width = values.shape
        for top in range(0, height, CELL):
            for left in range(0, width, CELL):
                place = ((self._origin[0] + top) // CELL, (self._origin[1] + left) // CELL)
                key = np.random.SeedSequence(self._seed, spawn_key=(*chain, self._draw, *place))
                generator = np.random.Generator(np.random.PCG64(key))
                cell = generator.standard_normal((*front, CELL, CELL), dtype=np.float32)
                part = values[..., top : top + CELL, left : left + CELL]
                part[:] = cell[..., : part.shape[-2], : part.shape[-1]]
