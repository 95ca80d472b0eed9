"""The samplers by name: the one place where a sampler is registered."""

from __future__ import annotations

from restore.errors import expected_one_of
from restore.sde.samplers.adaptive import AdaptiveODE
from restore.sde.samplers.base import Sampler
from restore.sde.samplers.deterministic import DDIM, DPMSolver, Heun
from restore.sde.samplers.stochastic import Ancestral, EulerMaruyama, Langevin, ReverseDiffusion

_SAMPLERS: tuple[type[Sampler], ...] = (
    Heun,
    DPMSolver,
    DDIM,
    AdaptiveODE,
    Ancestral,
    ReverseDiffusion,
    EulerMaruyama,
    Langevin,
)


def samplers() -> dict[str, type[Sampler]]:
    """Return the classes of the samplers by their names."""
    return {sampler.name: sampler for sampler in _SAMPLERS}


def find_sampler(name: str) -> type[Sampler]:
    """Return a sampler by its name.

    Raises:
        ValueError: if there is none; names those that there are.
    """
    known = samplers()
    if name in known:
        return known[name]
    raise ValueError(f"{name}: unknown; {expected_one_of(known, name)}")
