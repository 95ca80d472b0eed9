"""The tiny checkpoints of make_checkpoints.py, and what their files do not say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("checkpoints")
LEVELS = 5


@dataclass(frozen=True)
class Case:
    """A checkpoint.

    Attributes:
        name: of its file or folder.
        family: its layout.
        settings: what a user has to say of it.
    """

    name: str
    family: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return FOLDER / self.name


CASES = [
    Case(
        "adm_conditional.pt",
        "adm",
        {"head_channels": 16, "new_order": True, "schedule": "cosine", "label": 3},
    ),
    Case("adm_convolutions.pt", "adm", {"heads": 4}),
    Case("adm_without_resampling_weights.pt", "adm", {"head_channels": 16}),
    Case("ddpm.ckpt", "ddpm"),
    Case("ncsnpp_input_skip.pth", "ncsnpp"),
    Case("ncsnpp_concatenated.pth", "ncsnpp"),
    Case("ncsnpp_residual.pth", "ncsnpp"),
    Case("ncsnpp_timesteps.pth", "ncsnpp", {"sde": "ve"}),
    Case("ncsnpp_vp.pth", "ncsnpp", {"sde": "vp"}),
    Case("ddpmpp_vp.pth", "ncsnpp", {"sde": "vp"}),
    Case("ddpmpp_subvp.pth", "ncsnpp", {"sde": "subvp"}),
    Case("ddpm_score_sde.pth", "ncsnpp", {"sde": "vp", "continuous": False}),
    Case("edm_ddpmpp.safetensors", "edm"),
    Case("edm_ncsnpp.safetensors", "edm", {"label": 1}),
    Case("edm_skip.safetensors", "edm"),
    Case("edm_ve.safetensors", "edm"),
    Case("edm_vp.safetensors", "edm"),
    Case("edm_iddpm.safetensors", "edm", {"label": 2, "head_channels": 16}),
    Case("diffusers_epsilon", "diffusers"),
    Case("diffusers_v", "diffusers", {"label": 1}),
    Case("diffusers_sample", "diffusers"),
    Case("diffusers_ncsnpp", "diffusers"),
]
