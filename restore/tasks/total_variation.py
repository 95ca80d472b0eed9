"""The estimate of least total variation behind a linear measurement."""

from __future__ import annotations

import itertools
import math
import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators import Identity, LinearOperator
from restore.methods.base import StepCallback
from restore.problem import Problem
from restore.tasks.task import as_array

ITERATIONS = 200
# scikit-image's own defaults stop two digits earlier.
DENOISED_TO, DENOISINGS = 1e-6, 1000
# Tuned on photographs, for denoising, filling, deblurring and enlarging at σ from 0.001 to 0.2.
SCALE = 2.2
LEAST_NOISE = 1e-3
# How far a pixel moves where a dual variable, which is at most 1, moves by 1.
STEP_RATIO = 0.03
# Squared norm of the forward differences along rows and columns.
_DIFFERENCES = 8.0
# A norm by power iterations comes from below.
_SAFETY = 1.05


def total_variation(
    problem: Problem,
    start: Tensor,
    weight: float | None = None,
    iterations: int = ITERATIONS,
    *,
    on_step: StepCallback | None = None,
) -> Tensor:
    """argmin ½‖A x − y‖² + λ Σ |∇x| over x in [0, 1].

    |∇x| is the Euclidean norm of the two forward differences of each pixel and channel (isotropic;
    Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D
    1992). By the primal-dual algorithm of Chambolle and Pock ("A first-order primal-dual algorithm
    for convex problems with applications to imaging", JMIV 2011), from ODL; for A = I by
    scikit-image (Chambolle, "An algorithm for total variation minimization", JMIV 2004).

    Args:
        problem: of pictures [C, H, W], real.
        start: [B, C, H, W].
        weight: λ; None for `weight_of` the problem.
        iterations: of the primal-dual algorithm.
        on_step: called after each of them with (iteration, iterations, x).

    Returns:
        [B, C, H, W] in [0, 1], on the device of y.
    """
    weight = weight_of(problem) if weight is None else weight
    if isinstance(problem.operator, Identity):
        return _denoised(problem.y, weight)
    return _primal_dual(problem, start, weight, iterations, on_step)


def weight_of(problem: Problem) -> float:
    """λ = 2.2 σ^(3/2) (‖A‖²_F / n)^(1/4), n the number of values of a picture.

    The exponents are those that fit the best λ for photographs among those that give 4λ, as they
    must, for 2A, 2y and 2σ; no scan was used to find it, and scans take it too. The Frobenius norm
    is estimated from one random picture, and is the mean of those of a batch.
    """
    operator = problem.operator
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (1, *operator.domain.shape), generator=generator) * 2 - 1
    # An operator may differ from picture to picture of its batch.
    measured = operator(signs.to(problem.y).expand(problem.batch, *operator.domain.shape))
    gain = measured.abs().square().sum() / (len(measured) * operator.domain.numel)
    return float(SCALE * max(problem.noise_std, LEAST_NOISE) ** 1.5 * gain**0.25)


def import_odl() -> Any:
    """Import ODL, undoing what that changes: numpy's printing and SCIPY_ARRAY_API."""
    before = os.environ.get("SCIPY_ARRAY_API")
    with np.printoptions():
        import odl
    if before is None:
        os.environ.pop("SCIPY_ARRAY_API", None)
    return odl


def _denoised(y: Tensor, weight: float) -> Tensor:
    from skimage.restoration import denoise_tv_chambolle

    denoised = [
        denoise_tv_chambolle(  # type: ignore[no-untyped-call,unused-ignore]
            channel, weight=weight, eps=DENOISED_TO, max_num_iter=DENOISINGS
        )
        for channel in y.flatten(0, 1).cpu().double().numpy()
    ]
    return torch.from_numpy(np.stack(denoised)).reshape(y.shape).to(y).clamp(0, 1)


def _primal_dual(
    problem: Problem,
    start: Tensor,
    weight: float,
    iterations: int,
    on_step: StepCallback | None,
) -> Tensor:
    odl = import_odl()
    y, functionals = problem.y, odl.functionals
    pictures = odl.uniform_discr([0] * start.ndim, list(start.shape), start.shape, dtype="float32")
    # A counts as much as the differences: the steps of both are those of the larger norm.
    norm = float(problem.operator.norm().max()) or 1.0  # 0 where nothing is measured
    scale = math.sqrt(_DIFFERENCES) / (_SAFETY * norm)
    measure = _wrapped(odl, pictures, problem.operator, tuple(y.shape), scale)
    # One pixel has no neighbour to differ from.
    differences = odl.BroadcastOperator(
        *(
            odl.PartialDerivative(pictures, axis, pad_mode="order0")
            if start.shape[axis] > 1
            else odl.ZeroOperator(pictures)
            for axis in (-2, -1)
        )
    )
    stacked = odl.BroadcastOperator(measure, differences)
    data = functionals.L2NormSquared(measure.range).translated(
        measure.range.element(scale * as_array(y))
    )
    dual = functionals.SeparableSum(
        0.5 / (weight * scale**2) * data, functionals.GroupL1Norm(differences.range, 2)
    )
    step = 1 / math.sqrt(2 * _DIFFERENCES)
    x = pictures.element(as_array(start).copy())
    number = itertools.count(1)

    def show(x: Any) -> None:
        if on_step is not None:
            on_step(next(number), iterations, torch.from_numpy(x.data))

    odl.solvers.pdhg(
        x,
        functionals.IndicatorBox(pictures, 0, 1),
        dual,
        stacked,
        niter=iterations,
        tau=STEP_RATIO * step,
        sigma=step / STEP_RATIO,
        callback=show,
    )
    return torch.from_numpy(x.data).to(y)


def _wrapped(
    odl: Any, pictures: Any, operator: LinearOperator, shape: tuple[int, ...], scale: float
) -> Any:
    """`scale` times A as an operator of ODL. Both spaces have weight 1: Aᴴ is its adjoint."""
    measurements = odl.rn(shape, dtype="float32")

    class Wrapped(odl.Operator):  # type: ignore[misc]
        def __init__(self, forward: bool) -> None:
            spaces = (pictures, measurements) if forward else (measurements, pictures)
            super().__init__(*spaces, linear=True)
            self.forward = forward

        def _call(self, x: Any) -> NDArray[np.float32]:
            tensor = torch.from_numpy(x.data).to(operator.device, operator.domain.dtype)
            apply = operator if self.forward else operator.adjoint
            return scale * as_array(apply(tensor))

        @property
        def adjoint(self) -> Any:
            return Wrapped(not self.forward)

    return Wrapped(forward=True)
