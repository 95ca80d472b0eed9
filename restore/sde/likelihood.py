"""The log-likelihood of pictures under a prior, by the instantaneous change of variables."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from restore.methods.base import StepCallback
from restore.noise import Noise
from restore.prior.denoiser import Denoiser
from restore.sde.flow import Solver, State, solve
from restore.sde.process import normal_log_prob

Trace = Literal["exact", "rademacher", "gaussian"]


class Likelihood(NamedTuple):
    """What the flow says of pictures.

    Attributes:
        log_prob: log-density in nats, [B].
        standard_error: of log_prob, from the spread of the probes, [B]; 0 with the exact trace and
            NaN with one probe, whose spread is not known.
        probes: log-density by each probe, [B, K].
        latent: where the flow took the pictures, at σ_max, [B, *shape].
        evaluations: of the denoiser along the path, each of the whole batch.
    """

    log_prob: Tensor
    standard_error: Tensor
    probes: Tensor
    latent: Tensor
    evaluations: int


def log_likelihood(
    prior: Denoiser,
    x: Tensor,
    *,
    trace: Trace = "rademacher",
    probes: int = 1,
    noise: Noise | None = None,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    solver: Solver = "dopri5",
    on_step: StepCallback | None = None,
) -> Likelihood:
    """Return log p(x) of pictures taken as samples at the level σ_min.

    With f = x − D(x, σ), the slope of the probability-flow ODE in ln σ,

        log p(x) = log N(x(σ_max); m, σ_max² I) + ∫ tr ∂f/∂x d ln σ,   ln σ_min … ln σ_max,

    m = D(c, σ_max) being the mean of the data as the prior has it. The trace is a sum over all
    pixels ("exact": as many derivatives as there are pixels), or εᵀ(∂f/∂x)ε for each of K probes
    ε, the same along the path; its error then falls as 1/√K.

    Args:
        prior: the denoiser D, which can be differentiated.
        x: real, [B, *shape].
        trace: "exact", or the law of the probes.
        probes: K, as many derivatives.
        noise: called once for each probe.
        sigma_min: level of x; by default the prior's smallest.
        sigma_max: level at which the law is taken for normal; by default the prior's largest. The
            variance v of the data makes log p wrong by about v/(2 σ_max²) for each pixel.
        rtol: of the solver; the integral counts as nats for each pixel.
        atol: likewise.
        solver: of torchdiffeq.
        on_step: called with (n, n, x̂) after evaluation n.

    Raises:
        ValueError: if the trace is unknown, there is no noise for probes, or the levels or the
            tolerances do not serve.

    Source: Chen et al., NeurIPS 2018; Grathwohl et al., ICLR 2019 (Hutchinson's estimate); Song et
    al., ICLR 2021, section 4.3.
    """
    if trace not in get_args(Trace):
        raise ValueError(f"trace is {trace!r}; it is one of {', '.join(get_args(Trace))}")
    if trace != "exact" and (noise is None or probes < 1):
        raise ValueError("a trace by probes needs noise and at least 1 probe")
    low = prior.sigma_min if sigma_min is None else sigma_min
    high = prior.sigma_max if sigma_max is None else sigma_max
    if not 0 < low < high:
        raise ValueError(
            f"the levels go from {low:g} to {high:g}; expected 0 < the first < the last"
        )
    size = x[0].numel()
    vectors = _basis(x) if noise is None or trace == "exact" else _drawn(x, trace, probes, noise)
    # The sum over a basis is the trace; over probes each is an estimate of its own.
    rows = 1 if trace == "exact" else probes
    count = 0

    def slope(sigma: Tensor, state: State) -> State:
        nonlocal count
        count += 1
        with torch.inference_mode(False), torch.enable_grad():
            now = state[0].detach().clone().requires_grad_()
            x_hat = prior(now, sigma)
            products = _products(x_hat, now, vectors)
        if on_step is not None:
            on_step(count, count, x_hat.detach())
        along = (vectors * (vectors - products)).flatten(2).sum(2)
        growth = along.T if trace != "exact" else along.sum(0)[:, None]
        return (now - x_hat).detach(), growth / size

    with torch.no_grad():
        mean = prior(torch.full_like(x, prior.centre), high)
    start = (x, x.new_zeros(x.shape[0], rows))
    latent, growth = solve(slope, start, low, high, rtol=rtol, atol=atol, solver=solver)
    each = normal_log_prob(latent, high, mean)[:, None] + size * growth
    spread = torch.zeros_like(each[:, 0])
    if trace != "exact":
        spread = each.std(1) / math.sqrt(probes) if probes > 1 else spread + math.nan
    return Likelihood(each.mean(1), spread, each, latent, count)


def bits_per_dim(log_prob: Tensor, size: int, step: float = 1 / 255) -> Tensor:
    """Bits for each number of a picture that is stored in levels `step` apart.

    −log₂ of the probability of a cell of width `step`, whose density is that of the dequantised
    picture: −log p/(size · ln 2) − log₂ step.

    Args:
        log_prob: in nats, of pictures in [0, 1].
        size: pixels times channels.
        step: distance of two levels, 1/255 for 8 bits.
    """
    return -log_prob / (size * math.log(2)) - math.log2(step)


def dequantise(x: Tensor, step: float, noise: Noise) -> Tensor:
    """Return x + u with u uniform within ± step/2: a picture before its rounding.

    The mean of log p(x + u) is at most the log-probability of the level's cell (Theis, van den
    Oord, Bethge, ICLR 2016), so that bits per dimension are an upper bound.
    """
    return x + step * 0.5 * torch.erf(noise(x) / math.sqrt(2))


def _products(x_hat: Tensor, x: Tensor, vectors: Tensor) -> Tensor:
    """(∂x̂/∂x)ᵀ v for each v of [K, B, *shape]."""
    if len(vectors) == 1:
        # Not batched: that asks more of the network's operations.
        return torch.autograd.grad(x_hat, x, vectors[0])[0][None]
    return torch.autograd.grad(x_hat, x, vectors, is_grads_batched=True)[0]


def _basis(x: Tensor) -> Tensor:
    """Every unit vector of a picture for every picture, [size, B, *shape]."""
    size = x[0].numel()
    unit = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, 1, *x.shape[1:])
    return unit.expand(size, *x.shape)


def _drawn(x: Tensor, trace: Trace, probes: int, noise: Noise) -> Tensor:
    """[K, B, *shape]."""
    drawn = torch.stack([noise(x) for _ in range(probes)])
    return torch.where(drawn >= 0, 1.0, -1.0).to(x.dtype) if trace == "rademacher" else drawn
