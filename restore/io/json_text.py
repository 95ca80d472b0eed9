"""JSON as others wrote it."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: if it is none, is nested deeper than Python reads, or has a longer number.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
