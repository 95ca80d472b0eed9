"""Autograd of linear maps that torch does not compute itself."""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor


class Transform(Protocol):
    """A linear map of rows of values and its exact adjoint."""

    def transform(self, values: Tensor, *, adjoint: bool) -> Tensor:
        """Return the map of values `[N, ...]`, or its adjoint."""
        ...


def transformed(values: Tensor, operator: Transform, *, adjoint: bool) -> Tensor:
    """Return `operator.transform(values)`, with its adjoint as gradient."""
    return cast(Tensor, _Linear.apply(values, operator, adjoint))  # type: ignore[no-untyped-call]


class _Linear(torch.autograd.Function):
    """Linear: its own forward derivative, and its adjoint backwards."""

    @staticmethod
    def forward(values: Tensor, operator: Transform, adjoint: bool) -> Tensor:
        return operator.transform(values, adjoint=adjoint)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        del output
        _, ctx.operator, ctx.adjoint = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return transformed(gradient, ctx.operator, adjoint=not ctx.adjoint), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return transformed(tangent, ctx.operator, adjoint=ctx.adjoint)
