"""The contract, for every operator × number type × batch × odd and non-square sizes."""

from __future__ import annotations

import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from operators import (
    Blur,
    LinearOperator,
    NoFastSVD,
    ShapeError,
    Space,
    check_adjoint,
    check_svd,
    gaussian_kernel,
)


def relative(a: Tensor, b: Tensor) -> float:
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b).clamp_min(1e-30))


def test_adjoint(case: Any) -> None:
    A = case.operator()
    for batch in case.batches():
        check_adjoint(A, batch=batch, tolerance=case.tolerance)
        check_adjoint(A.H, batch=batch, tolerance=case.tolerance)


def test_normal_is_adjoint_of_image(case: Any) -> None:
    A = case.operator()
    x = case.draw((2, *A.domain.shape))
    expected = A.adjoint(A(x))
    assert relative(A.normal(x), expected) < case.tolerance
    assert relative(A.N(x), expected) < case.tolerance
    assert relative((A.H @ A)(x), expected) < case.tolerance


def test_linearity_and_batch(case: Any) -> None:
    A = case.operator()
    for batch in case.batches():
        x, z = case.draw((*batch, *A.domain.shape)), case.draw((*batch, *A.domain.shape), 1)
        y = A(x)
        assert y.shape == (*batch, *A.codomain.shape)
        assert y.dtype == case.dtype
        assert A.adjoint(y).shape == x.shape
        assert relative(A(2 * x - 3 * z), 2 * y - 3 * A(z)) < case.tolerance
    if not A.batch_shape:
        assert relative(A(x)[0, 1], A(x[0, 1])) < case.tolerance


def test_an_empty_batch(one_case: Any) -> None:
    A = one_case.operator()
    x = one_case.draw((0, *A.batch_shape, *A.domain.shape))
    y = A(x)
    assert y.shape == (0, *A.batch_shape, *A.codomain.shape)
    assert y.dtype == A.codomain.dtype
    assert A.adjoint(y).shape == x.shape
    assert A.normal(x).shape == x.shape
    assert A.solve_normal(x, 1.0).shape == x.shape
    assert A.pinv(y, 0.1).shape == x.shape


def test_autocast_leaves_operators_alone(one_case: Any) -> None:
    A, within = one_case.operator(), one_case.operator()
    x = one_case.draw((2, *A.domain.shape))
    with torch.autocast("cpu", torch.bfloat16):
        y, back = within(x), within.solve_normal(x, 1.0)
    assert torch.equal(y, A(x))
    assert torch.equal(back, A.solve_normal(x, 1.0))


def test_svd_or_clear_refusal(case: Any) -> None:
    A = case.operator()
    if case.has_svd:
        check_svd(A, tolerance=10 * case.tolerance)
        assert A.svd() is A.svd()
    else:
        for _ in range(2):
            with pytest.raises(NoFastSVD, match=re.escape(A.name)) as refusal:
                A.svd()
            assert "pinv" in str(refusal.value)
            assert "solve_normal" in str(refusal.value)


def test_replacing_the_spectral_part(svd_case: Any) -> None:
    A = svd_case.operator()
    svd = A.svd()
    x = svd_case.draw((2, *A.domain.shape))
    c = svd_case.draw((2, *svd.spectral_shape), 1)
    z = x + svd.v(c - svd.vt(x))
    assert relative(svd.vt(z), c) < 10 * svd_case.tolerance
    rest = x - svd.v(svd.vt(x))
    error = z - svd.v(c) - rest
    assert float(error.abs().max()) < 100 * svd_case.tolerance


def test_truncation_is_relative_to_the_largest(svd_case: Any) -> None:
    svd = svd_case.operator().svd()
    s, cut = svd.singular_values, svd.truncated(0.3).singular_values
    batch = s.shape[: s.ndim - svd.right.domain.ndim]
    largest = s.reshape(*batch, -1).amax(-1).reshape(*batch, *(1,) * svd.right.domain.ndim)
    assert torch.equal(cut == 0, s < 0.3 * largest)
    assert torch.equal(cut[cut > 0], s[cut > 0])


def test_pinv_identities(svd_case: Any) -> None:
    A = svd_case.operator()
    rcond = 1e-2
    svd = A.svd().truncated(rcond)

    def T(x: Tensor) -> Tensor:
        return svd.u(svd.singular_values * svd.vt(x))

    def P(y: Tensor) -> Tensor:
        return A.pinv(y, rcond)

    x, y = svd_case.draw((2, *A.domain.shape)), svd_case.draw((2, *A.codomain.shape), 1)
    z, w = svd_case.draw((2, *A.domain.shape), 2), svd_case.draw((2, *A.codomain.shape), 3)
    tolerance = 100 * svd_case.tolerance
    assert relative(T(P(T(x))), T(x)) < tolerance
    assert relative(P(T(P(y))), P(y)) < tolerance
    for once, other, projected in ((x, z, P(T(z))), (y, w, T(P(w)))):
        own = P(T(once)) if once is x else T(P(once))
        difference = (own.conj() * other).sum() - (once.conj() * projected).sum()
        assert float(difference.abs()) < tolerance * float(once.norm() * other.norm())


def test_solve_normal_by_svd(svd_case: Any) -> None:
    A = svd_case.operator()
    b = svd_case.draw((2, *A.domain.shape))
    x = A.solve_normal(b, 0.1)
    assert relative(A.normal(x) + 0.1 * x, b) < 100 * svd_case.tolerance
    rho = torch.tensor([0.1, 2.0], dtype=b.dtype, device=b.device)
    x = A.solve_normal(b, rho)
    per_image = rho.reshape(2, *(1,) * A.domain.ndim)
    assert relative(A.normal(x) + per_image * x, b) < 100 * svd_case.tolerance


def test_solve_normal_by_conjugate_gradients(case: Any) -> None:
    A = case.operator() + case.operator()
    b = case.draw((2, *A.domain.shape))
    x = A.solve_normal(b, 0.5)
    assert relative(A.normal(x) + 0.5 * x, b) < 1e-4


def test_pinv_reproduces_the_measurement(one_case: Any) -> None:
    A = one_case.operator()
    y = A(one_case.draw((2, *A.domain.shape)))
    x = A.pinv(y, 1e-3, tolerance=1e-4)
    assert relative(A(x), y) < 2e-2
    if one_case.has_svd:
        # The part of the solution in the null space is zero.
        svd = A.svd()
        assert relative(svd.v(svd.vt(x)), x) < 1e-4


def test_norm_is_the_largest_singular_value(one_case: Any) -> None:
    A = one_case.operator()
    estimate = A.norm()
    assert estimate.shape == (*A.batch_shape, *(1,) * A.domain.ndim)
    x = one_case.draw((2, *A.domain.shape))
    for _ in range(50):
        x = A.normal(x / torch.linalg.vector_norm(x, dim=A.domain.axes, keepdim=True))
    size = torch.linalg.vector_norm(x, dim=A.domain.axes, keepdim=True).sqrt()
    assert float((estimate / size - 1).abs().max()) < 0.05


def test_reverse_mode_is_the_adjoint(case: Any) -> None:
    A = case.operator()
    x = case.draw((2, *A.domain.shape)).requires_grad_()
    y = case.draw((2, *A.codomain.shape), 1)
    # The gradient of Re⟨y, A x⟩ is Aᴴ y, as torch has it for complex numbers too.
    (A(x) * y.conj()).real.sum().backward()
    assert x.grad is not None
    assert relative(x.grad, A.adjoint(y)) < case.tolerance


# torch scripts its own decompositions at the first jvp, and warns about that itself.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_forward_mode_is_the_operator(case: Any) -> None:
    A = case.operator()
    x, v = case.draw((2, *A.domain.shape)), case.draw((2, *A.domain.shape), 1)
    image, tangent = torch.func.jvp(A, (x,), (v,))
    assert relative(image, A(x)) < case.tolerance
    assert relative(tangent, A(v)) < case.tolerance


OTHER_PRECISION = {
    torch.float32: torch.float64,
    torch.float64: torch.float32,
    torch.complex64: torch.complex128,
    torch.complex128: torch.complex64,
}


def test_to_another_number_type(case: Any) -> None:
    A = case.operator()
    x = case.draw((2, *A.domain.shape))
    other = OTHER_PRECISION[case.dtype]
    if case.device == "mps":
        other = case.dtype
    if case.has_svd:
        A.svd()
    B = A.to(dtype=other)
    assert B.domain.dtype == B.codomain.dtype == other
    assert A.domain.dtype == case.dtype
    assert relative(B(x.to(other)).to(case.dtype), A(x)) < 2e-5
    tolerance = 2e-4 if other in (torch.float32, torch.complex64) else 1e-10
    check_adjoint(B, tolerance=tolerance)
    if case.has_svd:
        check_svd(B, tolerance=tolerance)


def test_to_device_keeps_the_svd(one_case: Any) -> None:
    A = one_case.operator()
    B = A.to("cpu")
    assert B.device.type == "cpu"
    if one_case.has_svd:
        s = A.svd().singular_values
        moved = A.to("cpu")
        assert moved.__dict__["_svd"].singular_values.device.type == "cpu"
        assert torch.equal(moved.svd().singular_values, s.cpu())


class Listed(LinearOperator):
    """An operator of one's own, with its arrays in a list."""

    def __init__(self) -> None:
        super().__init__(Space((3,)), Space((3,)))
        self.weights = [torch.full((3,), 2.0), torch.full((3,), 3.0)]

    def _apply(self, x: Tensor) -> Tensor:
        return self.weights[0] * self.weights[1] * x

    _adjoint = _apply


def test_to_moves_arrays_in_a_list() -> None:
    double = Listed().to(dtype=torch.float64)
    assert [weight.dtype for weight in double.weights] == 2 * [torch.float64]
    assert Listed().to("meta").device.type == "meta"


def test_pickle(one_case: Any) -> None:
    A = one_case.operator()
    x = one_case.draw((2, *A.domain.shape))
    B = pickle.loads(pickle.dumps(A))
    assert torch.equal(B(x), A(x))
    assert repr(B) == repr(A)
    if one_case.has_svd:
        C = pickle.loads(pickle.dumps((A, A.svd())))[0]
        assert torch.equal(C.svd().vt(x), A.svd().vt(x))


def test_errors_name_the_operator_and_both_shapes(one_case: Any) -> None:
    A = one_case.operator()
    bad = one_case.draw((2, *A.domain.shape[:-1], A.domain.shape[-1] + 1))
    with pytest.raises(ShapeError, match=re.escape(f"{A.name}: input is {list(bad.shape)}; the ")):
        A(bad)
    with pytest.raises(ShapeError, match=re.escape(f"{A.name}: input is ")):
        A(bad[0, 0])
    bad = one_case.draw((2, *A.codomain.shape[:-1], A.codomain.shape[-1] + 1))
    text = f"{A.name}: measurement is {list(bad.shape)}; the "
    for call in (A.adjoint, A.pinv):
        with pytest.raises(ShapeError, match=re.escape(text)):
            call(bad)
    own = A.domain.dtype
    wrong = torch.zeros((2, *A.domain.shape), dtype=torch.float16, device=one_case.device)
    text = f"{A.name}: input is torch.float16; the operator is {own} (convert it: .to({own}))"
    with pytest.raises(TypeError, match=re.escape(text)):
        A(wrong)
    text = f"(convert it: .to({own}), or operator.to(dtype={OTHER_PRECISION[own]}))"
    with pytest.raises(TypeError, match=re.escape(text)):
        A(wrong.to(OTHER_PRECISION[own]))
    text = f"{A.name}: input is a ndarray; it must be a Tensor"
    with pytest.raises(TypeError, match=re.escape(text)):
        A(np.zeros(2))


def test_what_is_computed_once_may_be_computed_by_several_threads_and_differentiated() -> None:
    for _ in range(10):
        A = Blur((1, 24, 20), gaussian_kernel(1.0), "zero")
        with ThreadPoolExecutor(4) as pool:
            assert len({id(svd) for svd in pool.map(lambda made: made.svd(), [A] * 8)}) == 1
    B = Blur((1, 24, 20), gaussian_kernel(1.0), "zero")
    with torch.inference_mode():
        B.svd()
    y = torch.ones(1, 1, 24, 20, requires_grad=True)
    B.pinv(y, 0.1).sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(y.grad, A.H.pinv(torch.ones_like(y), 0.1))


def test_immutable(one_case: Any) -> None:
    A = one_case.operator()
    with pytest.raises(AttributeError, match="immutable"):
        A.domain = A.codomain


def test_complex_pictures(complex_case: Any) -> None:
    A = complex_case.operator()
    tolerance = complex_case.tolerance
    check_adjoint(A, tolerance=tolerance)
    x = complex_case.draw((2, *A.domain.shape))
    assert relative(A(1j * x), 1j * A(x)) < tolerance
    if complex_case.has_svd:
        check_svd(A, tolerance=10 * tolerance)
    phase = (0.6 + 0.8j) * A
    check_adjoint(phase, tolerance=tolerance)
    if complex_case.has_svd:
        check_svd(phase, tolerance=10 * tolerance)
    b = A.adjoint(A(x))
    solved = A.solve_normal(b, 0.5)
    assert relative(A.normal(solved) + 0.5 * solved, b) < 1e-4


def test_storage_is_linear_in_the_number_of_pixels(one_case: Any) -> None:
    A = one_case.operator()
    if one_case.has_svd:
        A.svd()
    stored: list[Tensor] = []

    def note(t: Tensor) -> Tensor:
        stored.append(t)
        return t

    A._mapped(note, None, {})
    pixels = max(A.domain.numel, A.codomain.numel) // 3
    limit = max(2, max(A.batch_shape, default=1)) * 3 * max(pixels, 23 * 27) + one_case.constant
    assert max(t.untyped_storage().nbytes() // t.element_size() for t in stored) <= limit
