"""The score engine against score_sde_pytorch and EDM (vectors of make_sde.py)."""

from __future__ import annotations

import math

import pytest
import sde_cases as cases
import torch
from torch import Tensor

from restore.prior.schedule import geometric, karras
from restore.sde import DDPM, VE, VP, SubVP, log_likelihood
from restore.sde.process import normal_log_prob
from restore.sde.samplers.deterministic import Heun
from restore.sde.samplers.stochastic import Langevin

TOLERANCE = 1e-4
KINDS = {"VE": VE(), "VP": VP(), "SubVP": SubVP()}


@pytest.fixture(scope="module")
def vectors(vectors) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value).double() for name, value in vectors.items()}


def _close(ours: Tensor, theirs: Tensor, scale: float = 1.0) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) / scale <= TOLERANCE


@pytest.mark.parametrize("name", cases.PROCESSES)
def test_marginals_drift_and_prior(name, vectors):
    sde, times, x = KINDS[name], torch.tensor(cases.TIMES).double(), cases.pictures()
    many = x[:1].expand(len(times), *cases.SHAPE)
    mean, std = sde.marginal(many, times)
    _close(mean, vectors[f"{name}/mean"])
    _close(std.flatten(), vectors[f"{name}/std"])
    _close(sde.drift(many, times), vectors[f"{name}/drift"])
    _close(sde.diffusion(times), vectors[f"{name}/g"])
    _close(sde.prior_log_prob(10 * x), vectors[f"{name}/prior"])


@pytest.mark.parametrize(("predictor", "corrector"), cases.PREDICTORS)
def test_predictor_corrector(predictor, corrector, vectors):
    """They draw noise in the last step too, and drop it: the result is its mean, our x̂."""
    draws = iter(vectors["noise"][1:])
    sigmas = geometric(cases.LEVELS, 0.01, 50.0)
    sampler = Langevin(predictor=predictor, corrector=corrector, snr=cases.SNR)
    x = sampler.descend(
        cases.prior(), sigmas[0] * vectors["noise"][0], sigmas, noise=lambda like: next(draws)
    )
    _close(x, vectors[f"pc/{predictor}-{corrector}"])


@pytest.mark.parametrize("i", cases.DDPM_AT)
def test_ddpm_steps(i, vectors):
    """Their result is the mean and noise, the same noise for both."""
    ddpm = DDPM(tuple(vectors["ddpm/betas"].tolist()))
    x, z = cases.pictures()[:1], vectors["noise"][0]
    _close(ddpm.ancestral(cases.prior(), x, i, z), vectors[f"ddpm/ancestral-{i}"])
    _close(ddpm.reverse_diffusion(cases.prior(), x, i, z), vectors[f"ddpm/reverse-diffusion-{i}"])


@pytest.mark.parametrize("name", cases.PROCESSES)
def test_likelihood(name, vectors):
    """In their coordinates u = a x: log p(u) = N(u_T; 0, s_T²) + ∫ + d ln(a_T/a_0), in bits."""
    sde, x = KINDS[name], cases.pictures()
    first, last = (torch.tensor(t, dtype=torch.float64) for t in (cases.FIRST_TIME, 1.0))
    low, high = float(sde.sigma(first)), float(sde.sigma(last))
    # Their signs are ±1 already; the law of the probes makes them so from any numbers.
    found = log_likelihood(
        cases.prior(), x, noise=lambda like: 2 * vectors["signs"] - 1,
        sigma_min=low, sigma_max=high, rtol=1e-7, atol=1e-7,
    )  # fmt: skip
    a_0, a_t = (float(sde.mean_coefficient(t)) for t in (first, last))
    _close(a_t * found.latent, vectors[f"{name}/latent"], scale=sde.prior_std)
    mean = cases.prior()(torch.zeros_like(x), high)
    integral = found.log_prob - normal_log_prob(found.latent, high, mean)
    size = x[0].numel()
    log_prob = sde.prior_log_prob(a_t * found.latent) + integral + size * math.log(a_t / a_0)
    # They add 7 + 1 bits for the levels of a picture in [-1, 1].
    _close(-log_prob / (size * math.log(2)) + 8, vectors[f"{name}/bits"])


@pytest.mark.parametrize("key", cases.CHURNS)
def test_heun(key, vectors):
    """They draw noise in each step, ours where there is churn."""
    given, prior = cases.CHURNS[key], cases.prior()
    sigmas = karras(cases.EDM_STEPS, prior.sigma_min, prior.sigma_max)
    low, high = given.get("churn_min", 0.0), given.get("churn_max", math.inf)
    draws = (z for z, s in zip(vectors["noise"][1:], sigmas, strict=False) if low <= s <= high)
    x = Heun(**given).descend(
        prior, sigmas[0] * vectors["noise"][0], sigmas, noise=lambda like: next(draws)
    )
    _close(x, vectors[f"heun/{key}"])
