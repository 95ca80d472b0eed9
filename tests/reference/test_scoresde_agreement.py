"""ScoreSDE against the authors' inpainting and colorization (vectors of make_scoresde.py).

Compared are all states that the network sees and the result, with the same denoiser, levels and
noise. What the authors do otherwise is put into our noise, or undone at the end:

- after a predictor step from σ to σ' the known part gets noise of the level σ, ours of σ': our
  draw is theirs times σ/σ' (without a corrector they overwrite it with the right level: that draw);
- they begin with the known part clean: our first draw for it is 0. In colorization they begin with
  the grey picture and noise on green and blue: our first draws are that noise;
- the result's unknown part is the last state of a predictor with its noise (nothing with
  "ancestral", σ_min z with "reverse-diffusion"), ours is x̂: the noise is subtracted.

Their Langevin step takes its norms over the batch, ours for each picture; the batch is 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import scoresde_cases as cases
import torch
from torch import Tensor

from restore.methods.scoresde import ScoreSDE
from restore.prior.schedule import geometric
from restore.problem import Problem

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def vectors(vectors) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value).double() for name, value in vectors.items()}


def _draws(case: cases.Case, noise: Tensor, sigmas: list[float]) -> Iterator[Tensor]:
    """Our draws in our order, from theirs: start, then steps and replacements."""

    def known(z: Tensor) -> Tensor:
        return cases.known_part(case.operator, z)

    z = list(noise[:, None])
    start = z[0].clone()
    if case.operator == "colorize":
        start[:, 0] = 0
    yield start
    if case.corrector == "none":
        # Theirs: replacement, predictor, replacement.
        for level in range(cases.LEVELS):
            yield known(z[1 + 3 * level])
            yield z[2 + 3 * level]
        return
    yield start if case.operator == "colorize" else torch.zeros_like(start)
    for level in range(cases.LEVELS):
        corrector, replaced, predictor, late = z[1 + 4 * level : 5 + 4 * level]
        yield corrector
        yield known(replaced)
        yield predictor
        if level + 1 < cases.LEVELS:
            yield known(late) * (sigmas[level] / sigmas[level + 1])


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.key)
def test_agrees_with_the_authors(case, vectors, device):
    operator = cases.operator(case.operator, device)
    truth = vectors["truth"].to(device)
    problem = Problem(operator, operator(truth))
    sigmas = geometric(cases.LEVELS, cases.SIGMA_MIN, cases.SIGMA_MAX)
    draws = _draws(case, vectors["noise"].to(device), sigmas)
    method = ScoreSDE(cases.LEVELS, case.predictor, case.corrector, snr=cases.SNR, grid="geometric")
    prior = cases.Network()
    x = method(problem, prior, noise=lambda like: next(draws))

    *theirs, result = vectors[f"{case.key}/x"].to(device)
    assert len(prior.seen) == len(theirs) == method._sampler()._corrections * 12 + 12
    for ours, reference in zip(prior.seen, theirs, strict=True):
        assert (ours[0] - reference).abs().max() <= TOLERANCE
    if case.predictor == "reverse-diffusion":
        # The last draw but one is the last predictor's.
        z = vectors["noise"][-2].to(device)
        result = result - cases.SIGMA_MIN * (z - operator.pinv(operator(z)))
    assert (x[0] - result).abs().max() <= TOLERANCE
    assert (operator(x) - problem.y).abs().max() <= 1e-6
