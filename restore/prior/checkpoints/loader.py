"""A checkpoint's file or folder → what it is → its denoiser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from restore.errors import InputError
from restore.io.json_text import write_json
from restore.prior.checkpoints import adm, ddpm, diffusers, edm, ncsnpp
from restore.prior.checkpoints.card import CheckpointCard, card_path, read_card, sha256_of
from restore.prior.checkpoints.files import Weights, read_weights
from restore.prior.checkpoints.layout import (
    Choices,
    Layout,
    Recognised,
    check_levels,
    check_names,
    check_numbers,
    few,
)
from restore.prior.models import CARD, WEIGHTS
from restore.prior.network_denoiser import CheckpointDenoiser

LAYOUTS: dict[str, Layout] = {
    layout.FAMILY: layout  # type: ignore[misc]
    for layout in (adm, ddpm, ncsnpp, edm, diffusers)
}
_LATENT = (
    "first_stage_model.", "cond_stage_model.", "model.diffusion_model.", "post_quant_conv.",
    ".transformer_blocks.",
)  # fmt: skip
# Names of the network that `restore train` makes.
_OUR_OWN = ("embedding.mlp.0.weight", "middle.0.film.weight")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's weights file, and its card where it has one.

    Attributes:
        folder: where its weights are.
        name: of its file, or of its folder.
        weights: the file.
        settings: what the caller says of it; comes before the card and the file.
    """

    folder: Path
    name: str
    weights: Path
    settings: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """Size of the weights file."""
        return self.weights.stat().st_size

    @cached_property
    def stored_card(self) -> CheckpointCard | None:
        """The card beside it."""
        return read_card(self.weights)

    @property
    def _stored_settings(self) -> Mapping[str, Any]:
        return self.stored_card.settings if self.stored_card else {}

    @cached_property
    def card(self) -> CheckpointCard:
        """The card beside it, or what it would say."""
        return self.stored_card or self.make_card()

    def actual_sha256(self) -> str:
        """Hash of the weights file as it is now."""
        return sha256_of(self.weights)

    def recognise(self) -> tuple[Weights, Recognised]:
        """The mapped weights, and what they are.

        Raises:
            InputError: if they are damaged, of no known layout, or do not fit theirs.
        """
        weights = read_weights(self.weights)
        said = {**self._stored_settings, **self.settings}
        recognised = recognise(weights, Choices(str(self.weights), said, weights.config))
        for name in recognised.unused:
            del weights.state[name]
        check_names(self.weights, recognised.network, weights.state)
        return weights, recognised

    def make_card(self) -> CheckpointCard:
        """What there is to say of it.

        Raises:
            InputError: as `recognise`.
        """
        _, found = self.recognise()
        unit = found.conversion.unit
        return CheckpointCard(
            name=self.name,
            family=found.family,
            channels=found.channels,
            parameters=found.parameters,
            sha256=self.actual_sha256(),
            sigma_min=found.conversion.sigma_min / unit,
            sigma_max=found.conversion.sigma_max / unit,
            settings={**self._stored_settings, **self.settings},
            facts=found.facts | ({"classes": str(found.classes)} if found.classes else {}),
            assumed=found.assumed,
        )

    def add(self) -> Path:
        """Write its card beside it.

        Raises:
            InputError: as `recognise`, or if the folder cannot be written to.
        """
        card, path = self.make_card(), card_path(self.weights)
        write_json(path, card)
        return path

    def load(
        self, device: str | torch.device, dtype: torch.dtype, compiled: bool = False
    ) -> CheckpointDenoiser:
        """The denoiser.

        Args:
            device: where the network runs.
            dtype: of the network; in half precision its edges stay in float32.
            compiled: through torch.compile.

        Raises:
            InputError: as `recognise`; if the hash is not the card's; if the network is
                conditional and no class is said.
        """
        if self.stored_card and (found := self.actual_sha256()) != self.stored_card.sha256:
            raise InputError(
                f"{self.weights}: SHA-256 is {found[:12]}…; the card says "
                f"{self.stored_card.sha256[:12]}… (damaged or exchanged weights)"
            )
        weights, recognised = self.recognise()
        if recognised.classes and recognised.label is None:
            raise InputError(
                f"{self.weights}: class-conditional, {recognised.classes} classes; say which with "
                f"`restore models add FILE --set label=N`"
            )
        network = recognised.network
        network.set_dtype(dtype)
        wanted = {name: value.dtype for name, value in network.state_dict().items()}
        # What has its dtype already becomes a parameter as it is mapped: nothing is copied.
        state = {name: weights.take(name, device, dtype) for name, dtype in wanted.items()}
        check_numbers(self.weights, state)
        network.load_state_dict(state, assign=True)
        network.to(device)
        denoiser = CheckpointDenoiser(
            network,
            recognised.conversion,
            channels=recognised.channels,
            label=recognised.label,
        )
        if compiled:
            network.compile()
        return denoiser


def find_checkpoint(path: Path, settings: Mapping[str, Any] | None = None) -> Checkpoint | None:
    """The checkpoint at a path; None where there is neither a file nor a diffusers folder."""
    if path.is_dir():
        weights = diffusers.weights_in(path)
        found = settings or {}
        return Checkpoint(path, path.resolve().name, weights, found) if weights else None
    return Checkpoint(path.parent, path.name, path, settings or {}) if path.is_file() else None


def recognise(weights: Weights, said: Choices) -> Recognised:
    """What a state dict is.

    Raises:
        InputError: if it is of a latent model, of ours but without its card, or of no layout known
            here; then it lists the nearest ones and the names that they miss.
    """
    latent = [mark for mark in _LATENT if any(mark in name for name in weights.state)]
    if latent:
        raise InputError(
            f"{weights.path}: a latent-diffusion model (names with {latent[0]}); latent models "
            f"are out of scope, expected a model of pixels"
        )
    if all(name in weights.state for name in _OUR_OWN):
        raise InputError(
            f"{weights.path}: of `restore train`, without its card; expected {WEIGHTS}, with "
            f"{CARD} beside it"
        )
    missing = {
        family: [mark for mark in layout.MARKS if not _has(weights, mark)]
        for family, layout in LAYOUTS.items()
    }
    family = said.get("family", "") or next((f for f, m in missing.items() if not m), "")
    if family not in LAYOUTS:
        near = sorted(missing, key=lambda f: len(missing[f]) / len(LAYOUTS[f].MARKS))
        told = "; ".join(
            f"{LAYOUTS[f].TITLE}, missing {few(_readable(m) for m in missing[f])}" for f in near
        )
        raise InputError(
            f"{weights.path}: names like {few(weights.state)}, of no layout known here; "
            f"candidates: {told}"
        )
    try:
        found = LAYOUTS[family].describe(weights, said)
    except KeyError as error:
        raise InputError(
            f"{weights.path}: {LAYOUTS[family].TITLE} without {error.args[0]}: "
            f"1 missing or more; expected all of its weights"
        ) from None
    except (ValueError, TypeError, IndexError, StopIteration, ZeroDivisionError):
        raise InputError(
            f"{weights.path}: {LAYOUTS[family].TITLE} by its names, but not by its shapes"
        ) from None
    said.check_all_known()
    check_levels(weights.path, found.conversion)
    return found


def _has(weights: Weights, mark: str) -> bool:
    if mark in weights.state:
        return True
    return any(re.fullmatch(mark, name) for name in weights.state)


def _readable(mark: str) -> str:
    return mark.replace(r"(model\.)?", "").replace("\\", "").replace("d+", "N")
