"""What the server's log says of a failure: where it was, and nothing of the visitor's."""

from __future__ import annotations

import logging
import traceback

LOG = logging.getLogger("restore.web")
"""Messages, which may name a visitor's file, are of level DEBUG."""


def log_failure(error: BaseException) -> None:
    """Say where an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames)]
    LOG.error("%s in %s", type(error).__name__, " < ".join(where))
    LOG.debug("", exc_info=error)
