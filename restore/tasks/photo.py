"""One photograph through one verb: read, measure, solve, write, certify, keep a sidecar."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.errors import InputError
from restore.io.files import degraded_path, sidecar_path
from restore.io.levels import as_written
from restore.io.picture import Picture, read_picture
from restore.methods.base import Method, StepCallback, fields_of
from restore.methods.matrix_free import LEAST_NOISE
from restore.methods.registry import find_method
from restore.metrics import psnr, ssim
from restore.prior.denoiser import Denoiser
from restore.prior.models import fit_channels
from restore.prior.tiled import TiledDenoiser
from restore.solve import check_fit, made_method, misfit
from restore.tasks.choice import (
    averaged,
    check_estimate,
    check_parameters,
    from_the_top,
    paced,
    plain_parameters,
    tuned_for,
    within_levels,
)
from restore.tasks.classical import CLASSICAL, check_served
from restore.tasks.initial import size_text, started_from
from restore.tasks.opened import OpenModel
from restore.tasks.parts import solve_measurement
from restore.tasks.photo_files import Writer, picture_writer, write_samples
from restore.tasks.run import Result, choose_preset, halved_note, memory_errors, tile_for
from restore.tasks.settings import Settings
from restore.tasks.sidecar import software, write_sidecar
from restore.tasks.task import START_LEVEL, Measurement, Part, Preset, Task, as_array, in_units_of
from restore.tasks.written import mended, read_back

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A file as it was read (or simulated), what it measures, and the truth where it is known."""

    picture: Picture
    measurement: Measurement
    truth: Pixels | None


class Restorer:
    """One verb with its settings and its loaded model, for any number of pictures.

    Args:
        task: the verb.
        settings: what the user chose.

    Raises:
        InputError: if the settings do not suit the verb, the device, the method or the model does
            not exist, or the model's files are damaged.
    """

    def __init__(self, task: Task, settings: Settings) -> None:
        task.check(settings)
        self.task = task
        self.settings = settings
        self.preset = choose_preset(task.presets, task.sampling, task.averaging, settings)
        check_served(settings.method or self.preset.method, task.name)
        check_estimate(settings, CLASSICAL)
        check_parameters(settings, self.preset, task.tuned)
        self.model = OpenModel.load(settings.model, settings.device, settings.dtype)
        self.prior, self.device = self.model.prior, self.model.device
        # The largest side of a tile that memory was found to suffice for; None until it ran out.
        self._fitting_tile: int | None = None

    def check(self, source: Path) -> str:
        """Refuse a file that fails before the first evaluation, and name its method.

        Writes nothing. Of a picture that is to be degraded only that is tried.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """
        with memory_errors(source):
            if self.settings.simulate:
                self.task.degrade(read_picture(source), self.settings)
                return self.settings.method or self.preset.method
            measurement = self.case(source, source).measurement
        _, method, parameters = self._chosen(source, measurement)
        if method in CLASSICAL:
            return method
        try:
            prior = self.fitted_prior(source, measurement)
            check_fit(made_method(method, parameters), measurement.problem, prior)
        except ValueError as error:
            raise InputError(f"{source}: {error}") from error
        return method

    def restore(
        self,
        source: Path,
        output: Path,
        *,
        suffix: str,
        on_step: StepCallback | None = None,
    ) -> Result:
        """Restore one file.

        Args:
            source: the picture.
            output: where the restored picture goes.
            suffix: what `output` has after the input's name; `--simulate` puts `_degraded` there.
            on_step: called after each evaluation of the network; an exception in it cancels.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """
        began = time.perf_counter()
        degraded = degraded_path(output, suffix, self.task.degraded_suffix)
        with memory_errors(source):
            case = self.case(source, degraded)
        preset, method, parameters = self._chosen(source, case.measurement)
        average = averaged(self.settings, preset, CLASSICAL)
        count = self.settings.samples or average
        size = size_text(case.measurement.written.operator.domain.shape)
        try:
            with memory_errors(source, f" at {size}"):
                x, evaluations = self._pictures(
                    source, case.measurement, method, parameters, count, on_step
                )
        except ValueError as error:
            raise InputError(f"{source}: {error}") from error
        best = x[0] if len(x) == 1 else x.mean(dim=0)
        problem, scale = case.measurement.written, case.picture.scale
        write = self._writer(source, case)
        # The output comes after what lies beside it: where it is, a run has come to its end.
        further, spread = write_samples(output, x, write, self.settings)
        notes = [*case.picture.notes, *case.measurement.notes, *write(output, best)]
        written = read_back(output, best, problem, scale, self._quality)
        if (instead := mended(method, best, case.measurement, written)) is not None:
            write(output, instead)
            written = read_back(output, instead, problem, scale, self._quality)
        files = [output, *further]
        if self.settings.simulate:
            files.insert(0, degraded)

        certificate = written.certificate
        seconds = round(time.perf_counter() - began, 3)  # the baseline is not in it
        metrics, baseline = _scores(case, written.pixels)
        sidecar = sidecar_path(output)
        classical = method in CLASSICAL
        plain = {} if classical else plain_parameters(method, parameters)
        record: dict[str, Any] = {
            "input": str(source),
            "output": str(output),
            "sidecar": str(sidecar),
            "task": self.task.name,
            "method": method,
            "model": None if classical else self.model.name,
            "seed": self.settings.seed,
            "steps": plain.get("steps", evaluations // count),
            "evaluations": evaluations,
            "seconds": seconds,
            "width": x.shape[-1],
            "height": x.shape[-2],
            "noise_std": case.measurement.problem.noise_std,
            "residual": certificate.residual,
            "metrics": metrics,
            "baseline": baseline,
        }
        details = {
            "operator": case.measurement.operator,
            "parameters": plain,
            "samples": self.settings.samples,
            "average": None if self.settings.samples else count,
            "std": spread,
            "model_sha256": None if classical else self.model.sha256,
            "device": str(self.device),
            "dtype": self.model.dtype,
            "certificate": certificate.as_dict(),
            "notes": notes,
            "versions": software(),
            "config": self._config(case.measurement)
            | {"method": method, "parameters": plain, "average": average},
        }
        write_sidecar(sidecar, record | details)
        return Result(record, notes, certificate.consistent, [*files, sidecar])

    def _pictures(
        self,
        source: Path,
        measurement: Measurement,
        method: str,
        parameters: dict[str, Any],
        count: int,
        on_step: StepCallback | None,
    ) -> tuple[Tensor, int]:
        """The finished samples [N, C, H, W], their mean alone unless they are written themselves.

        And the evaluations of the denoiser for the picture.
        """
        if method in CLASSICAL:
            return CLASSICAL[method].estimate(measurement, on_step), 0

        def started(start: Tensor) -> Method:
            given = {"start": start} if "start" in parameters else {}
            return made_method(method, parameters | given)

        x, calls = solve_measurement(
            measurement,
            started,
            lambda part: self.fitted_prior(source, measurement, part),
            seed=self.settings.seed,
            samples=count,
            mean=not self.settings.samples,
            batch_size=self.settings.batch_size,
            on_step=on_step,
        )
        finished = [measurement.finish(one[None]) for one in x]
        return finished[0] if len(finished) == 1 else torch.cat(finished), calls

    def case(self, source: Path, degraded: Path, settings: Settings | None = None) -> Case:
        """Read a file and measure it; with `--simulate`, degrade it to a file before.

        Args:
            source: the file.
            degraded: what `--simulate` writes.
            settings: instead of the restorer's own, for files that go with this one alone.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """
        settings = settings or self.settings
        picture = read_picture(source)
        reference = None if settings.reference is None else read_picture(settings.reference)
        if settings.simulate:
            reference = picture
            pixels, settings = self.task.degrade(picture, settings)
            self.task.write_degraded(degraded, pixels, picture, settings)
            picture = read_picture(degraded)
        measurement = self.task.measure(picture, settings, self.device)
        if settings.init is not None:
            measurement = started_from(settings.init, picture, measurement)
        size = measurement.written.operator.domain.shape
        truth = None if reference is None else in_units_of(picture, reference)
        if truth is not None and truth.shape != size:
            raise InputError(
                f"{settings.reference or source}: the reference is {size_text(truth.shape)}, "
                f"the result {size_text(size)}; expected the same"
            )
        return Case(picture, measurement, truth)

    def _chosen(self, source: Path, measurement: Measurement) -> tuple[Preset, str, dict[str, Any]]:
        """The preset for a picture, its method and the parameters of that.

        Raises:
            InputError: if the model cannot serve the picture.
        """
        preset = self._fitted_preset(measurement)
        method = self.settings.method or preset.method
        prior = self.fitted_prior(source, measurement)
        return preset, method, self._parameters(measurement, method, prior, preset)

    def _fitted_preset(self, measurement: Measurement) -> Preset:
        """The preset, or the verb's own for an operator without the SVD that its method needs."""
        instead, chosen = self.task.without_svd, self.preset
        if self.settings.method is not None or instead is None:
            return chosen
        if misfit(find_method(chosen.method), measurement.problem) is None:
            return chosen
        measurement.notes.append(
            f"{measurement.problem.operator.name} has no fast SVD here: "
            f"{instead.method} instead of {chosen.method}"
        )
        return instead

    def _parameters(
        self, measurement: Measurement, method: str, prior: Denoiser, preset: Preset
    ) -> dict[str, Any]:
        """The method's parameters: the user's over the preset's over the verb's."""
        if method in CLASSICAL:
            return {}
        chosen = self.tuned_parameters(method, measurement, prior)
        if method == preset.method:
            chosen |= preset.parameters
        chosen = paced(method, chosen, preset, self.task.presets, self.settings)
        return from_the_top(within_levels(chosen, prior) | self.settings.parameters)

    def tuned_parameters(
        self, method: str, measurement: Measurement, prior: Denoiser
    ) -> dict[str, Any]:
        """The parameters with which a method serves the verb best, the start among them."""
        own = self.task.method_parameters(method, measurement, prior)
        chosen = tuned_for(method, {**self.task.tuned.get(method, {}), **own})
        known = fields_of(find_method(method))
        if "start" in known:
            chosen["start"] = measurement.start
            if "sigma_max" in known:
                chosen.setdefault("sigma_max", START_LEVEL)
                if chosen["sigma_max"] is None and self.settings.init is not None:
                    chosen["sigma_max"] = START_LEVEL
        if "last_level" in known:  # the operators of photographs have ‖A‖ near 1
            chosen.setdefault("last_level", max(measurement.problem.noise_std, LEAST_NOISE))
        return chosen

    def fitted_prior(
        self, source: Path, measurement: Measurement, part: Part | None = None
    ) -> Denoiser:
        """The prior for the picture's channels, in tiles where it is large or memory runs out.

        Args:
            source: names the picture.
            measurement: of the picture.
            part: the window of it that is denoised.

        Raises:
            InputError: if the model cannot serve the picture.
        """
        start = measurement.start if part is None else part.start
        channels, height, width = start.shape[1:]
        try:
            prior = fit_channels(self.prior, channels)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
        tile = tile_for(self.settings, height, width)
        if self._fitting_tile is not None:
            tile = min(tile or self._fitting_tile, self._fitting_tile)

        def halved(old: int, new: int) -> None:
            self._fitting_tile = new
            measurement.notes.append(halved_note(old, new))

        hole, known = (None, None) if part is None else (part.hole, part.start)
        return TiledDenoiser(prior, tile, hole=hole, known=known, on_halved=halved)

    @property
    def _quality(self) -> int | None:
        """That was asked for of the result; `--simulate` may degrade to it instead."""
        degrades = self.settings.simulate and self.task.quality_degrades
        return None if degrades else self.settings.quality

    def _writer(self, source: Path, case: Case) -> Writer:
        """What writes pictures as the input is stored, and in the quality that was asked for."""
        tables = case.picture.jpeg if self.task.keeps_tables else None
        picture = dataclasses.replace(case.picture, jpeg=tables)
        return picture_writer(source, picture, case.measurement.hole, self._quality)

    def _config(self, measurement: Measurement) -> dict[str, Any]:
        """The settings with every default resolved: what `--config` repeats the run from."""
        settings = self.settings
        resolved = {
            **measurement.resolved,
            "device": str(self.device),
            "dtype": self.model.dtype,
            "model": self.model.path,
            "mask": settings.mask and settings.mask.absolute(),
            "hints": settings.hints and settings.hints.absolute(),
            "reference": settings.reference and settings.reference.absolute(),
            "init": settings.init and settings.init.absolute(),
            "tile": self._fitting_tile or settings.tile,
        }
        if not settings.simulate:
            # A simulated measurement gets the noise that was asked for, not what it then had.
            resolved["sigma"] = measurement.problem.noise_std
        return settings.model_copy(update=resolved).model_dump(mode="json", exclude_none=True)


def _scores(case: Case, written: Pixels) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """PSNR and SSIM of the picture as it was written, and of the classical estimate."""
    if case.truth is None:
        return None, None
    name, estimate = case.measurement.baseline
    classical = as_written(as_array(estimate()[0]), 8)
    return _score(written, case.truth), {"name": name} | _score(classical, case.truth)


def _score(picture: Pixels, truth: Pixels) -> dict[str, Any]:
    """PSNR (dB; None for equal pictures, since JSON has no infinity) and SSIM."""
    decibels = psnr(picture, truth)
    return {"psnr": decibels if math.isfinite(decibels) else None, "ssim": ssim(picture, truth)}
