from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restore.errors import InputError
from restore.prior.denoiser import FunctionDenoiser
from restore.prior.tiled import TiledDenoiser, is_out_of_memory


def local_mean(x: Tensor, sigma: float | Tensor) -> Tensor:
    """A denoiser that looks two pixels far, and mirrors the border."""
    del sigma
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="reflect")
    return torch.nn.functional.avg_pool2d(padded, 5, 1)


class Limited:
    """The same, which fails on more than `most` pixels a side, and keeps what it was asked."""

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error = most, error
        self.sides: list[int] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.sides.append(max(x.shape[-2:]))
        if self.sides[-1] > self.most:
            raise self.error
        return local_mean(x, sigma)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 150, 330, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tile", [64, 96, 160, 329])
def test_tiles_differ_from_the_whole_only_near_their_borders(x: Tensor, tile: int) -> None:
    difference = (
        TiledDenoiser(FunctionDenoiser(local_mean), tile)(x, 0.1) - local_mean(x, 0.1)
    ).abs()
    # The blend gives nearly no weight to the two pixels at the border of a tile.
    assert difference.max() < 0.02
    assert difference.mean() < 1e-4


def test_a_small_picture_is_not_cut(x: Tensor) -> None:
    assert torch.equal(TiledDenoiser(FunctionDenoiser(local_mean), 330)(x, 0.1), local_mean(x, 0.1))


def test_the_tiles_are_as_few_and_as_small_as_can_be(x: Tensor) -> None:
    counted = Limited(10**6, ValueError())
    TiledDenoiser(FunctionDenoiser(counted), 160)(x, 0.1)
    assert len(counted.sides) == 3
    # 330 pixels and two overlaps of 40 in three tiles, up to a multiple of 16.
    assert set(counted.sides) == {150}


def test_a_picture_may_have_its_own_level(x: Tensor) -> None:
    def shrunk(x: Tensor, sigma: float | Tensor) -> Tensor:
        return x * (1 - torch.as_tensor(sigma).reshape(-1, 1, 1, 1))

    levels = torch.tensor([0.1, 0.7])
    assert torch.allclose(TiledDenoiser(FunctionDenoiser(shrunk), 64)(x, levels), shrunk(x, levels))


def test_tiles_without_a_hole_are_not_denoised(x: Tensor) -> None:
    hole = torch.zeros(150, 330, dtype=torch.bool)
    hole[10:20, 300:310] = True
    known = torch.full_like(x[:1], 0.25)
    counted = Limited(10**6, ValueError())
    tiled = TiledDenoiser(FunctionDenoiser(counted), 96, hole=hole, known=known)(x, 0.1)
    assert len(counted.sides) == 1
    assert (tiled[..., :200] == 0.25).all()
    assert torch.allclose(tiled[..., 10:20, 300:310], local_mean(x, 0.1)[..., 10:20, 300:310])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_runs_out_halves_the_tile(x: Tensor, error: Exception) -> None:
    limited = Limited(100, error)
    halved: list[tuple[int, int]] = []
    tiled = TiledDenoiser(
        FunctionDenoiser(limited), None, on_halved=lambda *sides: halved.append(sides)
    )
    restored = tiled(x, 0.1)
    assert halved == [(330, 176), (176, 96)]
    assert tiled.tile == 96
    assert torch.equal(restored, TiledDenoiser(FunctionDenoiser(local_mean), 96)(x, 0.1))
    # The next evaluation begins with what was found.
    failures = sum(side > 100 for side in limited.sides)
    tiled(x, 0.1)
    assert sum(side > 100 for side in limited.sides) == failures == 2


def test_below_the_least_tile_there_is_one_clear_line(x: Tensor) -> None:
    limited = Limited(10, MemoryError())
    with pytest.raises(InputError, match=r"^out of memory: 64 pixels a side of a tile [^\n]*$"):
        TiledDenoiser(FunctionDenoiser(limited), 256)(x, 0.1)


def test_other_errors_are_not_hidden(x: Tensor) -> None:
    limited = Limited(10, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        TiledDenoiser(FunctionDenoiser(limited), 256)(x, 0.1)
    assert not is_out_of_memory(ValueError("out of memory"))


def test_gradients_pass_through_tiles(x: Tensor) -> None:
    gradients = []
    for prior in (FunctionDenoiser(local_mean), TiledDenoiser(FunctionDenoiser(local_mean), 128)):
        leaf = x.clone().requires_grad_()
        prior(leaf, 0.1).square().sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad)
    assert (gradients[0] - gradients[1]).abs().mean() < 1e-3
