"""The operators that the contract suite runs over, each with a small picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import operators
from operators import LinearOperator

Build = Callable[[tuple[int, int, int], dict[str, Any]], LinearOperator]

SIZES = ((16, 16), (15, 22), (9, 8))
DTYPES = (torch.float32, torch.float64)
ASYMMETRIC = torch.tensor([[0.1, 0.0, 0.3], [0.2, 0.4, 0.1], [0.0, 0.1, 0.2], [0.1, 0.2, 0.1]])
LINES = (torch.tensor([0.1, 0.5, 0.2, 0.3]).double(), torch.tensor([0.2, 0.7, 0.1]).double())
KERNELS = {
    "gaussian": operators.gaussian_kernel(0.7),
    "separable": torch.outer(*LINES),
    "disk": operators.disk_kernel(2.2),
    "motion": operators.motion_kernel(5, 0.5),
    "asymmetric": ASYMMETRIC,
}

# The angles of the CT scans.
TURN = torch.arange(11).double() * 0.6

# One kernel for each way of applying it.
BLURS = {
    "reflect": ("gaussian", "separable", "disk", "motion"),
    "replicate": ("gaussian", "separable", "asymmetric"),
    "zero": ("gaussian", "separable", "motion"),
    "circular": ("gaussian", "motion", "asymmetric"),
    "valid": ("gaussian", "asymmetric"),
}


def random_mask(*shape: int) -> Tensor:
    """Return a mask that keeps about 60 %, with one pixel kept and one missing for certain."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.6
    mask.view(-1)[0], mask.view(-1)[-1] = True, False
    return mask


def divided(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return a size by which both sides of the test pictures can be divided."""
    return tuple(next(side // f for f in (3, 2) if side % f == 0) for side in shape[1:])  # type: ignore[return-value]


def tables() -> Tensor:
    """Return a quantisation table for each component, 100 to 300."""
    return 100 + 200 * torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(2))


def blur(kernel: str, border: str) -> Build:
    return lambda shape, kw: operators.Blur(shape, KERNELS[kernel], border, **kw)


def down(kernel: str) -> Build:
    return lambda shape, kw: operators.Downsample(shape, 2, kernel=kernel, **kw)


def _box(shape: tuple[int, int, int], kw: dict[str, Any]) -> LinearOperator:
    return operators.Downsample(shape, size=divided(shape), kernel="box", **kw)


def _masked_box(shape: tuple[int, int, int], kw: dict[str, Any]) -> LinearOperator:
    small = (shape[0], *divided(shape))
    return operators.Mask(random_mask(*small[1:]), small, **kw) @ _box(shape, kw)


def _grey_small(shape: tuple[int, int, int], kw: dict[str, Any]) -> LinearOperator:
    A = operators.Downsample(shape, 2, **kw)
    return operators.Colorize(A.codomain.shape, **kw) @ A


def _masked_grey(shape: tuple[int, int, int], kw: dict[str, Any]) -> LinearOperator:
    mask = random_mask(*shape[1:])
    return operators.Mask(mask, (1, *shape[1:]), **kw) @ operators.Colorize(shape, **kw)


def _masked_blur(shape: tuple[int, int, int], kw: dict[str, Any]) -> LinearOperator:
    return operators.Mask(random_mask(*shape[1:]), shape, **kw) @ blur("gaussian", "reflect")(
        shape, kw
    )


def coil_maps(*shape: int) -> Tensor:
    """Return random complex sensitivities."""
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(3))


def lines(count: int) -> Tensor:
    """Return a mask of lines, as a vector."""
    return random_mask(count)


def spokes(count: int) -> Tensor:
    """Return a radial trajectory."""
    angle = torch.arange(count).double() * (torch.pi / count)
    radius = torch.linspace(-0.5, 0.49, 24).double()
    return torch.stack([radius[:, None] * angle.sin(), radius[:, None] * angle.cos()], -1).flatten(
        0, 1
    )


MRI: dict[str, Build] = {
    "fourier": lambda shape, kw: operators.Fourier(shape, **kw),
    "mri": lambda shape, kw: operators.CartesianMRI(random_mask(*shape[1:]), (1, *shape[1:]), **kw),
    "mri per image": lambda shape, kw: operators.CartesianMRI(
        random_mask(2, 1, *shape[1:]), (1, *shape[1:]), **kw
    ),
    "mri scaled": lambda shape, kw: (1.5 - 2j) * MRI["mri"](shape, kw),
    "sense columns": lambda shape, kw: operators.SenseMRI(
        coil_maps(3, *shape[1:]), lines(shape[2])[None], **kw
    ),
    "sense rows": lambda shape, kw: operators.SenseMRI(
        coil_maps(2, 3, *shape[1:]), lines(shape[1])[:, None], **kw
    ),
    "sense per image": lambda shape, kw: operators.SenseMRI(
        coil_maps(2, 1, 3, *shape[1:]), lines(shape[2])[None], **kw
    ),
    "sense": lambda shape, kw: operators.SenseMRI(
        coil_maps(3, *shape[1:]), random_mask(*shape[1:]), **kw
    ),
    "non-cartesian": lambda shape, kw: operators.NonCartesianMRI(
        spokes(11), (1, *shape[1:]), coil_maps(3, *shape[1:]), **kw
    ),
    "non-cartesian per image": lambda shape, kw: operators.NonCartesianMRI(
        spokes(11), (1, *shape[1:]), coil_maps(2, 3, *shape[1:]), **kw
    ),
}
COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}

BUILDS: dict[str, Build] = {
    "identity": lambda shape, kw: operators.Identity(shape, **kw),
    "mask": lambda shape, kw: operators.Mask(random_mask(*shape[1:]), shape, **kw),
    "mask per channel": lambda shape, kw: operators.Mask(random_mask(*shape), shape, **kw),
    "mask per image": lambda shape, kw: operators.Mask(random_mask(2, 1, *shape[1:]), shape, **kw),
    "colorize": lambda shape, kw: operators.Colorize(shape, **kw),
    "colorize mean": lambda shape, kw: operators.Colorize(shape, "mean", **kw),
    "hinted": lambda shape, kw: operators.HintedColorize(random_mask(*shape[1:]), shape, **kw),
    "hinted mean": lambda shape, kw: operators.HintedColorize(
        random_mask(*shape[1:]), shape, "mean", **kw
    ),
    "downsample box": _box,
    "downsample bilinear": down("bilinear"),
    "downsample bicubic": down("bicubic"),
    "downsample lanczos": down("lanczos"),
    "downsample 1.5": lambda shape, kw: operators.Downsample(shape, 1.5, **kw),
    "downsample size": lambda shape, kw: operators.Downsample(shape, size=(5, 7), **kw),
    "resize up": lambda shape, kw: operators.Resize(shape, (23, 27), **kw),
    "hadamard": lambda shape, kw: operators.Hadamard(shape, 0.4, **kw),
    "hadamard full": lambda shape, kw: operators.Hadamard(shape, 1.0, **kw),
    **{
        f"blur {kernel} {border}": blur(kernel, border)
        for border, kernels in BLURS.items()
        for kernel in kernels
    },
    "downsample of blur": lambda shape, kw: (
        operators.Downsample(shape, 2, **kw) @ blur("gaussian", "reflect")(shape, kw)
    ),
    "mask of box": _masked_box,
    "colorize of downsample": _grey_small,
    "mask of colorize": _masked_grey,
    "mask of blur": _masked_blur,
    "scaled": lambda shape, kw: -2.5 * operators.Downsample(shape, 2, **kw),
    "sum": lambda shape, kw: blur("motion", "zero")(shape, kw) + operators.Identity(shape, **kw),
    "adjoint": lambda shape, kw: operators.Downsample(shape, 2, **kw).H,
    "gram": lambda shape, kw: operators.Downsample(shape, 2, **kw).N,
    "turn": lambda shape, kw: operators.Turn(shape, 6, **kw),
    "jpeg": lambda shape, kw: operators.Jpeg(shape, "4:2:2", tables(), **kw),
    "jpeg decoder": lambda shape, kw: operators.Jpeg(shape, "4:2:0", **kw).decoder,
    "parallel beam": lambda shape, kw: operators.ParallelBeamCT(
        (1, *shape[1:]), TURN, 17, 1.2, center=7.6, **kw
    ),
    "fan beam": lambda shape, kw: operators.FanBeamCT(
        (1, *shape[1:]), TURN, 17, 1.9, source_origin=50.0, source_detector=80.0, **kw
    ),
    **MRI,
}

# The dense matrices of an MCU, which do not grow with the picture.
CONSTANT = {"jpeg": 256 * 384}
# The SVD of parallel imaging is a matrix for each position of the readout.
CONSTANT |= dict.fromkeys(("sense columns", "sense rows", "sense per image"), 2 * 15 * 66 * 22)

NO_SVD = {
    "jpeg decoder",
    "mask of blur",
    "sum",
    "parallel beam",
    "fan beam",
    "sense",
    "non-cartesian",
    "non-cartesian per image",
    "blur motion reflect",
    "blur asymmetric replicate",
    "blur motion zero",
    "blur asymmetric valid",
}


@dataclass(frozen=True)
class Case:
    """One operator to test; `operator()` builds it."""

    name: str
    size: tuple[int, int]
    dtype: torch.dtype
    has_svd: bool
    device: str = "cpu"

    def operator(self) -> LinearOperator:
        return BUILDS[self.name]((3, *self.size), {"dtype": self.dtype, "device": self.device})

    @property
    def constant(self) -> int:
        """Elements that the operator may store besides those that grow with the picture."""
        return CONSTANT.get(self.name, 0)

    @property
    def tolerance(self) -> float:
        return 2e-5 if self.dtype in (torch.float32, torch.complex64) else 1e-12

    def batches(self) -> tuple[tuple[int, ...], ...]:
        return ((2,), (3, 2)) if self.name.endswith("per image") else ((), (2,), (3, 2))

    def draw(self, shape: tuple[int, ...], seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(shape, generator=generator, dtype=self.dtype).to(self.device)


def _cases(
    names: list[str], sizes: tuple[tuple[int, int], ...], dtypes: tuple[torch.dtype, ...]
) -> list[Any]:
    return [
        pytest.param(
            Case(
                name,
                size,
                COMPLEX.get(dtype, dtype) if name in MRI else dtype,
                has_svd=name not in NO_SVD,
            ),
            id=f"{name}-{size[0]}x{size[1]}-{str(dtype).removeprefix('torch.')}",
        )
        for name in names
        for size in sizes
        for dtype in dtypes
    ]


def _on_device(case: Case, device: torch.device) -> Case:
    if device.type == "mps" and case.dtype in (torch.float64, torch.complex128):
        pytest.skip("MPS has no double precision")
    return replace(case, device=str(device))


@pytest.fixture(params=_cases(list(BUILDS), SIZES, DTYPES))
def case(request: pytest.FixtureRequest, device: torch.device) -> Case:
    """Every operator, size and number type."""
    return _on_device(request.param, device)


@pytest.fixture(params=_cases([n for n in BUILDS if n not in NO_SVD], SIZES, DTYPES))
def svd_case(request: pytest.FixtureRequest, device: torch.device) -> Case:
    """Every operator that has a fast SVD."""
    return _on_device(request.param, device)


@pytest.fixture(params=_cases(list(BUILDS), SIZES[1:2], (torch.float32,)))
def one_case(request: pytest.FixtureRequest, device: torch.device) -> Case:
    """Every operator once, for the checks that do not depend on the size."""
    return _on_device(request.param, device)


@pytest.fixture(params=_cases(list(BUILDS), SIZES[1:2], (torch.complex64, torch.complex128)))
def complex_case(request: pytest.FixtureRequest, device: torch.device) -> Case:
    """Every operator for complex pictures."""
    return _on_device(request.param, device)
