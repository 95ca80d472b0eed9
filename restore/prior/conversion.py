"""From a published network to D(x, σ): how its input, its time and its output are to be read.

Each class holds for x = x₀ + σ n in the units that the network was trained in, and says what
those are: a network of pictures in [-1, 1] is converted here, once (Song et al., ICLR 2021; Karras
et al., NeurIPS 2022; Salimans and Ho, ICLR 2022).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from operators.space import widest
from restore.prior.preconditioning import (
    EDMPreconditioning,
    denoised_from_epsilon,
    denoised_from_v,
)
from restore.prior.schedule import LinearBeta, native

Network = Callable[[Tensor, Tensor], Tensor]
Prediction = Literal["epsilon", "v_prediction", "sample"]


class Conversion(ABC):
    """How D is made of a network F(input, time).

    Attributes:
        sigma_min: smallest level that the network knows, in its units.
        sigma_max: largest.
        unit: length of the range of its pictures, 2 for [-1, 1] and 1 for [0, 1].
        origin: black, in its units.
    """

    sigma_min: float
    sigma_max: float
    unit: float = 2.0
    origin: float = -1.0

    @abstractmethod
    def denoised(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """D of x [B, C, H, W] at σ, [1, 1, 1, 1] or [B, 1, 1, 1]; all in the network's units."""

    def native_sigmas(self, steps: int) -> list[float] | None:  # noqa: ARG002
        """Levels of the network's own timesteps, in its units; None where it has none."""
        return None


def _times(time: Tensor, x: Tensor) -> Tensor:
    """A time for each picture, [B]."""
    return time.flatten().expand(x.shape[0])


@dataclass(frozen=True)
class Timesteps(Conversion):
    """A network of T timesteps, x_t = (x₀ + σ_t n) / √(1 + σ_t²).

    Between two timesteps t is interpolated in log σ: near t = 0 one step changes σ by a quarter.

    Attributes:
        levels: σ_t, increasing, in the network's units.
        prediction: ε, v = α ε − √(1 − α²) x₀, or x₀.
        rounded: the time is an index of a table, so it is rounded.
        scale: what the network is told for one timestep.
    """

    levels: tuple[float, ...]
    prediction: Prediction = "epsilon"
    rounded: bool = False
    scale: float = 1.0
    _tables: dict[torch.device, Tensor] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sigma_min(self) -> float:  # type: ignore[override]
        """σ_0."""
        return self.levels[0]

    @property
    def sigma_max(self) -> float:  # type: ignore[override]
        """σ_{T−1}."""
        return self.levels[-1]

    def time(self, sigma: Tensor) -> Tensor:
        """t of σ, within 0 … T − 1."""
        if sigma.device not in self._tables:
            table = torch.tensor(self.levels, dtype=torch.float64).log()
            self._tables[sigma.device] = table.to(sigma.device, widest(sigma.device))
        table = self._tables[sigma.device]
        level = sigma.to(table.dtype).log().contiguous()
        above = torch.searchsorted(table, level).clamp(1, len(self.levels) - 1)
        low, high = table[above - 1], table[above]
        time = (above - 1 + (level - low) / (high - low)).clamp(0, len(self.levels) - 1)
        return (time.round() if self.rounded else time).to(sigma.dtype)

    def denoised(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """D of x at σ."""
        scaled = x * (1 + sigma.square()).rsqrt()
        output = network(scaled, _times(self.scale * self.time(sigma), x))
        if self.prediction == "epsilon":
            return denoised_from_epsilon(x, sigma, output)
        return output if self.prediction == "sample" else denoised_from_v(x, sigma, output)

    def native_sigmas(self, steps: int) -> list[float] | None:
        """Those of uniform timesteps (`schedule.native`)."""
        return native(self.levels, min(steps, len(self.levels)))


@dataclass(frozen=True)
class ContinuousVP(LinearBeta, Conversion):
    """An ε network of the VP or sub-VP SDE, asked at 999 t.

    With a of x_t it is σ = √(1 − a²)/a for VP and (1 − a²)/a for sub-VP, and ∫₀ᵗ β = −2 ln a.

    Attributes:
        beta_min: β(0).
        beta_max: β(1).
        t_min: smallest t of the training.
        sub: the sub-VP SDE.
    """

    t_min: float = 1e-5
    sub: bool = False

    def _sigma(self, t: float) -> float:
        decay = self.decay(t)
        return 2 * math.sinh(decay / 2) if self.sub else math.sqrt(math.expm1(decay))

    @property
    def sigma_min(self) -> float:  # type: ignore[override]
        """σ at the smallest t."""
        return self._sigma(self.t_min)

    @property
    def sigma_max(self) -> float:  # type: ignore[override]
        """σ at t = 1."""
        return self._sigma(1.0)

    def denoised(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """D = x − σ ε."""
        # −2 ln a, without the cancellation that ln(1 + σ²) has at small σ.
        decay = 2 * torch.asinh(sigma / 2) if self.sub else torch.log1p(sigma.square())
        time = _times(999 * self.time_of(decay), x)
        output = network(x * torch.exp(-decay / 2), time)
        return denoised_from_epsilon(x, sigma, output)


@dataclass(frozen=True)
class VENoise(Conversion):
    """A network of the VE SDE: D = x + σ F, for F before its division by σ (then it is σ·score).

    Its pictures, and σ, are in units of [0, 1].

    Attributes:
        low: smallest level of the training.
        high: largest.
        levels: the levels of a network of timesteps, increasing; the time is an index that counts
            down, so it is rounded. Empty for a network that is given σ.
        centres: the first layer of the network sees 2 x − 1.
    """

    low: float
    high: float
    levels: tuple[float, ...] = ()
    centres: bool = True
    unit: float = 1.0
    origin: float = 0.0

    @property
    def sigma_min(self) -> float:  # type: ignore[override]
        """The smallest level."""
        return self.low

    @property
    def sigma_max(self) -> float:  # type: ignore[override]
        """The largest level."""
        return self.high

    def denoised(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """D of x at σ."""
        seen = 2 * x - 1 if self.centres else x
        if not self.levels:
            return x + sigma * network(seen, _times(sigma, x))
        index = self._index.time(sigma)
        return x + sigma * network(seen, _times(len(self.levels) - 1 - index, x))

    @cached_property
    def _index(self) -> Timesteps:
        return Timesteps(self.levels, rounded=True)

    def native_sigmas(self, steps: int) -> list[float] | None:
        """Those of the timesteps, where there are some."""
        return native(self.levels, min(steps, len(self.levels))) if self.levels else None


@dataclass(frozen=True)
class EDMNoise(Conversion):
    """The VE preconditioning of EDM: D = x + σ F(x, ln(σ/2))."""

    sigma_min: float = 0.02
    sigma_max: float = 100.0

    def denoised(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """D of x at σ."""
        return x + sigma * network(x, _times((sigma / 2).log(), x))


@dataclass(frozen=True)
class EDM(Conversion):
    """D = c_skip x + c_out F(c_in x, ln σ / 4), the preconditioning of EDM.

    Attributes:
        std: standard deviation of the data.
    """

    std: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def denoised(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """D of x at σ."""
        scaling = EDMPreconditioning(mean=0.0, std=self.std)
        output = network(scaling.network_input(x, sigma), _times(sigma.log() / 4, x))
        return scaling.denoised(x, sigma, output)
