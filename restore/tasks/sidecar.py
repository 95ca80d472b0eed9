"""The JSON file beside each output: everything that made it."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from restore.io.atomic import atomic_path
from restore.io.json_text import parse_json

PACKAGES = ("score-restore", "torch", "numpy", "scikit-image", "pillow")


def software() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def write_sidecar(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def guide_of(path: Path) -> str | None:
    """The guide of a sidecar of `restore sample`; None of another file."""
    content = parse_json(path.read_text()) if is_sidecar(path) else {}
    return content.get("input") if content.get("task") == "sample" else None


def is_sidecar(path: Path) -> bool:
    """Whether a file is a sidecar, which the next output of its name may replace."""
    if path.suffix != ".json":
        return False
    try:
        content = parse_json(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"task", "output", "config"} <= set(content)
