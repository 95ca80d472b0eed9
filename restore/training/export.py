"""From a training run to a model folder: float16 weights and a card."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save

from restore.io.atomic import write_bytes
from restore.io.json_text import write_json
from restore.prior.checkpoints.card import sha256_of
from restore.prior.models import CARD, WEIGHTS, Card, NetworkCard
from restore.training.recipe import LEAST_LEVEL
from restore.training.trainer import Trainer


def export_model(
    trainer: Trainer, folder: Path, *, domain: str, training_data: str, licence: str
) -> Card:
    """Write `model.safetensors` and `card.json`: the averaged weights of the run so far.

    Args:
        trainer: the run.
        folder: where to write; made when missing.
        domain: what the pictures are of: photo, brain, ….
        training_data: where they came from, in words.
        licence: of the weights and of the training pictures, in words.

    Returns:
        The card as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe = trainer.recipe
    state = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in trainer.averaged_network().state_dict().items()
    }
    write_bytes(folder / WEIGHTS, save(state))
    card = Card(
        name=recipe.name,
        domain=domain,
        channels=recipe.channels,
        parameters=sum(value.numel() for value in state.values()),
        sha256=sha256_of(folder / WEIGHTS),
        sigma_min=LEAST_LEVEL,
        sigma_max=recipe.tail_range[1],
        network=NetworkCard(
            widths=recipe.widths,
            blocks=recipe.blocks,
            unshuffle=recipe.unshuffle,
            data_mean=recipe.data_mean,
            data_std=recipe.data_std,
        ),
        training_data=training_data,
        licence=licence,
        recipe=recipe.model_dump(mode="json"),
    )
    write_json(folder / CARD, card)
    return card
