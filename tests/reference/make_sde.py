"""Write sde.npz: marginals, sampler steps and likelihoods of the authors on an analytic denoiser.

    git clone https://github.com/yang-song/score_sde_pytorch
    git clone https://github.com/NVlabs/edm
    python tests/reference/make_sde.py score_sde_pytorch edm

The stored file is from commits cb1f359f4aadf0ff9a5e122fe8fffc9451fd6e44 and
008a4e5316c8e3bfe61a62f874bddba254295afb. The script runs the other repositories' functions and
contains none of their code. What it changes at run time: `torch.randn`, `torch.randn_like` and
`torch.randint_like` give stored numbers, in the order of the calls.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sde_cases as cases
import torch
from torch import Tensor, nn

NAMES = {"VE": "VESDE", "VP": "VPSDE", "SubVP": "subVPSDE"}
STEPS = {
    "reverse-diffusion": "reverse_diffusion", "ancestral": "ancestral_sampling",
    "langevin-paper": "langevin", "none": "none",
}  # fmt: skip


class Output(nn.Module):
    """What a network gives where their code expects it, from the mixture's score."""

    def __init__(self, score: Any, std: Any) -> None:
        super().__init__()
        self.score, self.std = score, std

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.score(x, labels) * self.std(labels)


def _column(t: Tensor) -> Tensor:
    return t.reshape(-1, 1, 1, 1)


def network(sde: Any, name: str) -> Output:
    """The network of a process that is asked at continuous times."""
    prior = cases.prior()
    if name == "VE":
        return Output(lambda x, sigma: prior.score(x, sigma), lambda sigma: 1.0)

    def marginal(labels: Tensor) -> tuple[Tensor, Tensor]:
        t = labels / 999
        return tuple(_column(part) for part in sde.marginal_prob(torch.ones(len(t), 1, 1, 1), t))

    def score(x: Tensor, labels: Tensor) -> Tensor:
        a, std = marginal(labels)
        return (a * prior(x / a, (std / a).flatten()) - x) / std**2

    return Output(score, lambda labels: -marginal(labels)[1])


def replaced(draws: Iterator[Tensor]) -> None:
    torch.randn = lambda *shape: next(draws)
    torch.randn_like = lambda like: next(draws)


def main(song: Path, edm: Path) -> None:
    torch.set_default_dtype(torch.float64)
    sys.path[:0] = [str(song), str(edm)]
    import generate  # type: ignore[import-not-found]
    import likelihood  # type: ignore[import-not-found]
    import sampling  # type: ignore[import-not-found]
    import sde_lib  # type: ignore[import-not-found]

    generator = torch.Generator().manual_seed(13)
    noise = torch.randn(1 + 2 * cases.LEVELS, 1, *cases.SHAPE, generator=generator)
    signs = torch.randint(0, 2, (3, *cases.SHAPE), generator=generator)
    original = torch.randn, torch.randn_like, torch.randint_like
    x, prior = cases.pictures(), cases.prior()
    arrays: dict[str, Tensor] = {"noise": noise, "signs": signs.double()}
    times = torch.tensor(cases.TIMES)
    many = x[:1].expand(len(times), *cases.SHAPE)
    for name in cases.PROCESSES:
        sde = getattr(sde_lib, NAMES[name])()
        mean, std = sde.marginal_prob(many, times)
        drift, diffusion = sde.sde(many, times)
        for key, value in (("mean", mean), ("std", std), ("drift", drift), ("g", diffusion)):
            arrays[f"{name}/{key}"] = value
        arrays[f"{name}/prior"] = sde.prior_logp(10 * x)

        torch.randint_like = lambda like, low, high: signs
        scored = likelihood.get_likelihood_fn(
            sde, lambda value: value, rtol=1e-7, atol=1e-7, eps=cases.FIRST_TIME
        )
        a = sde.marginal_prob(torch.ones(1, 1, 1, 1), torch.tensor([cases.FIRST_TIME]))[0]
        bits, latent, _ = scored(network(sde, name), a * x)
        arrays[f"{name}/bits"], arrays[f"{name}/latent"] = bits, latent

    sde = sde_lib.VESDE(0.01, 50, cases.LEVELS)
    for predictor, corrector in cases.PREDICTORS:
        replaced(iter(noise))
        sampler = sampling.get_pc_sampler(
            sde, (1, *cases.SHAPE), sampling.get_predictor(STEPS[predictor]),
            sampling.get_corrector(STEPS[corrector]), lambda value: value, cases.SNR,
            continuous=True, eps=1e-9, device="cpu",
        )  # fmt: skip
        arrays[f"pc/{predictor}-{corrector}"] = sampler(network(sde, "VE"))[0]

    sde = sde_lib.VPSDE(N=cases.DDPM_STEPS)
    arrays["ddpm/betas"] = sde.discrete_betas
    for i in cases.DDPM_AT:
        kept = sde.alphas_cumprod[i - 1]

        def score(now: Tensor, t: Tensor, kept: Tensor = kept) -> Tensor:
            root = kept.sqrt()
            return (root * prior(now / root, ((1 - kept) / kept).sqrt()) - now) / (1 - kept)

        # A little later, since they cut the time to an index.
        time = torch.tensor([(i - 1) / (cases.DDPM_STEPS - 1) + 1e-9])
        for key in ("ancestral", "reverse-diffusion"):
            replaced(iter(noise))
            step = sampling.get_predictor(STEPS[key])(sde, score)
            arrays[f"ddpm/{key}-{i}"] = step.update_fn(x[:1], time)[0]

    class Net:
        sigma_min, sigma_max = prior.sigma_min, prior.sigma_max

        def round_sigma(self, sigma: Tensor) -> Tensor:
            return torch.as_tensor(sigma)

        def __call__(self, now: Tensor, sigma: Tensor, labels: None) -> Tensor:
            return prior(now, sigma)

    for key, given in cases.CHURNS.items():
        draws = iter(noise[1:])
        arrays[f"heun/{key}"] = generate.edm_sampler(
            Net(), noise[0], randn_like=lambda like, draws=draws: next(draws),
            num_steps=cases.EDM_STEPS,
            **{name.replace("churn", "S_churn") if name == "churn" else
               name.replace("churn_", "S_"): value for name, value in given.items()},
        )  # fmt: skip
    torch.randn, torch.randn_like, torch.randint_like = original
    np.savez_compressed(
        Path(__file__).with_name("sde.npz"), **{k: v.numpy() for k, v in arrays.items()}
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
