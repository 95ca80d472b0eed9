"""The methods by name: the one place where a method is registered."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from functools import cache

from restore.errors import expected_one_of
from restore.methods.base import Method
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
from restore.methods.scoresde import ScoreSDE
from restore.methods.snips import SNIPS
from restore.methods.snips_interval import IntervalSNIPS
from restore.methods.tds import TDS
from restore.own import is_own, load_own

_METHODS: tuple[type[Method], ...] = (
    DDRM,
    PlugAndPlay,
    ScoreSDE,
    ILVR,
    CCDF,
    DDRMCG,
    DiffPIR,
    SNIPS,
    DDNM,
    PiGDM,
    DPS,
    DAPS,
    REDDiff,
    TDS,
    MCGDiff,
    DDRMJpeg,
    IntervalSNIPS,
    IntervalDDRM,
    IntervalPlugAndPlay,
)


def methods() -> dict[str, type[Method]]:
    """Return the classes of the methods by their names."""
    return {method.name: method for method in _METHODS}


def methods_of(verb: str) -> tuple[str, ...]:
    """Names of the methods that serve a verb of the command line."""
    return tuple(name for name, cls in methods().items() if verb in cls.tasks)


def find_method(name: str) -> type[Method]:
    """Return a method by its name, or one's own as `package.module:Class`.

    Raises:
        ValueError: if there is none; names those that there are.
        InputError: if the user's module cannot be imported.
    """
    known = methods()
    if name in known:
        return known[name]
    if is_own(name):
        found = load_own(name)
        if isinstance(found, type) and issubclass(found, Method):
            return found
        if isinstance(found, type) and any("__call__" in vars(base) for base in found.__mro__):
            return _adopted(found)
        raise ValueError(
            f"{name} is {found!r}; expected a class whose objects are called as a "
            "restore.methods.Method is"
        )
    raise ValueError(f"there is no method {name!r}; {expected_one_of(known, name)}")


@cache
def _adopted(found: type) -> type[Method]:
    """A class of one's own that does not say what a method says of itself."""
    name = found.__name__
    told = {"name": name.lower(), "title": name, "reference": "none", "needs": ()}
    missing = {key: value for key, value in told.items() if not hasattr(found, key)}
    adopted = type(name, (found, Method), {"__module__": found.__module__, **missing})
    return adopted if is_dataclass(found) else dataclass(init=False, repr=False, eq=False)(adopted)
