"""JPEG's linear part: all samplings and sizes, and a plain encoder to compare with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from operators import Jpeg, ShapeError, check_adjoint, check_svd

SAMPLINGS = ("4:4:4", "4:2:2", "4:4:0", "4:2:0", ((1, 4), (1, 1), (1, 1)), ((2, 2), (2, 1), (1, 2)))
SIZES = ((1, 1), (1, 20), (17, 17), (33, 5))


def table(channels: int) -> torch.Tensor:
    return 5 + 100 * torch.rand(channels, 8, 8, generator=torch.Generator().manual_seed(1))


def random(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_every_sampling_at_odd_sizes(sampling, size):
    A = Jpeg((3, *size), sampling, table(3), dtype=torch.float64)
    check_adjoint(A)
    check_adjoint(A.decoder)
    check_svd(A)


def test_grey_and_stored_rgb():
    for A in (
        Jpeg((1, 19, 10), tables=table(1), dtype=torch.float64),
        Jpeg((3, 19, 10), "4:4:4", table(3), colour="rgb", dtype=torch.float64),
    ):
        check_svd(A)
        x = random(2, *A.domain.shape)
        # Nothing is averaged, so that the decoder is the inverse.
        assert torch.allclose(A.decoder(A(x)), x)


@pytest.mark.parametrize("size", [(32, 48), (31, 42)])
def test_a_plain_encoder_gives_the_same_coefficients(size):
    """4:2:0 by NumPy: pad to whole MCUs, average 2x2, transform each block, divide."""
    height, width = size
    tables = table(3)
    rgb = random(3, height, width)
    y = Jpeg((3, height, width), "4:2:0", tables, dtype=torch.float64)(rgb)
    red, green, blue = 255 * rgb.numpy()
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [luma, (blue - luma) / 1.772, (red - luma) / 1.402]
    blocks = []
    for plane, one in zip(planes, tables.double().numpy(), strict=True):
        if plane is not luma:
            plane = np.pad(plane, ((0, height % 2), (0, 48 - width)), mode="edge")
            plane = plane.reshape(plane.shape[0] // 2, 2, 24, 2).mean(axis=(1, 3))
        rows, columns = (-(-n // 8) * 8 for n in plane.shape)
        edges = ((0, rows - plane.shape[0]), (0, columns - plane.shape[1]))
        plane = np.pad(plane, edges, mode="edge")
        for row in range(0, rows, 8):
            for column in range(0, columns, 8):
                block = plane[row : row + 8, column : column + 8]
                blocks.append(dctn(block, norm="ortho") / one)
    assert np.allclose(y, blocks, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 32), (1, 1), (17, 21), (9, 8)])
@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_the_row_norms_are_the_spread_of_the_coefficients(size, sampling):
    """Those of blocks that are filled up too."""
    A = Jpeg((3, *size), sampling, table(3), dtype=torch.float64)
    unit = torch.eye(A.domain.numel, dtype=torch.float64).reshape(-1, *A.domain.shape)
    assert torch.allclose(A(unit).square().sum(0).sqrt(), A.row_norms())


def test_the_level_shift_is_mid_grey_in_luma_alone():
    A = Jpeg((3, 16, 16), "4:2:0", torch.full((3, 8, 8), 16.0), dtype=torch.float64)
    shift = A.level_shift()
    assert torch.allclose(shift[:4, 0, 0], torch.full((4,), 64.0).double())
    shift[:4, 0, 0] = 0
    assert shift.abs().max() < 1e-5


def test_refusals():
    with pytest.raises(ShapeError, match="1 or 3 channels"):
        Jpeg((2, 8, 8))
    with pytest.raises(ValueError, match=r"sampling '4:3:2'; it is one of 4:4:4"):
        Jpeg((3, 8, 8), "4:3:2")
    with pytest.raises(ValueError, match="three that divide the largest"):
        Jpeg((3, 8, 8), ((3, 1), (2, 1), (1, 1)))
    with pytest.raises(ValueError, match="of positive divisors"):
        Jpeg((3, 8, 8), "4:4:4", torch.zeros(3, 8, 8))
