"""The methods by name: the one place where a method is registered."""

from __future__ import annotations

from restore.methods.base import Method
from restore.methods.ddrm import DDRM
from restore.methods.pnp import PlugAndPlay

_METHODS: tuple[type[Method], ...] = (DDRM, PlugAndPlay)


def methods() -> dict[str, type[Method]]:
    """Return the classes of the methods by their names."""
    return {method.name: method for method in _METHODS}
