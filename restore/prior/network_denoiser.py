"""A network as a denoiser: padding to its size multiple, its preconditioning, its precision."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from restore.prior.conversion import Conversion
from restore.prior.denoiser import Denoiser, Wrapped, sigma_column
from restore.prior.networks.layers import CheckpointNetwork
from restore.prior.preconditioning import EDMPreconditioning


class AnySizeDenoiser(Denoiser):
    """What D by a network needs whatever the network.

    Any picture size is served: the picture is mirrored to the network's multiple and cropped
    again. On a CPU the pictures of a batch are run one after the other, so that the batch size
    changes no bit of a result (and costs no time there).

    σ above the known range is run at its end. Below it the score is that of its end, so that
    D(x, σ) = x + σ² · score goes to x with σ²: a picture that is cleaner than what the network
    knows is changed by less.
    """

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Every side of the network's input is a multiple of it."""

    @abstractmethod
    def _denoised(self, x: Tensor, padded: Tensor, sigma: Tensor) -> Tensor:
        """D of x, from its continuation `padded`, at a known level of four dimensions."""

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, channels, H, W], any H and W.

        Raises:
            ValueError: if x has other channels, or σ does not fit the batch.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f"denoiser: input is {list(x.shape)}; "
                f"expected [batch, {self.channels}, rows, columns]"
            )
        level = sigma_column(sigma, x)
        if x.numel() == 0:
            return torch.zeros_like(x)
        if x.device.type != "cpu" or x.shape[0] == 1:
            return self._denoise(x, level)
        levels = level.expand(x.shape[0], 1, 1, 1)
        rows = (slice(i, i + 1) for i in range(x.shape[0]))
        return torch.cat([self._denoise(x[row], levels[row]) for row in rows])

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        known = sigma.clamp(self.sigma_min, self.sigma_max)
        denoised = self._denoised(x, mirrored(x, self.multiple), known)
        return torch.lerp(x, denoised, (sigma / known).clamp(0, 1).square())


class NetworkDenoiser(AnySizeDenoiser):
    """D(x, σ) by a preconditioned network that was trained on [0, 1] pictures.

    Args:
        network: F(x, ln σ / 4), with an attribute `multiple`.
        preconditioning: how D is made of F.
        channels: channels of the network.
        sigma_min: smallest level it was trained at.
        sigma_max: largest.
    """

    def __init__(
        self,
        network: nn.Module,
        preconditioning: EDMPreconditioning,
        *,
        channels: int,
        sigma_min: float,
        sigma_max: float,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.preconditioning = preconditioning
        self.channels = channels
        self.sigma_min = sigma_min
        self.sigma_max = sigma_max
        self.centre = preconditioning.mean

    @property
    def multiple(self) -> int:
        """That of the network."""
        return int(self.network.multiple)  # type: ignore[arg-type]

    def _denoised(self, x: Tensor, padded: Tensor, sigma: Tensor) -> Tensor:
        inner = self.preconditioning.network_input(padded, sigma)
        log_sigma = (sigma.log() / 4).flatten().expand(x.shape[0])
        # A problem in double precision keeps it outside a network in single.
        own = next((p.dtype for p in self.network.parameters()), x.dtype)
        output = self.network(inner.to(own), log_sigma.to(own))
        output = output[..., : x.shape[-2], : x.shape[-1]]
        return self.preconditioning.denoised(x, sigma, output.to(x.dtype))


class CheckpointDenoiser(AnySizeDenoiser):
    """D(x, σ) by a network of a published family; x and σ are in units of a [0, 1] picture.

    Args:
        network: F(input, time, class).
        conversion: how D is made of F, and the range of F's pictures.
        channels: channels of the picture; further ones of the output (a learned variance) are
            dropped.
        label: the class that a conditional network is asked for.
    """

    def __init__(
        self,
        network: CheckpointNetwork,
        conversion: Conversion,
        *,
        channels: int,
        label: int | None = None,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.conversion = conversion
        self.channels = channels
        self.label = label
        self.sigma_min = conversion.sigma_min / conversion.unit
        self.sigma_max = conversion.sigma_max / conversion.unit

    @property
    def multiple(self) -> int:
        """That of the network."""
        return self.network.multiple

    def native_sigmas(self, steps: int) -> list[float] | None:
        """Levels of the network's timesteps; None where it is continuous in σ."""
        levels = self.conversion.native_sigmas(steps)
        return None if levels is None else [level / self.conversion.unit for level in levels]

    def _denoised(self, x: Tensor, padded: Tensor, sigma: Tensor) -> Tensor:
        unit, origin = self.conversion.unit, self.conversion.origin
        own = torch.float64 if self.network.body_dtype == torch.float64 else torch.float32

        def network(inner: Tensor, time: Tensor) -> Tensor:
            label = None
            if self.label is not None:
                label = torch.full_like(time, self.label, dtype=torch.long)
            output: Tensor = self.network(inner.to(own), time, label)[:, : x.shape[1]]
            return output.to(x.dtype)

        denoised = self.conversion.denoised(network, unit * padded + origin, unit * sigma)
        return (denoised[..., : x.shape[-2], : x.shape[-1]] - origin) / unit


class GreyDenoiser(Wrapped):
    """A grey picture through a colour prior, as three equal channels.

    Independent noise of std √3 σ on the three channels is noise of std σ on their mean, which is
    all that a grey picture has of it: so the colour network is asked at √3 σ, and its answer is
    averaged over the channels.
    """

    def __init__(self, colour: Denoiser) -> None:
        super().__init__(colour)
        self.channels = 1
        self.sigma_min, self.sigma_max = colour.sigma_min / 3**0.5, colour.sigma_max / 3**0.5

    def native_sigmas(self, steps: int) -> list[float] | None:
        """Those of the colour prior, over √3."""
        levels = super().native_sigmas(steps)
        return None if levels is None else [level / 3**0.5 for level in levels]

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, 1, H, W]."""
        denoised = self._prior(x.expand(-1, 3, -1, -1), 3**0.5 * sigma)
        return denoised.mean(dim=1, keepdim=True)


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """x [..., H, W] continued by its mirror image to the next multiple, at any size from 1×1."""
    for axis in (-2, -1):
        size = x.shape[axis]
        padded = -(-size // multiple) * multiple
        if padded == size:
            continue
        # Half-sample reflection, periodic with twice the size: … b a | a b c | c b a | a b …
        position = torch.arange(padded, device=x.device) % (2 * size)
        x = x.index_select(axis, torch.minimum(position, 2 * size - 1 - position))
    return x
