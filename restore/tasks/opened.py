"""A model that a task has loaded, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from restore.own import is_own
from restore.prior.denoiser import Denoiser
from restore.prior.models import find_model, lasting_name, load_prior
from restore.tasks.device import DTYPES, choose_device, choose_dtype

# Of a model's card, and of a checkpoint's.
_DESCRIBED = {"network", "sigma_min", "sigma_max", "settings"}


@dataclass(frozen=True)
class OpenModel:
    """A model that is ready.

    Attributes:
        prior: the denoiser.
        name: as its card has it, or one's own as it was given.
        path: what finds it again: a bundled name, one's own, or an absolute path.
        sha256: of its weights, where there is a card.
        described: what the card says that the denoiser depends on besides the weights.
        device: where it runs.
        dtype: its precision: fp32, fp16 or bf16.
    """

    prior: Denoiser
    name: str
    path: str
    sha256: str | None
    described: Mapping[str, Any]
    device: torch.device
    dtype: str

    @classmethod
    def load(cls, model: str, device: str = "auto", dtype: str = "auto") -> OpenModel:
        """Load a model by name or path.

        Raises:
            InputError: if there is none, the device is not here or the precision is unknown.
        """
        chosen = choose_device(device)
        # One's own denoiser is given float32, and runs as it is.
        precision = choose_dtype("fp32" if dtype == "auto" and is_own(model) else dtype, chosen)
        prior = load_prior(model, chosen, DTYPES[precision])
        if is_own(model):
            return cls(prior, model, model, None, {}, chosen, precision)
        card = find_model(model).card
        described = card.model_dump(mode="json", include=_DESCRIBED)
        path = lasting_name(model)
        return cls(prior, card.name, path, card.sha256, described, chosen, precision)
