"""Operators of random shapes, kernels and scales: the adjoint and the SVD are exact."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import Blur, Colorize, Downsample, Jpeg, Mask, check_adjoint, check_svd

CHANNELS = st.sampled_from([1, 3])
SIZES = st.tuples(st.integers(1, 14), st.integers(1, 14))
SEEDS = st.integers(0, 2**32 - 1)
BORDERS = ("reflect", "replicate", "zero", "circular")


@settings(max_examples=40)
@given(channels=CHANNELS, size=SIZES, seed=SEEDS, share=st.floats(0.0, 1.0))
def test_mask(channels, size, seed, share):
    kept = torch.from_numpy(np.random.default_rng(seed).random(size) < share)
    if not kept.any():
        kept[0, 0] = True
    A = Mask(kept, (channels, *size), dtype=torch.float64)
    check_adjoint(A)
    check_svd(A)


@settings(max_examples=30)
@given(size=SIZES, weights=st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3))
def test_colorize(size, weights):
    A = Colorize((3, *size), weights, dtype=torch.float64)
    check_adjoint(A)
    check_svd(A)


@settings(max_examples=40)
@given(data=st.data(), channels=CHANNELS, size=SIZES)
def test_downsample(data, channels, size):
    small = tuple(data.draw(st.integers(1, side)) for side in size)
    A = Downsample((channels, *size), size=small, dtype=torch.float64)
    assert A.codomain.shape == (channels, *small)
    check_adjoint(A)
    check_svd(A)
    # A flat picture stays flat.
    assert torch.allclose(
        A(torch.ones(1, channels, *size, dtype=torch.float64)), torch.ones(()).double()
    )


@settings(max_examples=40)
@given(
    channels=CHANNELS,
    size=st.tuples(st.integers(7, 14), st.integers(7, 14)),
    rows=st.sampled_from([1, 3, 5]),
    columns=st.sampled_from([1, 3, 5]),
    border=st.sampled_from(BORDERS),
    seed=SEEDS,
)
def test_blur(channels, size, rows, columns, border, seed):
    rng = np.random.default_rng(seed)
    kernel = torch.from_numpy(np.outer(rng.random(rows) + 0.05, rng.random(columns) + 0.05))
    A = Blur((channels, *size), kernel / kernel.sum(), border, dtype=torch.float64)
    check_adjoint(A)
    check_svd(A)


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(1, 26), st.integers(1, 26)),
    sampling=st.sampled_from(["4:4:4", "4:2:2", "4:4:0", "4:2:0"]),
    seed=SEEDS,
)
def test_jpeg(size, sampling, seed):
    tables = torch.from_numpy(np.random.default_rng(seed).integers(1, 256, (3, 8, 8))).double()
    A = Jpeg((3, *size), sampling, tables, dtype=torch.float64)
    check_adjoint(A)
    check_svd(A)
