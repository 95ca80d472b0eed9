"""JSON: as others wrote it, and as we write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.io.atomic import write_bytes

if TYPE_CHECKING:
    from pydantic import BaseModel


def parse_json(text: str | bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: if it is none, is nested deeper than Python reads, or has a longer number.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(path: Path, content: BaseModel) -> None:
    """Write what is described by a model, such as a card or a recipe, whole or not at all.

    Raises:
        InputError: as `atomic_path`.
    """
    write_bytes(path, (content.model_dump_json(indent=2) + "\n").encode())
