"""The JSON file beside each output: everything that made it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from restore.io.atomic import atomic_path
from restore.io.json_text import parse_json

PACKAGES = ("score-restore", "torch", "numpy", "scikit-image", "pillow")


def software() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


@cache  # its metadata is looked for on the whole path, and parsed
def _version(package: str) -> str:
    return version(package)


def write_sidecar(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def is_sidecar(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object tells how a run was made, and is no file of options."""
    return {"task", "config"} <= content.keys()


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What a sidecar holds; None of a file that is none, which no output may replace unasked."""
    if path.suffix != ".json":
        return None
    try:
        content = parse_json(path.read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(content, dict) and is_sidecar(content) and "output" in content
    return content if whole else None


def guide_of(path: Path) -> str | None:
    """The guide of a sidecar of `restore sample`; None of another file."""
    record = read_sidecar(path)
    return record.get("input") if record is not None and record["task"] == "sample" else None
