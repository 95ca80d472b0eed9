"""Restoration of linear inverse problems with score-based diffusion priors.

The public names are loaded on first use, so that ``import restore`` (and with it the command
line's help) does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore.io.measurement import open_measurement, save_image
    from restore.io.picture import read_picture, write_picture
    from restore.methods import methods
    from restore.noise import NoiseSource
    from restore.prior.denoiser import Denoiser, FunctionDenoiser
    from restore.prior.gaussian_mixture import GaussianMixture
    from restore.prior.models import load_prior
    from restore.problem import Problem
    from restore.solve import solve

_HOMES = {
    "Denoiser": "restore.prior.denoiser",
    "FunctionDenoiser": "restore.prior.denoiser",
    "GaussianMixture": "restore.prior.gaussian_mixture",
    "NoiseSource": "restore.noise",
    "Problem": "restore.problem",
    "load_prior": "restore.prior.models",
    "methods": "restore.methods",
    "open_measurement": "restore.io.measurement",
    "read_picture": "restore.io.picture",
    "save_image": "restore.io.measurement",
    "solve": "restore.solve",
    "write_picture": "restore.io.picture",
}

__all__ = [
    "Denoiser",
    "FunctionDenoiser",
    "GaussianMixture",
    "NoiseSource",
    "Problem",
    "load_prior",
    "methods",
    "open_measurement",
    "read_picture",
    "save_image",
    "solve",
    "write_picture",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'restore' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The names of the module, those that are not loaded yet too: what a prompt completes."""
    return sorted({*globals(), *__all__})
