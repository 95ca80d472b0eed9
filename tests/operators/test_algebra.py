"""Composition, sums, multiples, and the SVD that they inherit."""

from __future__ import annotations

import operator
import re

import pytest
import torch

from operators import (
    Blur,
    Colorize,
    Downsample,
    Fourier,
    Hadamard,
    Identity,
    LinearOperator,
    Mask,
    NoFastSVD,
    Separable,
    ShapeError,
    Space,
    box_kernel,
    check_adjoint,
    check_svd,
    gaussian_kernel,
    motion_kernel,
)

SHAPE = (3, 12, 18)
KW = {"dtype": torch.float64}


def dense(A: LinearOperator) -> torch.Tensor:
    basis = torch.eye(A.domain.numel, dtype=torch.float64)
    return A(basis.reshape(-1, *A.domain.shape)).flatten(1).T


def mask(shape: tuple[int, ...]) -> Mask:
    return Mask(torch.rand(shape[1:]) < 0.6, shape, **KW)


def inheriting() -> dict[str, LinearOperator]:
    box = Downsample(SHAPE, 3, kernel="box", **KW)
    bicubic = Downsample(SHAPE, 2, **KW)
    gauss = Blur(SHAPE, gaussian_kernel(0.8), **KW)
    wrapped = Blur(SHAPE, motion_kernel(5, 0.4), "circular", **KW)
    grey = Colorize(SHAPE, **KW)
    full = Hadamard(SHAPE, 1.0, **KW)
    small = bicubic.codomain.shape
    return {
        "a mask after an orthogonal transform": Mask(
            torch.rand(full.codomain.shape) < 0.5, full.codomain.shape, **KW
        )
        @ full,
        "an orthogonal transform after a blur": full @ gauss,
        "a mask after a box": mask(box.codomain.shape) @ box,
        "a mask after grey": mask((1, *SHAPE[1:])) @ grey,
        "grey after a blur": grey @ wrapped,
        "grey after shrinking after a blur": Colorize(small, **KW) @ bicubic @ gauss,
        "grey after a mask": grey @ mask(SHAPE),
        "shrinking after grey": Downsample((1, *SHAPE[1:]), 2, **KW) @ grey,
        "shrinking after a blur": bicubic @ gauss,
        "shrinking after a multiple of a blur": bicubic @ (-3 * gauss),
        "a multiple after a multiple": -2 * (bicubic @ (0.5 * Identity(SHAPE, **KW))),
        "back and forth": bicubic.H @ bicubic,
        "Hadamard of grey of a box": Hadamard((1, 4, 6), 0.5, **KW)
        @ Colorize(box.codomain.shape, **KW)
        @ box,
        "box of box": Downsample(box.codomain.shape, 2, kernel="box", **KW) @ box,
        "identities": Identity(SHAPE, **KW) @ Identity(SHAPE, **KW),
        "zero": 0 * gauss,
        "adjoint of a composition": (mask(box.codomain.shape) @ box).H,
        "Gram of a composition": (bicubic @ gauss).N,
    }


@pytest.mark.parametrize("name", list(inheriting()))
def test_inherited_svd(name: str) -> None:
    A = inheriting()[name]
    check_adjoint(A)
    check_svd(A)
    values = torch.linalg.svdvals(dense(A))
    fast = A.svd().singular_values.flatten().sort(descending=True).values
    count = min(len(values), len(fast))
    assert torch.allclose(values[:count], fast[:count], atol=1e-12)
    assert float(values[count:].abs().max() if count < len(values) else 0) < 1e-12
    assert float(fast[count:].abs().max() if count < len(fast) else 0) < 1e-12


@pytest.mark.parametrize("name", list(inheriting()))
def test_pinv_is_the_dense_one(name: str) -> None:
    A = inheriting()[name]
    y = torch.randn(A.codomain.shape, dtype=torch.float64)
    expected = torch.linalg.pinv(dense(A), rtol=1e-6) @ y.flatten()
    assert torch.allclose(A.pinv(y, 1e-6).flatten(), expected, rtol=1e-6, atol=1e-8)


def test_compositions_without_svd_say_what_to_do() -> None:
    gauss = Blur(SHAPE, gaussian_kernel(0.8), **KW)
    for A in (
        mask(SHAPE) @ gauss,
        gauss @ mask(SHAPE),
        mask((3, 6, 9)) @ Downsample(SHAPE, 2, **KW),
        Blur(SHAPE, motion_kernel(5, 0.4), **KW) @ gauss,
        (mask(SHAPE) @ gauss).H,
        Downsample(SHAPE, 2, **KW) @ Blur(SHAPE, motion_kernel(5, 0.4), "circular", **KW),
    ):
        with pytest.raises(NoFastSVD) as refusal:
            A.svd()
        text = str(refusal.value)
        assert A.name.removesuffix(".H").strip("()") in text
        assert "pinv(y) or solve_normal(b, rho)" in text


def test_mismatches_name_both_operators() -> None:
    bicubic, grey = Downsample(SHAPE, 2, **KW), Colorize(SHAPE, **KW)
    text = "Colorize @ Downsample: Colorize takes [3, 12, 18]; Downsample gives [3, 6, 9]"
    with pytest.raises(ShapeError, match=re.escape(text)):
        grey @ bicubic
    text = "the codomain of Colorize is [1, 12, 18]; that of Downsample is [3, 6, 9]"
    with pytest.raises(ShapeError, match=re.escape(text)):
        grey + bicubic
    masks = [Mask(torch.ones(n, 1, *SHAPE[1:]) > 0, SHAPE, **KW) for n in (2, 3)]
    text = "Mask is one of a batch of [2], Mask of [3]; expected the same"
    for combine in (operator.matmul, operator.add):
        with pytest.raises(ShapeError, match=re.escape(text)):
            combine(masks[0], masks[1])
    with pytest.raises(
        TypeError, match=r"Colorize @ Identity: Colorize is torch\.float64; Identity is"
    ):
        grey @ Identity(SHAPE)
    with pytest.raises(TypeError, match="a real operator cannot be multiplied"):
        1j * grey


def test_arithmetic() -> None:
    x = torch.randn(2, *SHAPE, dtype=torch.float64)
    A, B = Blur(SHAPE, box_kernel(3), **KW), Identity(SHAPE, **KW)
    assert torch.allclose((A + B)(x), A(x) + x)
    assert torch.allclose((B - A)(x), x - A(x))
    assert torch.allclose((-A)(x), -A(x))
    assert torch.allclose((A * 3)(x), 3 * A(x))
    assert torch.allclose((2 * A).adjoint(x), 2 * A.adjoint(x))
    assert torch.allclose((A @ A @ B)(x), A(A(x)))
    assert torch.allclose((A + B).H(x), A.adjoint(x) + x)
    assert A.H.H is A
    assert A.N.H is not None
    with pytest.raises(TypeError):
        A @ 3  # type: ignore[operator]
    with pytest.raises(TypeError):
        A + 3  # type: ignore[operator]
    with pytest.raises(TypeError):
        A - 3  # type: ignore[operator]
    with pytest.raises(TypeError):
        A * "3"  # type: ignore[operator]


def test_names() -> None:
    A, B = Downsample(SHAPE, 2), Blur(SHAPE, box_kernel(3))
    assert (A @ B).name == "Downsample @ Blur"
    assert (A @ (B + B)).name == "Downsample @ (Blur + Blur)"
    assert (2.5 * A).H.name == "(2.5 * Downsample).H"
    assert (A @ B).N.name == "(Downsample @ Blur).N"
    assert repr(A) == "Downsample([3, 12, 18] -> [3, 6, 9], torch.float32, cpu)"


def test_separable_matrices() -> None:
    rows, columns = (
        torch.randn(5, 12, dtype=torch.float64),
        torch.randn(20, 18, dtype=torch.float64),
    )
    A = Separable(SHAPE, rows, columns, **KW)
    assert torch.allclose(dense(A), torch.kron(torch.eye(3).double(), torch.kron(rows, columns)))
    check_svd(A)
    with pytest.raises(
        ShapeError, match=r"the matrices are \[5, 12\] and \[20, 18\]; the shape is"
    ):
        Separable((3, 18, 12), rows, columns)


def test_spaces() -> None:
    assert Space((2, 3)).numel == 6
    assert str(Space((2, 3))) == "[2, 3]"
    with pytest.raises(ValueError, match=r"the shape is \[2, 0\]"):
        Space((2, 0))
    with pytest.raises(ValueError, match="the shape is \\[\\]"):
        Space(())
    with pytest.raises(ValueError, match=r"the type is torch\.float16"):
        Space((2,), torch.float16)
    with pytest.raises(ValueError, match=r"the type is torch\.int64"):
        Identity((2,)).to(dtype=torch.int64)


@pytest.mark.parametrize("make", ["scaled", "sum", "adjoint", "gram", "composition"])
def test_what_is_the_same_for_all_images_keeps_its_svd(make: str) -> None:
    blur = Blur(SHAPE, motion_kernel(5, 0.4), **KW)
    made = {
        "scaled": 2 * blur,
        "sum": blur + blur,
        "adjoint": blur.H,
        "gram": blur.N,
        "composition": blur @ blur,
    }[make]
    known = made.with_svd(Blur(SHAPE, gaussian_kernel(0.8), **KW).svd())
    assert known.take(torch.tensor([0, 0])).svd() is known.svd()


def test_the_identity_gives_an_array_of_its_own() -> None:
    x = torch.zeros(1, *SHAPE, dtype=torch.float64)
    y = Identity(SHAPE, **KW)(x)
    y += 1
    assert not x.any()


def test_the_fourier_transform_moves_with_its_singular_values() -> None:
    moved = Fourier((1, 4, 6)).to("meta")
    assert moved.device.type == moved.svd().singular_values.device.type == "meta"


@pytest.mark.parametrize("border", ["reflect", "zero", "circular", "replicate"])
def test_two_that_are_made_anew_in_another_type_keep_their_tables(border):
    """What is made on the way must not give its place, and its number, to what comes after it."""
    kernels = gaussian_kernel(0.8), gaussian_kernel(2.0)
    for size in range(20, 60):
        shape = (1, size, size + 3)
        x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(size), **KW)
        single = [Blur(shape, kernel, border) for kernel in kernels]
        double = [Blur(shape, kernel, border, **KW) for kernel in kernels]
        for moved, expected in (
            (single[0] @ single[1], double[0](double[1](x))),
            (single[0] + single[1], double[0](x) + double[1](x)),
        ):
            assert torch.allclose(moved.to(**KW)(x), expected, atol=1e-7), size


def test_complex_numbers_are_not_made_real():
    fourier = Fourier((1, 6, 5))
    for one in (fourier, 1j * Identity((1, 4), dtype=torch.complex64), fourier.H @ fourier):
        with pytest.raises(
            TypeError, match=r"is of complex numbers, .*; expected torch.complex128"
        ):
            one.to(dtype=torch.float64)
        assert one.to(dtype=torch.complex128).domain.dtype == torch.complex128
    assert (
        Identity((1, 4), dtype=torch.complex64).to(dtype=torch.float64).domain.dtype.is_complex
        is False
    )


@pytest.mark.parametrize(
    ("fault", "text"),
    [("shape", r"A x is \[2, 1, 1, 4\]"), ("type", r"A x is .* of torch.float64"),
     ("adjoint", r"A\^H y is .* of torch.float64")],
)  # fmt: skip
def test_the_check_of_the_adjoint_sees_what_does_not_fit_its_space(fault, text):
    class Own(LinearOperator):
        def __init__(self) -> None:
            super().__init__(Space((1, 4)), Space((1, 4)))

        def _apply(self, x):
            return {"shape": x[:, None], "type": x.double()}.get(fault, x)

        def _adjoint(self, y):
            return y.double() if fault == "adjoint" else y

    with pytest.raises(AssertionError, match=text):
        check_adjoint(Own(), batch=(2,))
