"""A card beside a checkpoint: its hash, what it is, and what its file does not say."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from restore.errors import InputError, first_error

C = TypeVar("C", bound=BaseModel)
SUFFIX = ".card.json"


class CheckpointCard(BaseModel):
    """What a checkpoint is; `FILE.card.json` beside its weights.

    `settings` are what the user says: they come before what the file says. σ is in units of a
    [0, 1] picture.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    family: str
    domain: str = "photo"
    channels: int
    parameters: int
    sha256: str
    sigma_min: float
    sigma_max: float
    settings: dict[str, Any] = {}
    facts: dict[str, str] = {}
    assumed: dict[str, str] = {}
    licence: str = "that of its source"


def card_path(weights: Path) -> Path:
    """Where the card of a weights file is."""
    return weights.with_name(weights.name + SUFFIX)


def read_card(weights: Path) -> CheckpointCard | None:
    """The card of a weights file; None where there is none.

    Raises:
        InputError: if it is not a card.
    """
    path = card_path(weights)
    return parsed(CheckpointCard, path, "a checkpoint's card") if path.is_file() else None


def parsed(kind: type[C], path: Path, expected: str) -> C:
    """The card in a file.

    Raises:
        InputError: if it is none; says what was expected.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        place, reason = first_error(error)
        where = ".".join(place) or "content"
        raise InputError(f"{path}: {where}: {reason}; expected {expected}") from None


def sha256_of(path: Path) -> str:
    """Hash of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
