"""A network as a denoiser: padding to its size multiple, its preconditioning, its precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.prior.denoiser import Denoiser, sigma_column
from restore.prior.preconditioning import EDMPreconditioning


class NetworkDenoiser(Denoiser):
    """D(x, σ) by a preconditioned network that was trained on [0, 1] pictures.

    Any picture size is served: the picture is mirrored to the network's multiple and cropped
    again. On a CPU the pictures of a batch are run one after the other, so that the batch size
    changes no bit of a result (and costs no time there).

    Args:
        network: F(x, ln σ / 4), with an attribute `multiple`.
        preconditioning: how D is made of F.
        channels: channels of the network.
        sigma_min: smallest level it was trained at; a smaller σ is run at this one.
        sigma_max: largest, likewise.
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
        if x.device.type != "cpu" or x.shape[0] == 1:
            return self._denoise(x, level)
        levels = level.expand(x.shape[0], 1, 1, 1)
        rows = (slice(i, i + 1) for i in range(x.shape[0]))
        return torch.cat([self._denoise(x[row], levels[row]) for row in rows])

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        known = sigma.clamp(self.sigma_min, self.sigma_max)
        inner = self.preconditioning.network_input(mirrored(x, self._multiple), known)
        log_sigma = (known.log() / 4).flatten().expand(x.shape[0])
        output = self.network(inner, log_sigma)[..., : x.shape[-2], : x.shape[-1]]
        denoised = self.preconditioning.denoised(x, known, output.to(x.dtype))
        # The network does not know D(x, 0) = x; c_skip makes it almost so at sigma_min.
        return torch.where(sigma > 0, denoised, x)

    @property
    def _multiple(self) -> int:
        return int(self.network.multiple)  # type: ignore[arg-type]


class GreyDenoiser(Denoiser):
    """A grey picture through a colour prior, as three equal channels.

    Independent noise of std √3 σ on the three channels is noise of std σ on their mean, which is
    all that a grey picture has of it: so the colour network is asked at √3 σ, and its answer is
    averaged over the channels.
    """

    channels = 1

    def __init__(self, colour: Denoiser) -> None:
        self._colour = colour
        self.sigma_min = colour.sigma_min / 3**0.5
        self.sigma_max = colour.sigma_max / 3**0.5
        self.centre = colour.centre

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """E[x₀ | x] of [B, 1, H, W]."""
        denoised = self._colour(x.expand(-1, 3, -1, -1), 3**0.5 * sigma)
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
