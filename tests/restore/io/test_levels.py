from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from restore.io.levels import as_written, from_integer, rounding_std, to_integer


@pytest.mark.parametrize("bits", [1, 8, 10, 12, 16])
def test_every_level_survives_the_round_trip(bits: int) -> None:
    levels = np.arange(2**bits)
    assert np.array_equal(to_integer(from_integer(levels, bits), bits), levels)


def test_rounds_to_nearest_and_clips() -> None:
    values = [-0.5, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.7]
    assert to_integer(values, 8).tolist() == [0, 0, 1, 255, 255]
    assert to_integer(values, 8).dtype == np.uint8
    assert to_integer(values, 16).dtype == np.uint16


def test_takes_tensors() -> None:
    assert to_integer(torch.tensor([[0.0, 1.0]]), 8).tolist() == [[0, 255]]


@pytest.mark.parametrize("bits", [8, 16])
def test_large_pictures_are_rounded_as_small_ones(bits: int, rng: np.random.Generator) -> None:
    """In pieces, of a picture whose channels do not lie one after the other too."""
    values = rng.normal(0.5, 0.4, (331, 400, 3)).astype(np.float32)
    at_once = np.rint(np.clip(values, 0, 1) * np.float32(2**bits - 1))
    assert np.array_equal(to_integer(values, bits), at_once)
    assert np.array_equal(to_integer(np.moveaxis(values, -1, 0), bits), np.moveaxis(at_once, -1, 0))
    values[-1, -1, -1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        to_integer(values, bits)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_what_is_no_number(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        to_integer([0.1, bad], 8)


@pytest.mark.parametrize("bits", [0, 17, 32])
def test_refuses_other_depths(bits: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 16"):
        to_integer([0.1], bits)


@pytest.mark.parametrize("bits", [8, 16])
def test_rounding_std_is_that_of_the_rounding(bits: int, rng: np.random.Generator) -> None:
    values = rng.random(200_000).astype(np.float32).astype(np.float64)
    error = as_written(values, bits) - values
    # The standard error of a standard deviation of 2e5 uniform values is 0.1 %; 6 of them.
    assert np.std(error) == pytest.approx(rounding_std(bits), rel=6e-3)


def test_floating_point_has_no_rounding() -> None:
    assert rounding_std(32) == 0.0
    assert as_written([-1.0, 0.123456789, 2.0], 32).tolist() == [0.0, np.float32(0.123456789), 1.0]
