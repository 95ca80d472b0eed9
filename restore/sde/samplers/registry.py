"""The samplers by name: the one place where a sampler is registered."""

from __future__ import annotations

import difflib

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
        ValueError: if there is none; names the nearest.
    """
    known = samplers()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"{name}: unknown{hint} Expected one of {', '.join(known)}")
