"""Every hyperparameter of a training run, in one file beside the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from restore.errors import InputError, first_error
from restore.io.json_text import write_json
from restore.training.objectives.weightings import Weighting

# No level is trained below it.
LEAST_LEVEL = 0.002


class Recipe(BaseModel):
    """The recipe of a bundled model; the defaults are those that made `photo`.

    Noise levels are in units of a [0, 1] picture. A share `tail` of each batch draws σ
    log-uniformly from `tail_range`, the rest log-normally around `sigma_median`: the levels at
    which restoration works deserve most of the training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = "photo"
    channels: int = Field(3, ge=1)
    widths: tuple[PositiveInt, ...] = Field((48, 96, 160), min_length=1)
    blocks: tuple[PositiveInt, ...] = (2, 2, 4)
    unshuffle: int = Field(2, ge=1)
    data_mean: float = 0.45
    data_std: float = Field(0.25, gt=0)

    steps: int = Field(20_000, ge=1)
    batch_size: int = Field(16, ge=1)
    patch: int = Field(64, ge=16)
    white: float = Field(1.0, gt=0, description="what a white pixel is worth")
    phase: bool = Field(
        False, description="patches are real parts: each is multiplied by cos of a smooth phase"
    )
    pyramid: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((1.0, 0.75, 0.5), min_length=1)
    full_size_share: float = Field(0.5, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=2**32)

    sigma_median: float = Field(0.1, gt=0)
    sigma_spread: float = Field(1.2, gt=0)
    tail: float = Field(0.1, ge=0, le=1)
    tail_range: tuple[PositiveFloat, PositiveFloat] = (0.5, 50.0)
    weighting: Literal["running", Weighting] = Field(
        "running",
        description="running: one over the mean loss at each level",
    )

    learning_rate: float = Field(2e-3, gt=0)
    adam_rate: float = Field(1e-3, gt=0)
    warmup: int = Field(200, ge=0)
    decay: float = Field(0.25, ge=0, le=1, description="last share of the run, linearly to 0")
    clip: float = Field(1.0, gt=0)
    dtype: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="of the network's products; the weights and their average stay in float32",
    )
    # No power of the step has an average longer than 0.288 of the run.
    ema: float = Field(
        0.05, gt=0, le=0.28, description="relative length of the average, of the run so far"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Recipe:
        if len(self.blocks) != len(self.widths):
            raise ValueError(
                f"{len(self.blocks)} blocks for {len(self.widths)} widths, expected one for each"
            )
        multiple = self.unshuffle * 2 ** (len(self.widths) - 1)
        if self.patch % multiple:
            raise ValueError(f"patch {self.patch}, expected a multiple of {multiple}")
        low, high = self.tail_range
        if low >= high:
            raise ValueError(f"tail_range {low:g} to {high:g}, expected the smaller level first")
        if high <= LEAST_LEVEL:
            raise ValueError(f"tail_range up to {high:g}, expected more than {LEAST_LEVEL:g}")
        return self

    @property
    def decay_start(self) -> int:
        """The step from which the learning rate falls."""
        return self.steps - round(self.decay * self.steps)

    def save(self, path: Path) -> None:
        """Write as JSON.

        Raises:
            InputError: if the file cannot be written.
        """
        write_json(path, self)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read what `save` wrote, or one's own.

        Raises:
            InputError: if it is none.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; expected a recipe file") from None
        except UnicodeDecodeError:
            raise InputError(f"{path}: no text; expected a recipe file") from None
        except ValidationError as error:
            raise cls.refused(str(path), error) from None

    @staticmethod
    def refused(where: str, error: ValidationError) -> InputError:
        """The first thing that is wrong, as one line."""
        place, reason = first_error(error)
        return InputError(": ".join((where, *place, reason)))
