"""Denoising training of a score prior, resumable after an interruption at any moment.

The loss is the squared error in F-space (Karras et al., NeurIPS 2022), each sample divided by a
running mean of the loss at its noise level, so that no level dominates the gradient, or weighed as
the recipe says. The weights that are kept are a power-function average over the run (Karras et al.,
"Analyzing and Improving the Training Dynamics of Diffusion Models", CVPR 2024).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restore.errors import InputError, counted
from restore.noise import seeded_generator
from restore.prior.networks.gated_unet import GatedUNet
from restore.prior.preconditioning import EDMPreconditioning
from restore.training.folder import CHECKPOINT, LOG, TRUNK, RunFolder
from restore.training.objectives.levels import LogNormal, LogUniform
from restore.training.objectives.weightings import weighting
from restore.training.optimizer import optimizers
from restore.training.patches import Patches
from restore.training.recipe import LEAST_LEVEL, Recipe

LEVEL_BINS = 24
LEVEL_RANGE = (math.log(LEAST_LEVEL), math.log(50.0))
VALIDATION_LEVELS = (15, 25, 50)
VALIDATE_EVERY = 1000
# 2³² times the golden ratio: its multiples spread evenly.
_FAR = 2_654_435_769


@dataclass(frozen=True)
class Progress:
    """What a training run says of itself after a step.

    Attributes:
        step: steps done.
        total: steps of the whole run.
        loss: mean F-space squared error of the step's batch.
        psnr: PSNR in dB of the averaged weights on held-out pictures, by σ in 255ths; None
            between validations.
    """

    step: int
    total: int
    loss: float
    psnr: dict[int, float] | None


@dataclass
class Trainer:
    """One training run and its folder.

    Whoever makes one holds the folder (`RunFolder.held`) where another run may come.

    Args:
        recipe: hyperparameters.
        pictures: folder to learn from.
        folder: run folder, made when missing.
        device: where the network runs.
        on_progress: called after each step.
        checkpoint_seconds: at most so long is lost when the run is interrupted.
        on_unreadable: called with a line for each picture that cannot be read.
    """

    recipe: Recipe
    pictures: Path
    folder: Path
    device: torch.device
    on_progress: Callable[[Progress], None] = lambda _: None
    checkpoint_seconds: float = 60.0
    on_unreadable: Callable[[str], None] = lambda _: None
    step: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        torch.manual_seed(self.recipe.seed)
        self.network = network_of(self.recipe).to(self.device)
        self.preconditioning = EDMPreconditioning(self.recipe.data_mean, self.recipe.data_std)
        self._average = {n: p.detach().clone() for n, p in self.network.named_parameters()}
        self._optimizers = optimizers(
            self.network, self.recipe.learning_rate, self.recipe.adam_rate
        )
        self._level_loss = torch.ones(LEVEL_BINS, device=self.device)
        self._patches = Patches(self.pictures, self.recipe, self.on_unreadable)
        self._exponent = ema_exponent(self.recipe.ema)
        self._run = RunFolder(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(self) -> None:
        """Train to the recipe's number of steps, from wherever the folder stands."""
        saved = time.monotonic()
        while self.step < self.recipe.steps:
            if self.step == self.recipe.decay_start:
                self._save(TRUNK)
            loss = self._train_step()
            self.step += 1
            self._expect_finite(loss)
            last = self.step == self.recipe.steps
            psnr = self.validate() if last or self.step % VALIDATE_EVERY == 0 else None
            if psnr is not None:
                self._log(loss, psnr)
            if last or psnr is not None or time.monotonic() - saved > self.checkpoint_seconds:
                self._save(CHECKPOINT)
                saved = time.monotonic()
            self.on_progress(Progress(self.step, self.recipe.steps, loss, psnr))

    @property
    def pictures_used(self) -> int:
        """How many pictures it learns from, those that turned out to be damaged left out."""
        return len(set(self._patches.training) - self._patches.unreadable)

    def averaged_network(self) -> GatedUNet:
        """A copy of the network with the averaged weights."""
        network = network_of(self.recipe).to(self.device)
        network.load_state_dict(self._average)
        return network.eval()

    def validate(self) -> dict[int, float]:
        """Mean PSNR (dB) of the averaged weights on the held-out crops, by σ in 255ths."""
        network = self.averaged_network()
        white = self.recipe.white
        low = -white if self.recipe.phase else 0.0
        psnr: dict[int, float] = {}
        with torch.no_grad():
            for level in VALIDATION_LEVELS:
                scores = []
                for index, crop in enumerate(self._patches.validation()):
                    clean = crop.to(self.device)
                    height, width = (n - n % network.multiple for n in clean.shape[-2:])
                    clean = clean[..., :height, :width]
                    generator = seeded_generator(index)
                    noise = torch.randn(clean.shape, generator=generator).to(self.device)
                    sigma = clean.new_full((1, 1, 1, 1), level / 255)
                    denoised = self._denoise(network, clean + sigma * noise, sigma)
                    error = (denoised.clamp(low, white) - clean).square().mean().item()
                    scores.append(-10 * math.log10(max(error, 1e-12)))
                psnr[level] = sum(scores) / len(scores) if scores else math.nan
        return psnr

    def _train_step(self) -> float:
        recipe = self.recipe
        clean = self._patches.batch(self.step).to(self.device)
        # Runs of neighbouring seeds are far apart in what is one sequence of seeds.
        generator = seeded_generator(recipe.seed * _FAR + self.step)
        sigma = noise_levels(recipe, generator).to(self.device).view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        noisy = clean + sigma * noise
        inner = self.preconditioning.network_input(noisy, sigma)
        half = recipe.dtype == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output = self.network(inner, sigma.log().flatten() / 4)
        target = self.preconditioning.target(clean, noisy, sigma)
        loss = (output - target).square().mean(dim=(1, 2, 3))
        weight = self._weights(sigma.flatten(), loss.detach())
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        (weight * loss).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        factor = rate_factor(recipe, self.step)
        rates = (recipe.learning_rate, recipe.adam_rate)
        for optimizer, rate in zip(self._optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
        beta = (1 - 1 / (self.step + 1)) ** (self._exponent + 1)
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self._average[name].lerp_(parameter, 1 - beta)
        return float(loss.detach().mean())

    def _weights(self, sigma: Tensor, loss: Tensor) -> Tensor:
        """Of each sample's F-space error; an objective's weight is of the error of D."""
        recipe = self.recipe
        if recipe.weighting == "running":
            return self._level_weights(sigma, loss)
        weight = weighting(recipe.weighting, lambda s: level_density(recipe, s), recipe.data_std)
        return weight(sigma) * self.preconditioning.coefficients(sigma)[2].square()

    def _level_weights(self, sigma: Tensor, loss: Tensor) -> Tensor:
        """One over the running mean of the loss in each sample's bin of log σ."""
        low, high = LEVEL_RANGE
        position = (sigma.log() - low) / (high - low) * LEVEL_BINS
        bins = position.long().clamp(0, LEVEL_BINS - 1)
        weight = 1 / self._level_loss[bins]
        for i, value in zip(bins.tolist(), loss.tolist(), strict=True):
            self._level_loss[i].lerp_(torch.tensor(value, device=self.device), 0.02)
        return weight

    def _denoise(self, network: GatedUNet, x: Tensor, sigma: Tensor) -> Tensor:
        inner = self.preconditioning.network_input(x, sigma)
        return self.preconditioning.denoised(x, sigma, network(inner, sigma.log().flatten() / 4))

    def _log(self, loss: float, psnr: dict[int, float]) -> None:
        # JSON has no number for what nothing was measured of.
        measured = {level: None if math.isnan(value) else value for level, value in psnr.items()}
        line = {"step": self.step, "loss": loss, "psnr": measured, "time": time.time()}
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps(line) + "\n")

    def _expect_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            kept = " (the last checkpoint is kept)" if (self.folder / CHECKPOINT).exists() else ""
            raise InputError(
                f"{self.folder}: the loss of step {self.step} is {loss}; expected a recipe that "
                f"converges, as with a smaller learning_rate{kept}"
            )

    def _save(self, name: str) -> None:
        # The loss was of the weights before this step's update: no checkpoint is lost to a bad one.
        self._expect_finite(float(sum(p.sum() for p in self._average.values())))
        state = {
            "step": self.step,
            "pictures": self._patches.fingerprint,
            "network": self.network.state_dict(),
            "average": self._average,
            "optimizers": [o.state_dict() for o in self._optimizers],
            "level_loss": self._level_loss,
        }
        self._run.write(name, state, self.recipe)

    def _resume(self) -> None:
        found = self._run.last(self.device)
        if found is None:
            return
        name, (state, previous) = CHECKPOINT, found
        changed = [
            f"{name} {getattr(previous, name)} → {getattr(self.recipe, name)}"
            for name in Recipe.model_fields
            if name not in ("name", "steps")
            and getattr(previous, name) != getattr(self.recipe, name)
        ]
        if changed:
            raise InputError(
                f"{self.folder}: holds a run with another recipe ({'; '.join(changed)}); "
                f"expected the same, or another output folder"
            )
        other = self.recipe.steps != previous.steps
        if other and state["step"] > previous.decay_start:
            name, (state, _) = TRUNK, self._run.read(TRUNK, self.device)
        if other and state["step"] > self.recipe.decay_start:
            least = self.recipe
            while least.decay_start < state["step"]:
                least = least.model_copy(update={"steps": least.steps + 1})
            raise InputError(
                f"{self.folder}: holds step {state['step']} of a run of {previous.steps}, from "
                f"which its learning rate has yet to fall; expected --steps {least.steps} or more, "
                f"found {self.recipe.steps}"
            )
        try:
            pictures = dict(state["pictures"])
            self.network.load_state_dict(state["network"])
            self._average = {n: state["average"][n] for n in self._average}
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self._level_loss = state["level_loss"]
        except Exception as error:  # a file of anything else that torch wrote
            raise self._run.damaged(name) from error
        if pictures != self._patches.fingerprint:
            then, now = pictures["count"], self._patches.fingerprint["count"]
            raise InputError(
                f"{self.folder}: holds a run on {counted(then, 'picture')}, not on the {now} in "
                f"{self.pictures}; expected the same, or another output folder"
            )
        self.step = state["step"]
        if name == CHECKPOINT and previous.name != self.recipe.name:
            self._save(CHECKPOINT)


def network_of(recipe: Recipe) -> GatedUNet:
    """The network that a recipe describes, freshly initialised."""
    return GatedUNet(recipe.channels, recipe.widths, recipe.blocks, recipe.unshuffle)


def noise_levels(recipe: Recipe, generator: torch.Generator) -> Tensor:
    """σ of one batch, stratified: [batch_size], log-normal with a log-uniform tail."""
    size = recipe.batch_size
    strata = (torch.arange(size) + torch.rand(size, generator=generator)) / size
    shuffled = strata[torch.randperm(size, generator=generator)]
    in_tail = shuffled < recipe.tail
    low, high = (math.log(s) for s in recipe.tail_range)
    uniform = low + (high - low) * shuffled / max(recipe.tail, 1e-9)
    quantile = ((shuffled - recipe.tail) / (1 - recipe.tail + 1e-9)).clamp(1e-4, 1 - 1e-4)
    normal = math.log(recipe.sigma_median) + recipe.sigma_spread * torch.special.ndtri(quantile)
    return torch.where(in_tail, uniform, normal).exp().clamp(LEAST_LEVEL, recipe.tail_range[1])


def level_density(recipe: Recipe, sigma: Tensor) -> Tensor:
    """Density over ln σ of what `noise_levels` draws."""
    body = LogNormal(recipe.sigma_median, recipe.sigma_spread).density(sigma)
    tail = LogUniform(*recipe.tail_range).density(sigma)
    return (1 - recipe.tail) * body + recipe.tail * tail


def rate_factor(recipe: Recipe, step: int) -> float:
    """Learning rate at a step, relative to the recipe's: warm-up, plateau, linear fall to 0."""
    decay_steps = max(1, recipe.steps - recipe.decay_start)
    return min(1.0, (step + 1) / max(1, recipe.warmup), (recipe.steps - step) / decay_steps)


def ema_exponent(relative_length: float) -> float:
    """γ of the power-function average whose standard deviation is this share of the run."""
    t = relative_length**-2
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())
