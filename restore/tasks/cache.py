"""Where what is costly to make is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The project's folder among the user's caches; it may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "score-restore"
    except RuntimeError:  # an account without a home, as in a container: nothing can be kept
        return Path(os.devnull) / "score-restore"
