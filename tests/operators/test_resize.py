"""Resampling against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from operators import Downsample, Resize, ShapeError, resize_matrix

FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = [
    ((64, 64), (16, 16)),
    ((64, 96), (32, 24)),
    ((63, 85), (42, 57)),
    ((101, 37), (10, 36)),
    ((33, 33), (1, 33)),
    ((40, 40), (61, 77)),
]


@pytest.mark.parametrize("kernel", FILTERS)
@pytest.mark.parametrize(("shape", "size"), [*SIZES, ((2048, 1500), (512, 333))], ids=str)
def test_equals_pillow_in_float(
    kernel: str, shape: tuple[int, int], size: tuple[int, int], device: torch.device
) -> None:
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = np.asarray(Image.fromarray(x).resize(size[::-1], FILTERS[kernel]))
    A = Resize((1, *shape), size, kernel, device=device)
    y = A(torch.from_numpy(x)[None].to(device))[0].cpu().numpy()
    assert np.abs(y - expected).max() < 1e-5


def smooth_picture(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture with structure whose resampled values stay within 0 … 255."""
    noise = gaussian_filter(np.random.default_rng(0).random((*shape, 3)), (1.5, 1.5, 0))
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return np.uint8(30 + 190 * noise)


@pytest.mark.parametrize("kernel", FILTERS)
@pytest.mark.parametrize(("shape", "size"), SIZES, ids=str)
def test_equals_pillow_within_one_grey_level(
    kernel: str, shape: tuple[int, int], size: tuple[int, int], device: torch.device
) -> None:
    picture = smooth_picture(shape)
    expected = np.asarray(Image.fromarray(picture).resize(size[::-1], FILTERS[kernel]))
    A = Resize((3, *shape), size, kernel, device=device)
    x = torch.from_numpy(picture).permute(2, 0, 1).float().to(device)
    y = A(x).permute(1, 2, 0).round().clamp(0, 255).cpu().numpy()
    assert np.abs(y - expected.astype(np.float32)).max() <= 1


@pytest.mark.parametrize("kernel", FILTERS)
def test_pillow_differs_only_by_clipping_between_the_axes(kernel: str) -> None:
    saturated = np.random.default_rng(0).random((60, 60)) < 0.5
    picture = np.uint8(255 * saturated)
    expected = np.asarray(Image.fromarray(picture).resize((40, 40), FILTERS[kernel]))
    matrix = resize_matrix(60, 40, kernel)
    x = torch.from_numpy(picture).double()
    clipped = matrix @ (x @ matrix.T).clamp(0, 255)
    difference = clipped.round().clamp(0, 255).numpy() - expected.astype(np.float64)
    assert np.abs(difference).max() <= 1
    linear = Resize((1, 60, 60), (40, 40), kernel)(x.float()[None])[0].round().clamp(0, 255)
    is_one_level = np.abs(linear.numpy() - expected.astype(np.float64)).max() <= 1
    assert is_one_level == (kernel in ("box", "bilinear"))


def test_planted_shift_is_seen(device: torch.device) -> None:
    x = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    expected = np.asarray(Image.fromarray(x).resize((16, 16), Image.Resampling.BICUBIC))
    A = Downsample((1, 64, 64), 4, device=device)
    shifted = A(torch.from_numpy(np.roll(x, 1))[None].to(device))[0].cpu().numpy()
    assert np.abs(shifted - expected).max() > 0.05


def test_sizes_from_factors() -> None:
    assert Downsample((3, 256, 256), 4).codomain.shape == (3, 64, 64)
    assert Downsample((3, 250, 333), 1.5).codomain.shape == (3, 167, 222)
    assert Downsample((1, 3, 5), 100).codomain.shape == (1, 1, 1)
    assert Downsample((3, 16, 16), size=(5, 7)).codomain.shape == (3, 5, 7)


def test_rows_sum_to_one() -> None:
    for kernel in FILTERS:
        for sizes in ((17, 5), (5, 17), (8, 8)):
            ones = resize_matrix(*sizes, kernel).sum(1)
            assert torch.allclose(ones, torch.ones_like(ones))


def test_equal_axes_share_their_matrices() -> None:
    A = Downsample((3, 32, 32), 4)
    svd = A.svd()
    assert A._rows is A._columns
    assert svd.right._rows is svd.right._columns  # type: ignore[attr-defined]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="either a factor or a size"):
        Downsample((3, 16, 16))
    with pytest.raises(ValueError, match="either a factor or a size"):
        Downsample((3, 16, 16), 2, (8, 8))
    with pytest.raises(
        ValueError, match=r"the size \[17, 8\] is larger than \[16, 16\]; use Resize"
    ):
        Downsample((3, 16, 16), size=(17, 8))
    with pytest.raises(ValueError, match=r"factor is 0\.5"):
        Downsample((3, 16, 16), 0.5)
    with pytest.raises(ValueError, match="factor is nan"):
        Downsample((3, 16, 16), float("nan"))
    with pytest.raises(ValueError, match="box, bilinear, bicubic, lanczos, not 'cubic'"):
        Downsample((3, 16, 16), 2, kernel="cubic")
    with pytest.raises(ValueError, match="16 pixels to 0"):
        Downsample((3, 16, 16), size=(0, 8))
    with pytest.raises(ShapeError, match=r"Downsample: the shape is \[16, 16\]"):
        Downsample((16, 16), 2)
