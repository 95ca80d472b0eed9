"""Solve a problem with a prior: methods by name, samples, batches."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from restore.errors import counted, expected_one_of
from restore.methods.base import Method, StepCallback, fields_of, part_of_steps
from restore.methods.registry import find_method, methods
from restore.noise import Noise, NoiseSource
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.quantised import QuantisedProblem

# Pixels (without channels) in a batch: four, or thirty-two, pictures of 256x256.
_CPU_PIXELS = 2**18
_ACCELERATOR_PIXELS = 2**21

# Annotations of hyperparameters, what they admit, and words for it.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "float": ((Real,), "a number"),
    "int": ((Integral,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "Tensor": ((Tensor,), "a tensor"),
}


def solve(
    problem: Problem,
    prior: Denoiser,
    method: str | Method | type[Method] = "ddrm",
    *,
    seed: int = 0,
    samples: int = 1,
    batch_size: int | None = None,
    on_step: StepCallback | None = None,
    noise: Callable[[int, Sequence[tuple[int, int]]], Noise] = NoiseSource,
    **hyperparameters: Any,
) -> Tensor:
    """Restore each measured picture `samples` times.

    Sample i of picture b depends on the seed, i, b and the number type, not on the batches nor on
    how many samples there are, but for the rounding of what the libraries of FFT do at once.

    Args:
        problem: operator, measurements [B, *codomain.shape] and noise.
        prior: the denoiser.
        method: a name out of `restore.methods()`, `package.module:Class`, a class, or a method
            itself.
        seed: any integer from 0.
        samples: how many for each picture.
        batch_size: pictures that are restored at once; by default as many as fill a batch of
            2¹⁸ pixels (2²¹ on an accelerator), particles and imaginary parts counted.
        on_step: called with (step, total, x̂) after each evaluation of the denoiser; over all
            batches step counts from 1 to total. An exception raised in it ends the run.
        noise: makes the random numbers, of the seed and the (sample, picture) of a batch's rows.
        **hyperparameters: fields of the method. A tensor with a row for each picture is split
            along with the batches.

    Returns:
        [samples, B, *domain.shape].

    Raises:
        ValueError: if the method or a hyperparameter is unknown, a value is of another kind or out
            of range, the method does not fit the operator or the noise, the prior does not fit the
            channels, y or the result is not finite, or what a denoiser or method of one's own
            returns has another shape.
        TypeError: if the prior is no `Denoiser`.
    """
    chosen = made_method(method, hyperparameters)
    check_fit(chosen, problem, prior)
    for name, value in (("seed", seed), ("samples", samples), ("batch_size", batch_size)):
        _check_kind(name, value, "int | None" if name == "batch_size" else "int")
    if samples < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(f"samples is {samples}, batch_size is {batch_size}; at least 1 each")
    space, y = problem.operator.domain, problem.y
    if batch_size is None:
        pixels = _CPU_PIXELS if y.device.type == "cpu" else _ACCELERATOR_PIXELS
        rows = getattr(chosen, "particles", 1) * (2 if space.dtype.is_complex else 1)
        batch_size = max(1, pixels * space.shape[0] // (space.numel * rows))
    _check_rows(chosen, problem.batch)
    chains = [(sample, picture) for picture in range(problem.batch) for sample in range(samples)]
    batches = [chains[at : at + batch_size] for at in range(0, len(chains), batch_size)]

    x = torch.empty(len(chains), *space.shape, dtype=space.dtype, device=y.device)
    taken: list[int] = []
    for number, batch in enumerate(batches):
        wanted = [picture for _, picture in batch]
        if wanted != taken:  # kept for further samples of the same, with an SVD of its own
            taken, pictures = wanted, torch.tensor(wanted, device=y.device)
            measured = problem.take(pictures)
        part = x[number * batch_size : number * batch_size + len(batch)]
        restored = _taken(chosen, pictures)(
            measured,
            prior,
            noise=noise(seed, batch),
            on_step=on_step and part_of_steps(on_step, number, len(batches)),
        )
        _check_fits(chosen.name, restored, part)
        check_finite(chosen.name, restored)
        part.copy_(restored)
    return x.reshape(problem.batch, samples, *space.shape).transpose(0, 1).contiguous()


def made_method(method: str | Method | type[Method], hyperparameters: dict[str, Any]) -> Method:
    """The method with its hyperparameters.

    Raises:
        ValueError: if the method or a hyperparameter is unknown, of another kind or out of range.
    """
    if not isinstance(method, (str, type)):
        if not hasattr(method, "needs"):
            raise ValueError(
                f"the method is of type {type(method).__name__}; expected a name, a "
                "restore.methods.Method or its class"
            )
        if hyperparameters:
            raise ValueError("hyperparameters belong to the method that was given as an object")
        return method
    cls = find_method(method) if isinstance(method, str) else method
    # Annotations are texts where the module of the method postpones them, and types elsewhere.
    kinds = {
        name: field.type.__name__ if isinstance(field.type, type) else str(field.type)
        for name, field in fields_of(cls).items()
    }
    for name, value in hyperparameters.items():
        if name not in kinds:
            raise ValueError(
                f"{cls.name} has no hyperparameter {name!r}; {expected_one_of(kinds, name)}"
            )
        _check_kind(name, value, kinds[name])
    return cls(**hyperparameters)


def _check_kind(name: str, value: Any, annotation: str) -> None:
    """Refuse a value of another kind than a hyperparameter is annotated with."""
    annotated = annotation.split(" | ")
    kinds = [kind for kind in annotated if kind != "None"]
    if not set(kinds) <= set(_KINDS) or (value is None and "None" in annotated):
        return
    types = tuple(kind for name in kinds for kind in _KINDS[name][0])
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        plain = value is None or isinstance(value, (bool, int, float, str))
        found = repr(value) if plain else f"of type {type(value).__name__}"
        raise ValueError(f"{name} is {found}; it must be {_KINDS[kinds[0]][1]}")


def check_fit(method: Method, problem: Problem, prior: Denoiser) -> None:
    """Refuse a method that does not fit a problem, and a problem that the prior does not fit.

    Raises:
        ValueError: likewise.
        TypeError: if the prior is no `Denoiser`.
    """
    if not hasattr(prior, "channels"):  # what has all that a Denoiser has may stand for one
        raise TypeError(
            f"the prior is of type {type(prior).__name__}; expected a restore.Denoiser, which a "
            "function becomes by restore.FunctionDenoiser"
        )
    operator = problem.operator
    reason = misfit(method, problem)
    if reason is not None:
        raise ValueError(f"{method.name} needs {reason}; {those_that_fit(problem)}")
    channels = operator.domain.shape[0]
    if prior.channels is not None and prior.channels != channels:
        raise ValueError(
            f"the prior has {counted(prior.channels, 'channel')}; the picture has {channels}"
        )
    if not bool(torch.isfinite(problem.y).all()):
        raise ValueError("y has values that are not finite")


def _check_fits(name: str, restored: object, part: Tensor) -> None:
    """Refuse a result that is none, of another shape, or complex in the place of real numbers.

    Raises:
        ValueError: likewise.
    """
    if not isinstance(restored, Tensor):
        raise ValueError(
            f"{name}: its result is of type {type(restored).__name__}; expected a tensor"
        )
    if restored.shape != part.shape or restored.is_complex() > part.is_complex():
        raise ValueError(
            f"{name}: its result is {list(restored.shape)} of {restored.dtype}; expected "
            f"{list(part.shape)} of {part.dtype}"
        )


def check_finite(name: str, x: Tensor) -> None:
    """Refuse a result, of a method or sampler of that name, that no file could hold.

    Raises:
        ValueError: if it has NaN or infinity.
    """
    if not bool(torch.isfinite(x).all()):
        raise ValueError(
            f"{name}: its result holds NaN or infinity; expected numbers (a network may overflow "
            "in half precision)"
        )


def misfit(method: Method | type[Method], problem: Problem) -> str | None:
    """What a method needs that a problem has not, in words; None where it fits."""
    if "intervals" in method.needs and not isinstance(problem, QuantisedProblem):
        return "intervals, of a quantised measurement"
    if "svd" in method.needs and _first(problem).operator.svd_or_none() is None:
        return f"a fast SVD, which {problem.operator.name} has not"
    if problem.noise_std > 0 and not method.noise:
        return "noise_std = 0"
    if problem.noise_std == 0 and not method.noiseless:
        return "noise_std > 0"
    return None


def those_that_fit(problem: Problem) -> str:
    """The end of a refusal: the methods that a problem has all that they need for."""
    one = _first(problem)  # which keeps its SVD for all methods that are asked
    fit = [name for name, method in methods().items() if misfit(method, one) is None]
    return f"methods that fit: {', '.join(fit) or 'none'}"


def _first(problem: Problem) -> Problem:
    """One picture for a batch, where operators may differ: each has an SVD that fills memory."""
    if problem.batch == 0:
        return problem
    return problem.take(torch.zeros(1, dtype=torch.int64, device=problem.y.device))


def _tensors(method: Method) -> dict[str, Tensor]:
    values = {name: getattr(method, name) for name in fields_of(method)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _check_rows(method: Method, batch: int) -> None:
    for name, value in _tensors(method).items():
        if value.ndim == 0 or value.shape[0] not in (1, batch):
            raise ValueError(f"{name} is {list(value.shape)}; expected 1 or {batch} rows")


def _taken(method: Method, pictures: Tensor) -> Method:
    """Return the method with the rows of its tensors that belong to the pictures of a batch."""
    rows = {
        name: value.index_select(0, pictures)
        for name, value in _tensors(method).items()
        if value.shape[0] > 1
    }
    return dataclasses.replace(method, **rows) if rows else method  # type: ignore[type-var]


class _Callable(ModuleType):
    """Importing this module puts it over the function `restore.solve`, so it acts as that."""

    __call__ = staticmethod(solve)


sys.modules[__name__].__class__ = _Callable
