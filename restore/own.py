"""Objects of the user's own, given as `package.module:name` where a name is expected."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

from restore.errors import InputError, in_one_line

_OWN = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*")


def is_own(name: str) -> bool:
    """Whether a name has the form `package.module:name`."""
    return _OWN.fullmatch(name) is not None


def load_own(name: str) -> object:
    """Import `package.module:name`; modules of the current folder are found too.

    Raises:
        InputError: if the module cannot be imported or has no such name.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = import_module(module_name)
    except Exception as error:  # the module's own code runs
        reason = str(error) if isinstance(error, ImportError) else in_one_line(error)
        raise InputError(f"{name}: {reason}; expected a module that can be imported") from error
    if not hasattr(module, attribute):
        raise InputError(f"{name}: the module {module_name} has no {attribute}")
    found: object = getattr(module, attribute)
    return found
