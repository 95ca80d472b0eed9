"""Blur against SciPy, for every border and way of applying it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from scipy.signal import convolve2d

from operators import Blur, ShapeError, box_kernel, disk_kernel, gaussian_kernel, motion_kernel
from operators.convolution import (
    CircularConvolution,
    CosineConvolution,
    PaddedConvolution,
    fast_length,
)
from operators.line_convolution import LineConvolution
from operators.valid_blur import ValidConvolution

MODES = {"reflect": "reflect", "replicate": "nearest", "zero": "constant", "circular": "wrap"}
RANDOM = np.random.default_rng(0)
KERNELS = {
    "gaussian": gaussian_kernel(1.1),
    "box 3": box_kernel(3),
    "box 4": box_kernel(4),
    "motion": motion_kernel(6.5, 0.7),
    "disk": disk_kernel(2.3),
    "asymmetric": torch.from_numpy(RANDOM.random((4, 3))),
    "separable": torch.outer(torch.tensor([0.1, 0.5, 0.4]), torch.tensor([0.2, 0.8])).double(),
    "one pixel": torch.ones(1, 1, dtype=torch.float64),
    "edge": torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64),
    "ridge": torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([-1.0, 2, -1])).double(),
    "negative": -box_kernel(3),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("size", [(17, 23), (16, 9), (12, 12), (5, 4)], ids=str)
def test_equals_scipy(
    kernel: str, border: str, size: tuple[int, int], device: torch.device
) -> None:
    if device.type == "mps":
        pytest.skip("MPS has no double precision")
    k = KERNELS[kernel]
    x = np.random.default_rng(1).random((2, *size))
    expected = np.stack([convolve(channel, k.numpy(), mode=MODES[border]) for channel in x])
    A = Blur((2, *size), k, border, dtype=torch.float64, device=device)
    assert np.abs(A(torch.from_numpy(x).to(device)).cpu().numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("kernel", KERNELS)
def test_valid_border(kernel: str, device: torch.device) -> None:
    k = KERNELS[kernel]
    x = np.random.default_rng(1).random((2, 17, 23), dtype=np.float32)
    expected = np.stack([convolve2d(channel, k.numpy(), "valid") for channel in x])
    A = Blur((2, 17, 23), k, "valid", device=device)
    assert A.codomain.shape == expected.shape
    assert np.abs(A(torch.from_numpy(x).to(device)).cpu().numpy() - expected).max() < 1e-5


def test_gaussian_filter_of_scipy() -> None:
    x = np.random.default_rng(1).random((31, 40))
    A = Blur((1, 31, 40), gaussian_kernel(1.7), dtype=torch.float64)
    expected = gaussian_filter(x, 1.7)
    assert np.abs(A(torch.from_numpy(x)[None])[0].numpy() - expected).max() < 1e-14


@pytest.mark.parametrize(
    ("kernel", "border", "engine"),
    [
        ("gaussian", "reflect", CosineConvolution),
        ("disk", "reflect", CosineConvolution),
        ("box 4", "reflect", LineConvolution),
        ("gaussian", "replicate", LineConvolution),
        ("separable", "zero", LineConvolution),
        ("gaussian", "valid", LineConvolution),
        ("motion", "circular", CircularConvolution),
        ("gaussian", "circular", CircularConvolution),
        ("motion", "reflect", PaddedConvolution),
        ("disk", "replicate", PaddedConvolution),
        ("asymmetric", "valid", ValidConvolution),
    ],
)
def test_fastest_way_is_chosen(kernel: str, border: str, engine: type) -> None:
    assert type(Blur((3, 16, 20), KERNELS[kernel], border)._engine) is engine


def test_singular_values_of_the_dense_matrix() -> None:
    size = (6, 7)
    basis = torch.eye(42, dtype=torch.float64).reshape(42, 1, *size)
    for kernel in ("gaussian", "box 3", "separable", "asymmetric"):
        for border in ("reflect", "circular", "zero", "replicate"):
            A = Blur((1, *size), KERNELS[kernel], border, dtype=torch.float64)
            svd = A.svd_or_none()
            if svd is not None:
                dense = torch.linalg.svdvals(A(basis).reshape(42, 42))
                fast = svd.singular_values.flatten().sort(descending=True).values
                assert torch.allclose(dense, fast, atol=1e-13)


def test_a_line_is_a_separable_kernel() -> None:
    line = torch.tensor([0.2, 0.5, 0.3])
    x = torch.rand(3, 9, 8)
    assert torch.allclose(Blur(x.shape, line)(x), Blur(x.shape, torch.outer(line, line))(x))


def test_kernels() -> None:
    for kernel in KERNELS:
        if kernel in ("gaussian", "box 3", "box 4", "motion", "disk"):
            assert float(KERNELS[kernel].sum()) == pytest.approx(1, abs=1e-12)
    assert gaussian_kernel(2.0).shape == (17, 17)
    assert torch.allclose(motion_kernel(5, 0)[2], torch.full((5,), 0.2, dtype=torch.float64))
    assert torch.allclose(motion_kernel(5, np.pi / 2)[:, 2], torch.full((5,), 0.2).double())
    rising = motion_kernel(7, np.pi / 4)
    assert float(rising[0:2, 5:7].sum() + rising[5:7, 0:2].sum()) > 0.35
    assert float(rising[0:2, 0:2].sum()) == 0
    disk = disk_kernel(3.5)
    assert disk.shape == (7, 7)
    assert float(disk[3, 3]) == pytest.approx(1 / (np.pi * 3.5**2), rel=0.01)
    assert torch.equal(disk, disk.T)
    for radius in (1e-300, 0.02, 0.5):
        assert disk_kernel(radius).tolist() == [[1.0]]
    assert disk_kernel(0.51).shape == (3, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: gaussian_kernel(0), "sigma is 0"),
        (lambda: gaussian_kernel(float("nan")), "sigma is nan"),
        (lambda: box_kernel(0), "size is 0"),
        (lambda: motion_kernel(0.5, 0), "length is 0.5"),
        (lambda: disk_kernel(-1), "radius is -1"),
        (lambda: Blur((1, 8, 8), box_kernel(3), "mirror"), "the border is one of reflect"),
        (lambda: Blur((1, 8, 8), torch.ones(2, 2, 2)), r"the kernel is \[2, 2, 2\]"),
        (lambda: Blur((1, 8, 8), torch.ones(3, 3) / 0), "not finite"),
        (lambda: Blur((1, 2, 8), box_kernel(3), "valid"), r"the kernel is \[3, 3\], larger"),
    ],
)
def test_refusals(call: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()  # type: ignore[operator]
    with pytest.raises(ShapeError, match=r"Blur: the shape is \[8, 8\]"):
        Blur((8, 8), box_kernel(3))


def test_the_kernel_is_copied() -> None:
    kernel = box_kernel(3)
    A = Blur((1, 8, 8), kernel)
    kernel.zero_()
    A.kernel.zero_()
    assert float(A.kernel.sum()) == pytest.approx(1)


def test_fast_lengths() -> None:
    assert [fast_length(n) for n in (1, 7, 11, 2049, 2063)] == [1, 7, 12, 2058, 2100]
    assert fast_length(625) == 625
