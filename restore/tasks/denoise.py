"""`denoise`: the posterior mean of a noisy picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from operators import Identity
from restore.errors import InputError
from restore.io.picture import Picture
from restore.methods.registry import methods_of
from restore.prior.denoiser import Denoiser
from restore.problem import Problem
from restore.tasks.baselines import non_local_means
from restore.tasks.noise import add_noise, both_units, noise_level
from restore.tasks.run import choose_preset
from restore.tasks.settings import Settings
from restore.tasks.task import (
    START_LEVEL,
    Measurement,
    Preset,
    Task,
    pixels_of,
)

SIMULATED_NOISE = 25 / 255
# Methods whose state at level σ_y is the measurement itself.
STATE_IS_MEASURED = ("ddrm", "ddnm", "pnp", "scoresde", "ilvr", "ccdf")
# Methods that put the measurement in the place of their start where it is no noisier than that,
# which here is everywhere, and the parameters with which they do so wholly.
START_IS_REPLACED = ("ddrm", "ddnm", "scoresde", "ilvr", "ccdf", "snips")
REPLACED_WITH = {"phi": "projection", "consistency": "replace", "strength": 1}


class Denoise(Task):
    """A = I. One step from σ = σ_y is D(y, σ_y), the posterior mean itself."""

    name = "denoise"
    presets = dict.fromkeys(("fast", "default", "best"), Preset("ddrm", {"steps": 1}))
    sampling = Preset("snips")
    averaging = Preset("ddrm", {"steps": 20, "eta": 0.85})
    tuned = {"snips": {"steps": 40, "inner": 1}}

    def check(self, settings: Settings) -> None:
        """`--init` is for a method that reads its start."""
        preset = choose_preset(self.presets, self.sampling, self.averaging, settings)
        method = settings.method or preset.method
        if settings.init is not None and _replaces_start(method, settings):
            reading = [name for name in methods_of(self.name) if name not in START_IS_REPLACED]
            raise InputError(
                f"--init {settings.init}: {method} takes the noisy picture in the place of any "
                f"start; expected --method with one of {', '.join(reading)}"
            )

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The noisy picture."""
        pixels = pixels_of(picture, device)
        noise_std, notes = noise_level(picture, settings, estimated=True)
        if settings.simulate and settings.sigma in (None, "auto"):
            notes = [f"noise added: sigma {both_units(SIMULATED_NOISE)}", *notes]
        problem = Problem(Identity(tuple(pixels.shape[1:]), device=device), pixels, noise_std)
        return Measurement(
            problem=problem,
            start=pixels,
            baseline=("non-local-means", lambda: non_local_means(pixels, noise_std).clamp(0, 1)),
            finish=lambda x: x.clamp(0, 1),
            operator={"name": "Identity"},
            notes=notes,
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """The picture with noise, of 25/255 where none is given."""
        noisy = settings
        if settings.sigma in (None, "auto"):
            noisy = settings.model_copy(update={"sigma": SIMULATED_NOISE})
        return add_noise(torch.as_tensor(picture.pixels), noisy), settings

    def method_parameters(
        self, method: str, measurement: Measurement, prior: Denoiser
    ) -> dict[str, Any]:
        """The input already is at level σ_y: there a method starts that puts it into its state.

        Others put noise on it, and start where that is the most of it.
        """
        noise_std = measurement.problem.noise_std
        beyond = f"noisier than the model knows, up to sigma {both_units(prior.sigma_max)}"
        if noise_std > prior.sigma_max and beyond not in measurement.notes:
            measurement.notes.append(beyond)
        level = noise_std if method in STATE_IS_MEASURED else max(START_LEVEL, 3 * noise_std)
        return {"sigma_max": level or prior.sigma_min}


def _replaces_start(method: str, settings: Settings) -> bool:
    """Whether nothing is left of a start where a method begins, as far as the settings tell."""
    given, noise_std = settings.parameters, settings.sigma
    wholly = all(given.get(name, value) == value for name, value in REPLACED_WITH.items())
    level = given.get("sigma_max")
    below = isinstance(level, float) and (not isinstance(noise_std, float) or level < noise_std)
    return method in START_IS_REPLACED and wholly and not below
