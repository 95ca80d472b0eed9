"""Bundled and user-trained models: weights in safetensors beside a card with their hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from restore.errors import InputError, counted, expected_one_of
from restore.own import is_own, load_own
from restore.prior.checkpoints.card import parsed, sha256_of

if TYPE_CHECKING:
    import torch

    from restore.prior.checkpoints.loader import Checkpoint
    from restore.prior.denoiser import Denoiser

WEIGHTS = "model.safetensors"
CARD = "card.json"
DEFAULT_MODEL = "photo"


class NetworkCard(BaseModel):
    """The architecture of a model and how D is made of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: Literal["gated-unet"] = "gated-unet"
    widths: tuple[PositiveInt, ...] = Field(min_length=1)
    blocks: tuple[PositiveInt, ...]
    unshuffle: PositiveInt
    data_mean: float
    data_std: PositiveFloat

    @model_validator(mode="after")
    def _fit_together(self) -> NetworkCard:
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"{len(self.blocks)} blocks for {len(self.widths)} widths")
        return self


class Card(BaseModel):
    """What a model is, where it comes from and what it can do; `card.json` beside the weights.

    σ is in units of a [0, 1] picture. `denoising` has a row for each σ in 255ths: the model's
    PSNR and a reference's in dB on the same pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    domain: str
    channels: PositiveInt
    parameters: PositiveInt
    sha256: str
    sigma_min: PositiveFloat
    sigma_max: PositiveFloat
    network: NetworkCard
    training_data: str
    licence: str
    recipe: dict[str, Any]
    denoising: dict[str, dict[str, float]] = {}
    large_noise: dict[str, float] = {}

    @model_validator(mode="after")
    def _levels_rise(self) -> Card:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"noise levels from {self.sigma_min:g} to {self.sigma_max:g}")
        return self


@dataclass(frozen=True)
class Model:
    """A model's folder and its card."""

    folder: Path
    card: Card

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS

    @property
    def bytes(self) -> int:
        """Size of the weights file."""
        return self.weights.stat().st_size

    def actual_sha256(self) -> str:
        """Hash of the weights file as it is now."""
        return sha256_of(self.weights)


def data_folder() -> Path:
    """Where the bundled models and samples are: in the package, or at the root of a checkout."""
    packaged = Path(str(files("restore"))) / "data"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "data"


def bundled_models() -> dict[str, Model]:
    """The models that came with the package, by name."""
    cards = sorted((data_folder() / "models").glob(f"*/{CARD}"))
    return {card.parent.name: open_model(card.parent) for card in cards}


def lasting_name(name_or_path: str) -> str:
    """What finds a model again from any folder: a bundled name, one's own, or an absolute path."""
    if is_own(name_or_path) or name_or_path in bundled_models():
        return name_or_path
    return str(Path(name_or_path).absolute())


def find_model(
    name_or_path: str | Path, settings: Mapping[str, Any] | None = None
) -> Model | Checkpoint:
    """A bundled model by name, one's own by its folder or weights file, or a checkpoint.

    Args:
        name_or_path: the name or path.
        settings: what a checkpoint's file does not say, such as `label`.

    Raises:
        InputError: if there is none; names the bundled models.
    """
    models = bundled_models()
    if str(name_or_path) in models:
        return models[str(name_or_path)]
    path = Path(name_or_path)
    folder = path.parent if path.name == WEIGHTS and path.is_file() else path
    if (folder / CARD).is_file():
        return open_model(folder)
    if path.exists():
        from restore.prior.checkpoints.loader import find_checkpoint

        checkpoint = find_checkpoint(path, settings)
        return open_model(path) if checkpoint is None else checkpoint
    raise InputError(
        f"{name_or_path}: no such model or file; other than a path, "
        f"{expected_one_of(models, str(name_or_path))}"
    )


def open_model(folder: Path) -> Model:
    """Read the card in a folder.

    Raises:
        InputError: if the card or the weights are missing, or the card is not one.
    """
    for part in (CARD, WEIGHTS):
        if not (folder / part).is_file():
            raise InputError(
                f"{folder}: no {part}; expected a model folder with {CARD} and {WEIGHTS}"
            )
    return Model(folder, parsed(Card, folder / CARD, "a model card"))


def load_prior(
    name_or_path: str | Path = DEFAULT_MODEL,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    compiled: bool = False,
) -> Denoiser:
    """Load a model as a denoiser.

    Args:
        name_or_path: a bundled model's name, a model folder, a weights file, a checkpoint of a
            published family (a file, or a diffusers folder), or `package.module:name` of one's
            own function D(x, σ) or `Denoiser`, which runs as it is.
        device: where the network runs.
        dtype: float32 (default) or float64 for all of it; float16 or bfloat16 for the body of
            the network, whose first and last layers stay in float32.
        settings: what a checkpoint's file does not say, such as `label` for its class; comes
            before its card.
        compiled: run the network through torch.compile; the first call takes a minute.

    Raises:
        InputError: if there is no such model, its hash is not the card's, or its weights do not
            fit its card or the architecture that they are of.
    """
    import torch

    if is_own(str(name_or_path)):
        if settings or compiled or dtype not in (None, torch.float32):
            raise InputError(
                f"{name_or_path}: one's own denoiser runs as it is; expected no settings, no dtype "
                "but float32, and not compiled"
            )
        return own_denoiser(str(name_or_path))

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from restore.prior.checkpoints.layout import check_names, check_numbers
    from restore.prior.network_denoiser import NetworkDenoiser
    from restore.prior.networks.gated_unet import GatedUNet
    from restore.prior.preconditioning import EDMPreconditioning

    model = find_model(name_or_path, settings)
    if not isinstance(model, Model):
        return model.load(device, dtype or torch.float32, compiled)
    card = model.card
    if settings:
        names = ", ".join(settings)
        raise InputError(f"{model.folder}: settings {names}; expected none beside its {CARD}")
    found = model.actual_sha256()
    if found != card.sha256:
        raise InputError(
            f"{model.weights}: SHA-256 is {found[:12]}…; the card says {card.sha256[:12]}… "
            f"(damaged or exchanged weights)"
        )
    description = card.network
    network = GatedUNet(
        card.channels, description.widths, description.blocks, description.unshuffle
    )
    try:
        state = load_file(model.weights)
    except SafetensorError as error:
        raise InputError(f"{model.weights}: {error}; expected safetensors weights") from error
    check_names(model.weights, network, state)
    check_numbers(model.weights, state)
    network.load_state_dict(state)
    dtype = dtype or torch.float32
    half = dtype in (torch.float16, torch.bfloat16)
    network = network.to(
        device=device,
        dtype=torch.float32 if half else dtype,
    )
    if half:
        network.set_body_dtype(dtype)
    if compiled:
        network.compile()
    return NetworkDenoiser(
        network,
        EDMPreconditioning(description.data_mean, description.data_std),
        channels=card.channels,
        sigma_min=card.sigma_min,
        sigma_max=card.sigma_max,
    )


def own_denoiser(name: str) -> Denoiser:
    """A denoiser of the user's own, as `package.module:name`: a function, an object or a class.

    Raises:
        InputError: if it cannot be imported or is none of these.
    """
    from restore.prior.denoiser import Denoiser, FunctionDenoiser

    found = load_own(name)
    if isinstance(found, Denoiser):
        return found
    if isinstance(found, type) and issubclass(found, Denoiser):
        return found()
    if callable(found) and not isinstance(found, type):
        return FunctionDenoiser(found)
    raise InputError(f"{name}: {found!r}; expected a function D(x, sigma) or a restore.Denoiser")


def fit_channels(prior: Denoiser, channels: int) -> Denoiser:
    """The prior as one of this many channels.

    Raises:
        InputError: if it cannot serve them.
    """
    from restore.prior.network_denoiser import GreyDenoiser

    if prior.channels in (None, channels):
        return prior
    if prior.channels == 3 and channels == 1:
        return GreyDenoiser(prior)
    raise InputError(
        f"the model has {counted(prior.channels, 'channel')}, the picture {channels}; "
        f"expected a model of {channels}"
    )
