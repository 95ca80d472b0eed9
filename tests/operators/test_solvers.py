"""Conjugate gradients, where there is no SVD, and the checks themselves."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from operators import (
    Blur,
    ConvergenceError,
    Identity,
    LinearOperator,
    Mask,
    Space,
    ThinSVD,
    check_adjoint,
    check_svd,
    gaussian_kernel,
    motion_kernel,
)
from operators.cg import conjugate_gradient
from operators.valid_border import Border

SHAPE = (1, 15, 12)
KW = {"dtype": torch.float64}


def blurred() -> Blur:
    return Blur(SHAPE, motion_kernel(5, 0.5), **KW)


def test_solve_normal_is_the_dense_solution() -> None:
    A = blurred()
    basis = torch.eye(180, dtype=torch.float64).reshape(180, *SHAPE)
    gram = A.normal(basis).reshape(180, 180)
    b = torch.randn(2, *SHAPE, dtype=torch.float64)
    shift = 0.01 * torch.eye(180, dtype=torch.float64)
    expected = torch.linalg.solve(gram + shift, b.reshape(2, 180).T).T
    assert torch.allclose(A.solve_normal(b, 0.01).reshape(2, 180), expected, rtol=1e-7, atol=1e-8)


def test_pinv_is_the_least_norm_solution() -> None:
    A = Mask(torch.rand(SHAPE) < 0.5, SHAPE, **KW) @ Blur(SHAPE, gaussian_kernel(0.5), **KW)
    basis = torch.eye(180, dtype=torch.float64).reshape(180, *SHAPE)
    matrix = A(basis).reshape(180, 180).T
    y = torch.randn(SHAPE, dtype=torch.float64)
    expected = torch.linalg.pinv(matrix, rtol=1e-9) @ y.flatten()
    assert torch.allclose(A.pinv(y).flatten(), expected, rtol=1e-6, atol=1e-7)


def test_rcond_damps_conjugate_gradients() -> None:
    A = blurred()
    y = torch.randn(SHAPE, dtype=torch.float64)
    damped = A.pinv(y, 0.1)
    rho = float((0.1 * A.norm()).square())
    assert torch.allclose(damped, A.solve_normal(A.adjoint(y), rho), atol=1e-8)


def test_an_image_does_not_depend_on_its_batch() -> None:
    A = blurred()
    b = torch.randn(3, *SHAPE, dtype=torch.float64) * torch.tensor([1, 1e-3, 1e4]).reshape(
        3, 1, 1, 1
    )
    b[1] = A.normal(b[1])
    rho = torch.tensor([0.5, 0.1, 0.02], dtype=torch.float64)
    together = A.solve_normal(b, rho, tolerance=1e-2)
    for index in range(3):
        alone = A.solve_normal(b[index], float(rho[index]), tolerance=1e-2)
        assert float((together[index] - alone).norm() / alone.norm()) < 1e-6


def test_failure_to_converge_is_an_error() -> None:
    A = blurred()
    y = torch.randn(SHAPE, dtype=torch.float64)
    with pytest.raises(ConvergenceError) as failure:
        A.pinv(y, max_iterations=5)
    text = str(failure.value)
    assert text.startswith("pinv of Blur: conjugate gradients came to a relative residual of ")
    assert "in 5 iterations, not to 1.0e-10" in text
    with pytest.raises(ConvergenceError, match="solve_normal of Blur"):
        A.solve_normal(y, 1e-9, max_iterations=5)


def test_zero_right_hand_side() -> None:
    A = blurred()
    zero = torch.zeros(2, *SHAPE, dtype=torch.float64)
    assert torch.equal(A.pinv(zero), zero)
    both = torch.stack([zero[0], torch.ones(SHAPE, dtype=torch.float64)])
    assert torch.equal(A.solve_normal(both, 0.1)[0], zero[0])
    assert bool(A.solve_normal(both, 0.1).isfinite().all())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_image_that_is_not_finite_gives_nan_and_leaves_the_others(value: float) -> None:
    A = blurred()
    b = torch.randn(2, *SHAPE, dtype=torch.float64)
    alone = A.solve_normal(b, 0.1)[1]
    b[0, 0, 0, 0] = value
    x = A.solve_normal(b, 0.1)
    assert bool(x[0].isnan().all())
    assert torch.equal(x[1], alone)


def test_a_residual_that_is_rounding_is_no_failure() -> None:
    """In single precision a condition of 2500 leaves more than 1e-5 of ‖b‖, for any number of
    iterations, where b lies in the weakest directions."""
    A = Blur((1, 24, 24), motion_kernel(5, 0.5))
    eigen = torch.linalg.eigh(_dense_normal(A))
    weakest = eigen.eigenvectors[:, 0].reshape(1, 24, 24).float()
    assert float(eigen.eigenvalues[0]) < 1e-4
    x = A.solve_normal(weakest, 4e-4)
    exact = 1 / (float(eigen.eigenvalues[0]) + 4e-4)
    assert float((x / exact - weakest).norm()) < 1e-2


def _dense_normal(A: Blur) -> torch.Tensor:
    exact = A.to(dtype=torch.float64)
    unit = torch.eye(A.domain.numel, dtype=torch.float64).reshape(-1, *A.domain.shape)
    return exact.normal(unit).flatten(1)


def test_more_iterations_than_needed_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator: the number of iterations is fixed, converged images stay."""
    A = blurred()
    b = torch.randn(2, *SHAPE, dtype=torch.float64)
    expected = A.solve_normal(b, 0.1)

    class Elsewhere(Tensor):
        @property
        def device(self) -> torch.device:  # type: ignore[override]
            return torch.device("cuda")

    x = conjugate_gradient(
        lambda v: A.normal(v.as_subclass(Tensor)) + 0.1 * v,
        b.as_subclass(Elsewhere),
        (-3, -2, -1),
        name="test",
        max_iterations=400,
    )
    assert torch.allclose(x.as_subclass(Tensor), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("rho", [0.0, -1.0, float("nan")])
def test_rho_must_be_positive(rho: float) -> None:
    with pytest.raises(ValueError, match="needs rho > 0"):
        Identity((2, 2)).solve_normal(torch.ones(2, 2), rho)


class _Wrong(LinearOperator):
    """Twice the identity, with a factor planted somewhere."""

    _real_matrix: ClassVar[bool] = True

    def __init__(self, *, adjoint: float = 2.0, left: float = 1.0, value: float = 2.0) -> None:
        space = Space((3, 4), torch.float32)
        super().__init__(space, space)
        self.factor, self.left, self.value = adjoint, left, value

    def _apply(self, x: Tensor) -> Tensor:
        return 2 * x

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.factor * y

    def _factorise(self) -> ThinSVD:
        frame = Identity((3, 4))
        return ThinSVD(self.left * frame, torch.full((3, 4), self.value), frame)


def test_checks_see_planted_factors() -> None:
    check_adjoint(_Wrong())
    check_svd(_Wrong())
    with pytest.raises(AssertionError, match="_Wrong: <Ax, y> and <x, A\\^H y> differ by"):
        check_adjoint(_Wrong(adjoint=2.001))
    with pytest.raises(AssertionError, match="_Wrong: A = U s V\\^H fails by"):
        check_svd(_Wrong(value=2.001))
    with pytest.raises(AssertionError, match="U\\^H U = I fails"):
        check_svd(_Wrong(left=1.001, value=2 / 1.001))
    with pytest.raises(AssertionError, match="s >= 0 fails"):
        check_svd(_Wrong(left=-1.0, value=-2.0))
    assert check_adjoint(_Wrong(adjoint=2.001), tolerance=0.01) > 1e-4


@pytest.mark.parametrize("kernel", ["separable", "general"])
def test_a_valid_blur_is_solved_with_any_filter(kernel: str) -> None:
    """The solution by dense matrices, D = F⁻¹dF on the torus, on odd and even sides."""
    for shape in ((2, 11, 14), (1, 12, 9), (1, 7, 16)):
        taps = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        taps = torch.outer(taps[:, 0], taps[0]) if kernel == "separable" else taps
        blur = Blur(shape, taps / taps.sum(), "valid", dtype=torch.float64)
        valid = blur.valid
        assert valid is not None
        size = valid.torus
        assert all(whole >= side for whole, side in zip(size, shape[1:], strict=True))
        damping = torch.rand(size[0], size[1] // 2 + 1, dtype=torch.float64) + 0.01
        # A filter of real pictures: the first and the middle column are those of even functions.
        damping = torch.fft.rfft2(torch.fft.irfft2(damping, s=size)).real
        b = torch.randn(2, *shape, dtype=torch.float64)
        x = valid.solve_filtered(b, damping, tolerance=1e-10)
        torch.testing.assert_close(x, _least_on_torus(blur, damping, b), rtol=0, atol=1e-6)
        by_number = blur.solve_normal(b, 0.02, tolerance=1e-10)
        torch.testing.assert_close(blur.normal(by_number) + 0.02 * by_number, b, rtol=0, atol=1e-7)
    assert Blur(shape, taps, "zero").valid is None


@pytest.mark.parametrize("device_reads", [True, False])
def test_the_border_of_a_large_picture_is_solved_near_itself(
    device_reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(AᴴA + ρI) x = b also at the border, whether G is cut off or not."""
    near, used = Border._near, []

    def seen(self: Border, kernel: Tensor, tail: float) -> object:
        used.append(near(self, kernel, tail) if device_reads else None)
        return used[-1]

    monkeypatch.setattr(Border, "_near", seen)
    blur = Blur((2, 160, 200), gaussian_kernel(1.0), "valid")
    assert blur.valid is not None
    assert blur.has_svd
    y = torch.randn(blur.codomain.shape, generator=torch.Generator().manual_seed(0))
    x = blur.valid.damped_pinv(y, 0.01, tolerance=1e-4)
    assert (used[0] is not None) == device_reads
    residual = blur.adjoint(y) - blur.normal(x) - 0.01 * x
    for edge in (residual[:, :12], residual[:, -12:], residual[..., :12], residual[..., -12:]):
        assert float(edge.square().mean().sqrt()) < 2e-3 * float(blur.adjoint(y).std())
    exact = blur.svd().solve_normal(blur.adjoint(y), 0.01)
    assert float((x - exact).square().mean().sqrt()) < 2e-3 * float(exact.std())


@pytest.mark.parametrize(
    ("size", "kernel"),
    [
        *(((1, 1), (1, 1)), ((1, 40), (1, 1)), ((36, 50), (1, 1))),
        *(((1, 40), (1, 9)), ((36, 50), (1, 9)), ((36, 50), (9, 1)), ((17, 49), (9, 1))),
    ],
)
def test_kernels_of_one_row_or_column_have_a_border_of_one_strip_or_none(
    size: tuple[int, int], kernel: tuple[int, int]
) -> None:
    values = torch.rand(kernel, generator=torch.Generator().manual_seed(0)).double()
    blur = Blur((2, *size), values / values.sum(), "valid", dtype=torch.float64)
    y = torch.randn(blur.codomain.shape, generator=torch.Generator().manual_seed(1)).double()
    assert blur.valid is not None
    x = blur.valid.damped_pinv(y, 0.01)
    right = blur.adjoint(y)
    assert float((right - blur.normal(x) - 0.01 * x).norm()) < 1e-8 * float(right.norm())


def test_a_loose_tolerance_still_solves_the_border() -> None:
    """The border is a small share of a picture; its own residual is three hundredths at most."""
    blur = Blur((1, 200, 200), gaussian_kernel(0.6), "valid")
    assert blur.valid is not None
    y = torch.randn(blur.codomain.shape, generator=torch.Generator().manual_seed(0))
    x, exact = (blur.valid.damped_pinv(y, 1e-3, tolerance=loose) for loose in (0.1, 1e-5))
    assert float((x - exact)[..., :6].square().mean()) < 1e-2 * float(exact.square().mean())


def _least_on_torus(blur: Blur, damping: Tensor, b: Tensor) -> Tensor:
    """The x part of the solution z of (RᵀAᴴAR + D) z = Rᵀb, R z being the picture in the corner."""
    height, width = blur.domain.shape[1:]
    assert blur.valid is not None
    size = blur.valid.torus
    unit = torch.eye(size[0] * size[1], dtype=b.dtype).reshape(-1, *size)
    corner = unit[:, None, :height, :width].expand(-1, blur.domain.shape[0], -1, -1)
    matrix = torch.fft.irfft2(damping * torch.fft.rfft2(unit), s=size)
    pad = (0, size[1] - width, 0, size[0] - height)
    matrix += torch.nn.functional.pad(blur.normal(corner.contiguous())[:, 0], pad)
    right = torch.nn.functional.pad(b, pad).flatten(-2)
    solved = torch.linalg.solve(matrix.flatten(1), right.movedim(-1, 0).flatten(1))
    return solved.reshape(*size, *b.shape[:2]).movedim((0, 1), (2, 3))[..., :height, :width]


def test_a_solution_of_a_valid_blur_is_differentiated() -> None:
    A = Blur((1, 15, 12), motion_kernel(5, 0.5), "valid", dtype=torch.float64)
    b = torch.randn(2, 1, 15, 12, dtype=torch.float64, requires_grad=True)
    v = torch.randn(2, 1, 15, 12, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(A.solve_normal(b, 0.1), b, v)
    assert torch.allclose(gradient, A.solve_normal(v, 0.1), rtol=1e-6, atol=1e-8)


def test_the_norm_of_a_valid_blur_is_known_without_iterations() -> None:
    kernel = motion_kernel(4, 0.5)
    blur = Blur((1, 40, 50), kernel, "valid")
    exact = Blur((1, 40, 50), kernel, "valid", dtype=torch.float64)
    matrix = exact(torch.eye(2000, dtype=torch.float64).reshape(-1, 1, 40, 50)).flatten(1)
    largest = float(torch.linalg.matrix_norm(matrix, 2))
    assert largest <= float(blur.norm()) <= 1.03 * largest


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_whatever_comes_back_is_solved(dtype: torch.dtype) -> None:
    """To twice the tolerance or to rounding, wherever the iterations end."""
    eigenvalues = torch.logspace(0, -1.5, 40, dtype=dtype)
    b = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=dtype)
    ended = []
    for most in range(1, 40):
        try:
            x = conjugate_gradient(
                lambda x: eigenvalues * x, b, (-1,), name="M", tolerance=1e-5, max_iterations=most
            )
        except ConvergenceError:
            continue
        ended.append(most)
        allowed = max(2e-5 * float(b.norm()), 8 * torch.finfo(dtype).eps * float(x.norm()))
        assert float((b - eigenvalues * x).norm()) <= allowed
    assert ended
