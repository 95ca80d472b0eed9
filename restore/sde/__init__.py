"""Score-based modelling through differential equations, in VE coordinates."""

from restore.sde.ddpm import DDPM
from restore.sde.families import VE, VP, CosineVP, SubVP
from restore.sde.flow import transport
from restore.sde.latent import decode, encode, slerp
from restore.sde.likelihood import bits_per_dim, dequantise, log_likelihood
from restore.sde.process import SDE
from restore.sde.samplers.base import Sampler
from restore.sde.samplers.registry import find_sampler, samplers

__all__ = [
    "DDPM",
    "SDE",
    "VE",
    "VP",
    "CosineVP",
    "Sampler",
    "SubVP",
    "bits_per_dim",
    "decode",
    "dequantise",
    "encode",
    "find_sampler",
    "log_likelihood",
    "samplers",
    "slerp",
    "transport",
]
