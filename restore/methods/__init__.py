"""Restoration methods, one a module; calling this package lists them: `restore.methods()`."""

from __future__ import annotations

import sys
from types import ModuleType

from restore.methods.base import Method, StepCallback
from restore.methods.ccdf import CCDF
from restore.methods.daps import DAPS
from restore.methods.ddnm import DDNM
from restore.methods.ddrm import DDRM
from restore.methods.ddrm_cg import DDRMCG
from restore.methods.ddrm_jpeg import DDRMJpeg
from restore.methods.diffpir import DiffPIR
from restore.methods.dps import DPS
from restore.methods.ilvr import ILVR
from restore.methods.interval import IntervalDDRM, IntervalPlugAndPlay
from restore.methods.mcgdiff import MCGDiff
from restore.methods.pigdm import PiGDM
from restore.methods.pnp import PlugAndPlay
from restore.methods.reddiff import REDDiff
from restore.methods.registry import methods
from restore.methods.scoresde import ScoreSDE
from restore.methods.snips import SNIPS
from restore.methods.tds import TDS

__all__ = [
    "CCDF",
    "DAPS",
    "DDNM",
    "DDRM",
    "DDRMCG",
    "DPS",
    "ILVR",
    "SNIPS",
    "TDS",
    "DDRMJpeg",
    "DiffPIR",
    "IntervalDDRM",
    "IntervalPlugAndPlay",
    "MCGDiff",
    "Method",
    "PiGDM",
    "PlugAndPlay",
    "REDDiff",
    "ScoreSDE",
    "StepCallback",
    "methods",
]


class _Callable(ModuleType):
    """Importing this package puts it over the function `restore.methods`, so it acts as that."""

    __call__ = staticmethod(methods)


sys.modules[__name__].__class__ = _Callable
