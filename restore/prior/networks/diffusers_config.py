"""What the `config.json` of a folder of the diffusers library says of its `UNet2DModel`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

DownKind = Literal[
    "DownBlock2D",
    "AttnDownBlock2D",
    "ResnetDownsampleBlock2D",
    "SkipDownBlock2D",
    "AttnSkipDownBlock2D",
]
UpKind = Literal[
    "UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D", "SkipUpBlock2D", "AttnSkipUpBlock2D"
]

# Wider than any network.
Width = Annotated[int, Field(ge=1, le=2**16)]


class UNet2DConfig(BaseModel):
    """What `config.json` says of the architecture, with the library's names and defaults."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    in_channels: PositiveInt = 3
    out_channels: PositiveInt = 3
    center_input_sample: bool = False
    time_embedding_type: Literal["positional", "fourier"] = "positional"
    time_embedding_dim: Width | None = None
    freq_shift: float = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[DownKind, ...]
    up_block_types: tuple[UpKind, ...]
    mid_block_type: Literal["UNetMidBlock2D"] | None = "UNetMidBlock2D"
    block_out_channels: tuple[Width, ...]
    layers_per_block: int = Field(2, ge=1, le=100)
    mid_block_scale_factor: PositiveFloat = 1
    downsample_padding: Literal[0, 1] = 1
    downsample_type: Literal["conv", "resnet"] | None = "conv"
    upsample_type: Literal["conv", "resnet"] | None = "conv"
    act_fn: Literal["silu", "swish"] = "silu"
    attention_head_dim: PositiveInt | None = 8
    norm_num_groups: PositiveInt | None = 32
    attn_norm_num_groups: PositiveInt | None = None
    norm_eps: PositiveFloat = 1e-5
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"
    add_attention: bool = True
    class_embed_type: None = None
    num_class_embeds: PositiveInt | None = None

    @property
    def embedding_width(self) -> int:
        """Width of the embedding of the time."""
        return self.time_embedding_dim or 4 * self.block_out_channels[0]

    def groups(self, channels: int) -> int:
        """Groups of a norm of the plain blocks."""
        return self.norm_num_groups or min(channels // 4, 32)
