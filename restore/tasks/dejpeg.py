"""`dejpeg`: the picture behind a JPEG file, from the file's own tables and coefficients."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import Jpeg
from restore.errors import InputError
from restore.io.jpeg_file import JpegFile, read_jpeg, write_jpeg
from restore.io.levels import to_integer
from restore.io.picture import Picture
from restore.jpeg import JpegProblem, jpeg_problem, rounding_spread, typical_error
from restore.prior.denoiser import Denoiser
from restore.prior.schedule import linear_beta_levels
from restore.quantised import QuantisedProblem
from restore.tasks.certificate import rounded
from restore.tasks.settings import Settings
from restore.tasks.task import Measurement, Preset, Task, pixels_of

SIMULATED_QUALITY = 10
# The first level, over the error that the tables let expect: of an estimate, and of samples.
LEVEL, SAMPLED_LEVEL = 1.5, 3.0
FEWEST_TIMESTEPS = 20
# Room that is left for rounding when the written picture is encoded again, in its standard
# deviations.
MARGIN = 3.0
# After 4 of them, clipped MCUs of a large picture had more coefficients outside than the decoder's.
CLIPPINGS = 16
# Of the decoder's picture in MCUs that are not consistent when they are rounded.
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)


class Dejpeg(Task):
    """A = the coder without its rounding; each coefficient is known to half a step."""

    name = "dejpeg"
    presets = {
        "fast": Preset("pnp-interval", {"steps": 2}),
        "default": Preset("pnp-interval", {"steps": 4}),
        "best": Preset("ddrm-jpeg", {"steps": 10}, average=8),
    }
    sampling = Preset("snips-interval")
    averaging = Preset("ddrm-jpeg", {"steps": 10}, average=8)
    # The input's tables would give the input again.
    keeps_tables = False
    quality_degrades = True
    degraded_suffix = ".jpg"

    def measure(self, picture: Picture, settings: Settings, device: torch.device) -> Measurement:
        """The coefficients of the file; the start is the picture that it shows."""
        file = read_jpeg(picture)
        problem = jpeg_problem(file, device=device)
        if settings.sigma not in (None, problem.noise_std):
            raise InputError(
                "--sigma: not with dejpeg, whose noise is the rounding that the file's tables tell"
            )
        start = pixels_of(picture, device)
        notes = []
        if problem.foreign:
            notes.append(
                f"{problem.foreign} of {problem.y.shape[1]} blocks reach over the border and were "
                "filled up there in another way than libjpeg's: they are measured from the decoded "
                "picture"
            )
        return Measurement(
            problem=problem,
            start=start,
            baseline=("decoded", lambda: start),
            finish=lambda x: _written(problem, x, picture.rounding_std),
            mend=partial(_mended, problem),
            operator=_described(file),
            notes=notes,
        )

    def degrade(self, picture: Picture, settings: Settings) -> tuple[Tensor, Settings]:
        """The picture itself: what degrades it is how it is written."""
        return torch.as_tensor(picture.pixels), settings

    def write_degraded(
        self,
        path: Path,
        pixels: Tensor,
        picture: Picture,  # noqa: ARG002
        settings: Settings,
    ) -> None:
        """A JPEG of the settings' quality (10 without), 4:2:0."""
        quality = settings.quality or SIMULATED_QUALITY
        write_jpeg(path, to_integer(pixels.movedim(0, -1).numpy(), 8), quality)

    def method_parameters(
        self,
        method: str,
        measurement: Measurement,
        prior: Denoiser,
    ) -> dict[str, Any]:
        """Levels about the error of the decoded picture, of methods that stay close to it."""
        if method == self.sampling.method:
            return {}
        error = float(measurement.operator["typical_error"])
        noisy = sum(level <= SAMPLED_LEVEL * error for level in linear_beta_levels())
        return {
            "sigma_max": min(max(LEVEL * error, 2 * prior.sigma_min), prior.sigma_max),
            "timesteps": max(noisy, FEWEST_TIMESTEPS),
        }


def _described(file: JpegFile) -> dict[str, Any]:
    return {
        "name": "Jpeg",
        "colour": file.colour,
        "sampling": [list(factor) for factor in file.factors],
        "tables": [table.flatten().tolist() for table in file.tables],
        "typical_error": typical_error(file),
    }


def _written(problem: JpegProblem, x: Tensor, rounding_std: float) -> Tensor:
    """The picture in [0, 1] near x with its coefficients inside, after rounding too."""

    @cache  # the bands have their operator in common
    def half(operator: Jpeg) -> Tensor:
        margin = MARGIN * rounding_std * rounding_spread(operator)
        return (0.5 - margin).clamp_min(0)

    def written(part: QuantisedProblem, pictures: Tensor) -> Tensor:
        assert isinstance(part.operator, Jpeg)
        return part.settled_within(pictures, half(part.operator), clippings=CLIPPINGS)

    return problem.by_mcus(written, x)


def _mended(problem: JpegProblem, x: Tensor, rounding_std: float) -> Tensor:
    """x with, in each MCU, so much of the decoder's picture as its rounding makes necessary.

    That is until no more of its coefficients are outside than of the decoder's, which is rounded
    too. Where they are, how many there are is chance.
    """

    def mended(part: QuantisedProblem, pictures: Tensor, shown: Tensor) -> Tensor:
        def inside(mcus: Tensor) -> Tensor:
            return part.inside(rounded(mcus, rounding_std)).flatten(1).sum(1)

        out, least = pictures, inside(shown)
        for share in SHARES:
            worse = (inside(out) < least).reshape(-1, 1, 1, 1)
            # An accelerator is not waited for.
            if worse.device.type == "cpu" and not bool(worse.any()):
                break
            out = torch.where(worse, pictures.lerp(shown, share), out)
        return out

    return problem.by_mcus(mended, x, problem.decode(problem.y).clamp_(0, 1))
