"""Masks, one per image too, and the weights of colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from operators import Colorize, HintedColorize, Mask, ShapeError


def test_one_mask_for_each_image_of_a_batch() -> None:
    masks = torch.rand(4, 1, 6, 5) > 0.5
    A = Mask(masks, (3, 6, 5))
    x = torch.rand(2, 4, 3, 6, 5)
    assert A.batch_shape == (4,)
    assert torch.equal(A(x), x * masks)
    assert A.svd().singular_values.shape == (4, 3, 6, 5)
    for index in ([1], [3, 0]):
        B = A.take(torch.tensor(index))
        assert torch.equal(B(x[0, index]), A(x)[0, index])
        assert torch.equal(B.svd().singular_values, A.svd().singular_values[index])
    part = (A @ A).H.take(torch.tensor([2]))
    assert torch.equal(part.adjoint(x[:, 2:3]), A(x)[:, 2:3])
    single = Mask(masks[0], (3, 6, 5))
    assert single.take(torch.tensor([0])) is single


def test_masks_of_the_picture_and_of_each_channel() -> None:
    x = torch.rand(2, 3, 6, 5)
    picture, channels = torch.rand(6, 5) > 0.5, torch.rand(3, 6, 5) > 0.5
    assert torch.equal(Mask(picture, (3, 6, 5))(x), x * picture)
    assert torch.equal(Mask(picture[None], (3, 6, 5))(x), x * picture)
    assert torch.equal(Mask(channels, (3, 6, 5))(x), x * channels)
    assert torch.equal(Mask(channels.double(), (3, 6, 5)).mask, channels.float())


def test_no_pixel_kept() -> None:
    A = Mask(torch.zeros(6, 5), (3, 6, 5))
    y = torch.rand(3, 6, 5)
    assert torch.equal(A.pinv(y), torch.zeros_like(y))
    assert torch.allclose(A.solve_normal(y, 0.5), 2 * y)


def test_mask_errors_name_both_shapes() -> None:
    A = Mask(torch.ones(1, 256, 256), (3, 256, 256))
    with pytest.raises(ShapeError) as error:
        A(torch.zeros(1, 3, 250, 256))
    assert str(error.value) == "Mask: input is [1, 3, 250, 256]; the mask is [1, 256, 256]"
    with pytest.raises(ShapeError, match=r"the mask is \[1, 8, 7\]; the shape is \[3, 8, 8\]"):
        Mask(torch.ones(1, 8, 7), (3, 8, 8))
    per_image = Mask(torch.ones(4, 1, 8, 8), (3, 8, 8))
    for shape in ((2, 3, 8, 8), (3, 8, 8), (1, 3, 8, 8)):
        with pytest.raises(ShapeError, match=r"the mask is \[4, 1, 8, 8\]"):
            per_image(torch.zeros(shape))
    with pytest.raises(ValueError, match="0 \\(missing\\) and 1 \\(kept\\)"):
        Mask(torch.full((8, 8), 0.5), (3, 8, 8))


def test_the_mask_is_copied() -> None:
    mask = torch.ones(8, 8)
    A = Mask(mask, (1, 8, 8))
    mask.zero_()
    assert float(A.mask.sum()) == 64


def test_luma_is_that_of_pillow() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(picture).convert("L")).astype(np.float32)
    A = Colorize((3, 16, 20))
    y = A(torch.from_numpy(picture).permute(2, 0, 1).float())[0].numpy()
    assert np.abs(y - grey).max() <= 1


def test_weights() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert torch.allclose(Colorize((3, 4, 5), "mean")(x), x.mean(1, keepdim=True))
    assert torch.allclose(Colorize((3, 4, 5), [0, 2, 0])(x), 2 * x[:, 1:2])
    s = Colorize((3, 4, 5)).svd().singular_values
    assert s.shape == (1, 4, 5)
    assert torch.allclose(s, torch.tensor([0.299, 0.587, 0.114]).norm())


@pytest.mark.parametrize(
    ("shape", "weights", "text"),
    [
        ((3, 4, 4), "luma", "not 'luma'"),
        ((1, 4, 4), "bt601", "3 weights for 1 channels"),
        ((3, 4, 4), [0, 0, 0], "all zero"),
        ((4, 4), "mean", r"the shape is \[4, 4\]"),
    ],
)
def test_refusals(shape: tuple[int, ...], weights: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Colorize(shape, weights)  # type: ignore[arg-type]


def test_hints_are_luma_and_mask_stacked() -> None:
    mask = torch.rand(6, 5) > 0.5
    x = torch.rand(2, 3, 6, 5)
    A = HintedColorize(mask, (3, 6, 5))
    y = A(x)
    assert torch.equal(y[:, :1], Colorize((3, 6, 5))(x))
    assert torch.equal(y[:, 1:], Mask(mask, (3, 6, 5))(x))
    # A hinted pixel is known whole; of the others, the least colour with the measured luma is.
    found, luma = A.pinv(y), Colorize((3, 6, 5))
    assert torch.allclose(found[..., mask], x[..., mask], atol=1e-5)
    assert torch.allclose(found[..., ~mask], luma.pinv(luma(x))[..., ~mask], atol=1e-5)


def test_hints_of_another_size() -> None:
    with pytest.raises(ShapeError, match=r"the mask is \[5, 6\]; the shape is \[3, 6, 5\]"):
        HintedColorize(torch.ones(5, 6), (3, 6, 5))
