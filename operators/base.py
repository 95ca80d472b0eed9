"""The contract of a linear operator: spaces, adjoint, algebra, normal equations, SVD."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from operators import matrix_free
from operators.space import COMPLEX_TYPES, REAL_TYPES, ShapeError, Space, refusal, shape_text
from operators.svd import INSTEAD, NoFastSVD, ThinSVD

if TYPE_CHECKING:
    from operators.separable import Separable

Part = TypeVar("Part")
# What was mapped, by its number: it is kept, since what comes after it could have the same one.
Memo = dict[int, tuple[object, object]]


class LinearOperator(abc.ABC):
    """A linear map y = A x between two spaces, immutable, on any leading batch dimensions.

    A subclass calls `super().__init__(domain, codomain)`, keeps its tensors and operators as
    attributes (or in tuples or lists) and defines `_apply` and `_adjoint` (`_factorise` where it
    has a fast SVD, `batch_shape` and `_take` where it differs from image to image). A matrix of
    real numbers is applied to complex arrays part by part, so one implementation serves both; one
    of complex numbers sets `_real_matrix = False`.

    Attributes:
        domain: Space of x, without batch.
        codomain: Space of y, without batch.
    """

    domain: Space
    codomain: Space
    _real_matrix: ClassVar[bool] = True

    def __init__(self, domain: Space, codomain: Space) -> None:
        self.domain = domain
        self.codomain = codomain

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__} is immutable; .to(...) gives a new operator"
            )
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """Name for errors and reports."""
        return type(self).__name__

    @property
    def device(self) -> torch.device:
        """Device of the operator's arrays."""
        return next((t.device for t in tensors_of(self)), torch.device("cpu"))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Batch dimensions of an operator that differs from image to image, otherwise ()."""
        return ()

    def take(self, index: Tensor) -> LinearOperator:
        """Return the operator of the images `index` of the batch; itself if all are alike."""
        return self if self.batch_shape in ((), (1,)) else self._take(index)

    def _take(self, index: Tensor) -> LinearOperator:
        """`take` for an operator that differs from image to image."""
        raise NotImplementedError

    # --- application ---------------------------------------------------------------------------

    @abc.abstractmethod
    def _apply(self, x: Tensor) -> Tensor:
        """A x for an array whose shape has been checked."""

    @abc.abstractmethod
    def _adjoint(self, y: Tensor) -> Tensor:
        """Aᴴ y for an array whose shape has been checked."""

    def _normal(self, x: Tensor) -> Tensor:
        """AᴴA x for an array whose shape has been checked."""
        return self._adjoint(self._apply(x))

    def __call__(self, x: Tensor) -> Tensor:
        """Return A x: `[*batch, *domain.shape]` to `[*batch, *codomain.shape]`.

        Raises:
            ShapeError: If x does not end in the domain's shape.
            TypeError: If x has another number type.
        """
        self._check(x, self.domain, "input", self._domain_text())
        return self._by_parts(self._apply, x, self.domain, self.codomain)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return Aᴴ y: `[*batch, *codomain.shape]` to `[*batch, *domain.shape]`.

        Raises:
            ShapeError: If y does not end in the codomain's shape.
            TypeError: If y has another number type.
        """
        self._check(y, self.codomain, "measurement", self._codomain_text())
        return self._by_parts(self._adjoint, y, self.codomain, self.domain)

    def normal(self, x: Tensor) -> Tensor:
        """Return AᴴA x: `[*batch, *domain.shape]` to the same.

        Raises:
            ShapeError: If x does not end in the domain's shape.
            TypeError: If x has another number type.
        """
        self._check(x, self.domain, "input", self._domain_text())
        return self._by_parts(self._normal, x, self.domain, self.domain)

    def _by_parts(
        self, fn: Callable[[Tensor], Tensor], x: Tensor, space: Space, to: Space
    ) -> Tensor:
        # Transforms and interpolations of no picture are refused by torch.
        if x.numel() == 0:
            return x.new_zeros(*x.shape[: -space.ndim], *to.shape, dtype=to.dtype)
        # Autocast is meant for networks: it would round measurements to half precision.
        kind = x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            with torch.autocast(kind, enabled=False):
                return self._by_parts(fn, x, space, to)
        if self._real_matrix and x.is_complex():
            return torch.complex(fn(x.real), fn(x.imag))
        return fn(x)

    def _domain_text(self) -> str:
        return f"the domain is {self.domain}"

    def _codomain_text(self) -> str:
        return f"the codomain is {self.codomain}"

    def _check(self, x: Tensor, space: Space, role: str, expected: str) -> None:
        if not space.holds(x):
            raise refusal(x, space, f"{self.name}: {role}", expected)
        batch, own = self.batch_shape, x.shape[: -space.ndim]
        own = own[max(0, len(own) - len(batch)) :]
        if len(own) < len(batch) or any(
            known not in (1, side) for known, side in zip(batch, own, strict=True)
        ):
            raise ShapeError(
                f"{self.name}: {role} is {shape_text(x.shape)}; the operator is one of a batch of "
                f"{shape_text(batch)}, and {expected}"
            )

    # --- algebra -------------------------------------------------------------------------------

    @property
    def H(self) -> LinearOperator:
        """The adjoint as an operator."""
        from operators.algebra import Adjoint

        return Adjoint(self)

    @property
    def N(self) -> LinearOperator:
        """AᴴA as an operator."""
        from operators.algebra import Gram

        return Gram(self)

    def __matmul__(self, other: LinearOperator) -> LinearOperator:
        """Return A∘B; a `ShapeError` names both if B's codomain is not A's domain."""
        if not isinstance(other, LinearOperator):
            return NotImplemented
        from operators.algebra import Composition

        return Composition(self, other)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        from operators.algebra import Sum

        return Sum(self, other)

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return self + (-1) * other

    def __mul__(self, scalar: complex) -> LinearOperator:
        if not isinstance(scalar, (int, float, complex)):
            return NotImplemented
        from operators.algebra import Scaled

        return Scaled(self, scalar)

    def __rmul__(self, scalar: complex) -> LinearOperator:
        return self * scalar

    def __neg__(self) -> LinearOperator:
        return self * -1

    def __repr__(self) -> str:
        return f"{self.name}({self.domain} -> {self.codomain}, {self.domain.dtype}, {self.device})"

    # --- structure that compositions use -------------------------------------------------------

    @property
    def _isometry(self) -> float | None:
        """The scale c if AᴴA = c²I, else None."""
        return None

    @property
    def _coisometry(self) -> float | None:
        """The scale c if AAᴴ = c²I, else None."""
        return None

    def _as_separable(self) -> Separable | None:
        """The same operator as a matrix per axis, where it is one."""
        return None

    @property
    def _nearly_a_blur(self) -> bool:
        """Whether AᴴA is nearly a blur of a picture of one channel, which helps to invert it."""
        return False

    def _once(self, name: str, make: Callable[[], Part]) -> Part:
        """What `make` returns, made at the first call; of two threads at once, the first one's."""
        if name not in self.__dict__:
            with torch.inference_mode(False):  # or no gradient could be taken through it later
                self.__dict__.setdefault(name, make())
        kept: Part = self.__dict__[name]
        return kept

    def _with_channels(self, channels: int) -> LinearOperator | None:  # noqa: ARG002
        """The same operator on another number of channels, where all channels are treated alike."""
        return None

    # --- SVD and inverses ----------------------------------------------------------------------

    def svd(self) -> ThinSVD:
        """Return the thin SVD, computed at the first call and kept.

        Raises:
            NoFastSVD: If there is none; the text names the operator and the alternatives.
        """
        if "_no_svd" in self.__dict__:
            raise NoFastSVD(self.__dict__["_no_svd"])
        try:
            return self._once("_svd", self._factorise)
        except NoFastSVD as error:
            # Kept, so that later solves do not look (and wait for the device) again.
            self.__dict__["_no_svd"] = str(error)
            raise

    def _factorise(self) -> ThinSVD:
        raise NoFastSVD(f"{self.name}: no fast SVD. {INSTEAD}")

    def with_svd(self, svd: ThinSVD) -> Self:
        """Return the same operator with an SVD that was computed elsewhere."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.__dict__.pop("_no_svd", None)
        new.__dict__["_svd"] = svd
        return new

    def svd_or_none(self) -> ThinSVD | None:
        """Return the thin SVD, None where there is no fast one."""
        try:
            return self.svd()
        except NoFastSVD:
            return None

    def solve_normal(
        self,
        b: Tensor,
        rho: float | Tensor,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return (AᴴA + ρI)⁻¹ b by the SVD, otherwise by conjugate gradients.

        Args:
            b: `[*batch, *domain.shape]`.
            rho: ρ > 0, a number, a scalar tensor, or one per image `[*batch]`.
            tolerance: Relative residual of conjugate gradients (1e-5, in double 1e-10).
            max_iterations: Most iterations on the CPU (10000); on an accelerator their number
                (100), with no test of convergence, since that would wait for the device.

        Raises:
            ValueError: If rho is a number that is not positive.
            ConvergenceError: On the CPU, if conjugate gradients miss the tolerance.
        """
        self._check(b, self.domain, "right-hand side", self._domain_text())
        if not isinstance(rho, Tensor) and not rho > 0:
            raise ValueError(f"{self.name}: solve_normal needs rho > 0, not {rho}; use pinv(y)")
        svd = self.svd_or_none()
        if svd is not None:
            return svd.solve_normal(b, rho)
        return matrix_free.solve_normal(self, b, rho, tolerance, max_iterations)

    def pinv(
        self,
        y: Tensor,
        rcond: float | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Tensor:
        """Return A†y, the least-squares solution of least norm.

        By the SVD, with singular values below `rcond` · max(s) taken as 0; otherwise by
        conjugate gradients on the normal equations, where a given `rcond` damps them with
        ρ = (rcond ‖A‖)².

        Args:
            y: `[*batch, *codomain.shape]`.
            rcond: Relative cut-off (by the SVD 1e-6, in double 1e-12; otherwise none).
            tolerance: As in `solve_normal`, for ‖Aᴴ(y − Ax)‖/‖Aᴴy‖.
            max_iterations: As in `solve_normal`.

        Raises:
            ConvergenceError: On the CPU, if conjugate gradients miss the tolerance.
        """
        self._check(y, self.codomain, "measurement", self._codomain_text())
        svd = self.svd_or_none()
        if svd is not None:
            return svd.pinv(y, rcond)
        return matrix_free.pinv(self, y, rcond, tolerance, max_iterations)

    def norm(self) -> Tensor:
        """Return ‖A‖ = max(s), one per image `[*batch_shape, 1, ...]`, without reading it back.

        By the SVD, otherwise by 30 power iterations, which come from below to a few per cent,
        or ten where many singular values are close to the largest.
        """
        svd = self.svd_or_none()
        if svd is not None:
            largest = svd.largest()
            batch = largest.shape[: largest.ndim - svd.right.domain.ndim]
            return largest.reshape(*batch, *(1,) * self.domain.ndim)
        return self.power_norm()

    def power_norm(self) -> Tensor:
        """Return ‖A‖ by 30 power iterations even where there is an SVD: nothing is factorised."""
        return matrix_free.power_norm(self)

    # --- moving --------------------------------------------------------------------------------

    def to(
        self, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Return the operator on another device or in another number type.

        A complex type keeps a real operator's arrays real. The SVD moves along, but is computed
        anew for another number type, and one that `with_svd` gave has to be given again.

        Raises:
            TypeError: If the operator is of complex numbers, and the type is real.
        """
        if dtype is not None:
            Space(self.domain.shape, dtype)
            if self.domain.dtype.is_complex and not (dtype.is_complex or self._real_matrix):
                raise TypeError(
                    f"{self.name}: is of complex numbers, which {dtype} has not; expected "
                    f"{COMPLEX_TYPES[dtype]}"
                )
        real = None if dtype is None else REAL_TYPES[dtype]

        def move(t: Tensor) -> Tensor:
            if real is None or not (t.is_floating_point() or t.is_complex()):
                return t.to(device=device)
            wanted = COMPLEX_TYPES[real] if t.is_complex() else real
            # Not at once: an accelerator without double precision would have to make it.
            return t.to(device=device).to(wanted) if real == torch.float64 else t.to(device, wanted)

        return self._mapped(move, dtype, {})

    def _mapped(
        self, fn: Callable[[Tensor], Tensor], dtype: torch.dtype | None, memo: Memo
    ) -> Self:
        """The operator and the SVD that it keeps, with fn applied to every tensor: see `mapped`."""
        new = object.__new__(type(self))
        memo[id(self)] = self, new
        for key, value in self.__dict__.items():
            if key == "_svd" and dtype not in (None, self.domain.dtype):
                continue
            new.__dict__[key] = mapped(value, fn, dtype, memo)
        return new


def mapped(
    value: Part, fn: Callable[[Tensor], Tensor], dtype: torch.dtype | None, memo: Memo
) -> Part:
    """Return `value` with the tensors inside it replaced, each shared one once.

    Spaces take the number type `dtype` if it is given.
    """
    if isinstance(value, (Tensor, LinearOperator, ThinSVD)):
        if id(value) not in memo:
            new = fn(value) if isinstance(value, Tensor) else value._mapped(fn, dtype, memo)
            memo[id(value)] = value, new
        return memo[id(value)][1]  # type: ignore[return-value]
    if isinstance(value, (tuple, list)):
        items = [mapped(item, fn, dtype, memo) for item in value]
        return items if isinstance(value, list) else tuple(items)  # type: ignore[return-value]
    if isinstance(value, Space) and dtype is not None:
        return Space(value.shape, dtype)  # type: ignore[return-value]
    return value


def tensors_of(operator: LinearOperator) -> Iterator[Tensor]:
    """Yield the tensors of an operator and of its parts."""
    for value in operator.__dict__.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, Tensor):
                yield item
            elif isinstance(item, LinearOperator):
                yield from tensors_of(item)
