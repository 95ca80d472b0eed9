from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2yiq

from restore.metrics import haarpsi


@pytest.fixture
def picture() -> np.ndarray:
    rows, columns = np.mgrid[0:40, 0:33]
    return np.stack([0.5 + 0.3 * np.sin(rows / a + columns / 4) for a in (3, 5, 7)])


def plain(a: np.ndarray, b: np.ndarray) -> float:
    """HaarPSI of [C, H, W] from the paper's definition, pixel by pixel."""

    def response(x: np.ndarray, side: int, turned: bool) -> np.ndarray:
        kernel = np.full((side, side), 1 / side)
        kernel[side // 2 :] *= -1
        kernel = kernel.T if turned else kernel
        padded = np.pad(x, (side // 2 - 1, side // 2))
        return np.array(
            [
                [
                    abs((padded[i : i + side, j : j + side] * kernel).sum())
                    for j in range(x.shape[1])
                ]
                for i in range(x.shape[0])
            ]
        )

    def means(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, ((0, 1), (0, 1)))
        return (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4

    (a, *of_a), (b, *of_b) = (
        [means(255 * plane)[::2, ::2] for plane in rgb2yiq(x, channel_axis=0)]
        if len(x) == 3
        else [means(255 * x[0])[::2, ::2]]
        for x in (a, b)
    )
    top = bottom = 0.0
    weights = []
    for turned in (False, True):
        local = 0.0
        for side in (2, 4):
            x, y = response(a, side, turned), response(b, side, turned)
            local = local + 0.5 * (2 * x * y + 30) / (x * x + y * y + 30)
        weights.append(np.maximum(response(a, 8, turned), response(b, 8, turned)))
        top += (weights[-1] / (1 + np.exp(-4.2 * local))).sum()
        bottom += weights[-1].sum()
    if of_a:
        local = 0.0
        for x, y in zip(of_a, of_b, strict=True):
            x, y = abs(means(x)), abs(means(y))
            local = local + 0.5 * (2 * x * y + 30) / (x * x + y * y + 30)
        weight = (weights[0] + weights[1]) / 2
        top += (weight / (1 + np.exp(-4.2 * local))).sum()
        bottom += weight.sum()
    share = top / bottom
    return (math.log(share / (1 - share)) / 4.2) ** 2


def test_is_the_papers(picture: np.ndarray) -> None:
    a, b = picture[:1, :, :32], 0.8 * picture[1:2, :, :32]
    assert haarpsi(a, b) == pytest.approx(plain(a, b), abs=1e-9)
    a, b = picture[..., :32], 0.8 * picture[::-1, ::-1, :32]
    # Its matrix has eight digits, ours the four of NTSC.
    assert haarpsi(a, b) == pytest.approx(plain(a, b), abs=1e-5)


def test_equal_pictures_are_1_and_order_does_not_matter(picture: np.ndarray) -> None:
    assert haarpsi(picture, picture) == pytest.approx(1.0, abs=1e-12)
    assert haarpsi(picture, picture[::-1]) == pytest.approx(haarpsi(picture[::-1], picture))
    black = np.zeros((3, 20, 20))
    assert haarpsi(black, black) == 1.0


def test_chroma_counts(picture: np.ndarray) -> None:
    luma = np.tensordot([0.299, 0.587, 0.114], picture, 1)
    grey = np.stack([luma] * 3)
    assert haarpsi(grey, picture) < 0.99
    assert haarpsi(luma[None], luma[None]) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("size", "defined"), [((15, 40), False), ((40, 15), False), ((16, 16), True)]
)
def test_small_pictures(size: tuple[int, int], defined: bool) -> None:
    a = np.full((3, *size), 0.5)
    assert (haarpsi(a, a) is not None) == defined


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"picture is \[3, 4, 4\], reference \[1, 4, 4\]"):
        haarpsi(np.zeros((3, 4, 4)), np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="expected 1 or 3 channels"):
        haarpsi(np.zeros((2, 20, 20)), np.zeros((2, 20, 20)))
