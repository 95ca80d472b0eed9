"""One scan through its verb: read, measure, solve, write, certify, keep a sidecar.

Any number of slices as one batch, the classical reconstructions beside the sampling methods,
samples with the map of their standard deviation.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

from operators import NoFastSVD
from restore.errors import InputError, counted
from restore.io.files import degraded_path, numbered, sidecar_path, std_paths
from restore.methods.base import StepCallback, fields_of
from restore.methods.registry import find_method
from restore.metrics.scan import ScanScores, scan_scores
from restore.prior.counted import Counted
from restore.prior.denoiser import Denoiser
from restore.prior.per_channel import PerChannel
from restore.prior.tiled import TiledDenoiser
from restore.solve import solve, those_that_fit
from restore.tasks.certificate import Certificate, IntervalCertificate, certify
from restore.tasks.choice import (
    averaged,
    check_estimate,
    check_method,
    check_parameters,
    paced,
    plain_parameters,
    tuned_for,
    within_levels,
)
from restore.tasks.opened import OpenModel
from restore.tasks.run import Result, choose_preset, halved_note, memory_errors, tile_for
from restore.tasks.scan import Images, Scan, ScanTask
from restore.tasks.settings import RunSettings
from restore.tasks.sidecar import software, write_sidecar
from restore.tasks.task import START_LEVEL, as_array

S = TypeVar("S", bound=RunSettings)
# The noise of a scan is a measurement too: by the median of a few thousand samples, say, which is
# wrong by a percent or two.
NOISE_ERROR = 0.05


class Scanner(Generic[S]):
    """One verb of scans with its settings and its loaded model, for any number of files.

    Args:
        task: the verb.
        settings: what the user chose.

    Raises:
        InputError: if the device, the method or the model does not exist or does not fit.
    """

    def __init__(self, task: ScanTask[S], settings: S) -> None:
        self.task = task
        self.settings = settings
        self.preset = choose_preset(task.presets, task.sampling, task.sampling, settings)
        self.method = settings.method or self.preset.method
        check_method(self.method, task.name, task.classical)
        check_estimate(settings, task.classical)
        check_parameters(settings, self.preset, task.tuned)
        self.model = OpenModel.load(settings.model, settings.device, settings.dtype)
        self.prior, self.device = self.model.prior, self.model.device

    def check(self, source: Path) -> str:
        """Refuse a file that cannot be read or that the settings do not fit, and name its method.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """
        with memory_errors(source):
            self.task.check(source, self.settings)
        return self.method

    def restore(
        self,
        source: Path,
        output: Path,
        *,
        suffix: str,
        on_step: StepCallback | None = None,
    ) -> Result:
        """Reconstruct one file; the arguments are those of `restore.tasks.photo.Restorer`.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """
        began = time.perf_counter()
        degraded = degraded_path(output, suffix, ".npy")
        scan = self.task.measure(source, self.settings, self.device, degraded)
        self.task.check_output(output, scan)
        method = self.method
        prior, counter = self._fitted_prior(source, scan)
        classical = method in self.task.classical
        average = averaged(self.settings, self.preset, self.task.classical)
        count = self.settings.samples or average
        parameters = {} if classical else self._parameters(scan, method, on_step)
        scan, x = self._solved(source, scan, prior, method, parameters, count, on_step)

        # Real and imaginary part of each set of each slice are an evaluation each.
        sets = scan.problem.operator.domain.shape[0] if isinstance(prior, PerChannel) else 1
        parts = scan.problem.batch * sets * (2 if x.is_complex() else 1)
        best = x.mean(dim=0)
        images = as_array(scan.image(x))
        # Of samples their mean as it is written; of an average that of the complex images.
        one = scan.image(best[None])[0]
        image = images.mean(axis=0) if self.settings.samples else as_array(one)
        # The output comes after what lies beside it: where it is, a run has come to its end.
        further, spread = self._write_beside(output, image, images, scan)
        further += self.task.write_extra(output, best, scan, self.settings)
        files = [*self.task.write(output, image, scan), *further]
        if self.settings.simulate:
            files.insert(0, degraded)
        certificate = certify(scan.problem, best, 0.0, NOISE_ERROR)
        seconds = round(time.perf_counter() - began, 3)  # the baseline is not in it
        metrics, baseline = _scores(scan, image)
        sidecar = sidecar_path(output)
        plain = {} if classical else plain_parameters(method, parameters)
        record: dict[str, Any] = {
            "input": str(source),
            "output": str(output),
            "sidecar": str(sidecar),
            "task": self.task.name,
            "method": method,
            "model": None if classical else self.model.name,
            "seed": self.settings.seed,
            "steps": plain.get("steps", counter.calls // (count * parts)),
            "evaluations": counter.calls,
            "seconds": seconds,
            "width": image.shape[-1],
            "height": image.shape[-2],
            "slices": image.shape[0],
            "noise_std": scan.problem.noise_std * scan.unit,
            "residual": certificate.residual * scan.unit,
            "metrics": metrics and dataclasses.asdict(metrics),
            "baseline": baseline and {"name": scan.baseline} | dataclasses.asdict(baseline),
        }
        details = {
            "operator": scan.operator,
            "parameters": plain,
            "samples": self.settings.samples,
            "average": None if self.settings.samples else count,
            "start": None if classical else scan.start,
            "scale": scan.scale,
            "std": spread,
            "model_sha256": None if classical else self.model.sha256,
            "device": str(self.device),
            "dtype": self.model.dtype,
            "certificate": certificate.as_dict() | _in_units(certificate, scan.unit),
            "notes": scan.notes,
            "versions": software(),
            "config": self._config(scan)
            | {"method": method, "parameters": plain, "average": average},
        }
        write_sidecar(sidecar, record | dict(scan.sidecar) | details)
        return Result(record, scan.notes, certificate.consistent, [*files, sidecar])

    def _solved(
        self,
        source: Path,
        scan: Scan,
        prior: Denoiser,
        method: str,
        parameters: dict[str, Any],
        count: int,
        on_step: StepCallback | None,
    ) -> tuple[Scan, Tensor]:
        """The scan, with its SVD where the method needs it, and samples [N, B, *domain.shape]."""
        try:
            if method in self.task.classical:
                with memory_errors(source):
                    return scan, scan.classical[method](on_step)[None]
            if "svd" in find_method(method).needs:
                scan = self.task.factorised(scan, on_step)
            with memory_errors(source):
                return scan, solve(
                    scan.problem, prior, method, seed=self.settings.seed, samples=count,
                    batch_size=self.settings.batch_size, on_step=on_step, **parameters,
                )  # fmt: skip
        except NoFastSVD as error:
            expected = those_that_fit(scan.problem)
            raise InputError(f"{source}: --method {method}: {error}; {expected}") from error
        except ValueError as error:
            raise InputError(f"{source}: {error}") from error

    def _parameters(self, scan: Scan, method: str, on_step: StepCallback | None) -> dict[str, Any]:
        """The method's parameters: the user's over the preset's over the verb's."""
        chosen = tuned_for(method, self.task.tuned.get(method, {}))
        known = fields_of(find_method(method))
        if "start" in known:
            chosen["start"] = scan.classical[scan.start](on_step)
            if "sigma_max" in known:
                chosen.setdefault("sigma_max", START_LEVEL)
        if method == self.preset.method:
            chosen |= self.preset.parameters
        chosen = paced(method, chosen, self.preset, self.task.presets, self.settings)
        return within_levels(chosen, self.prior) | self.settings.parameters

    def _fitted_prior(self, source: Path, scan: Scan) -> tuple[Denoiser, Counted]:
        """The prior for the scan's sets, in tiles where it is large, and what counts its calls."""
        channels, height, width = scan.problem.operator.domain.shape
        known = self.prior.channels
        if known not in (None, 1, channels):
            raise InputError(
                f"{source}: the model has {counted(known, 'channel')}, the scan "
                f"{channels}; expected a model of {channels}"
            )
        counter = Counted(
            TiledDenoiser(
                self.prior,
                tile_for(self.settings, height, width),
                on_halved=lambda old, new: scan.notes.append(halved_note(old, new)),
            )
        )
        return (PerChannel(counter, channels) if known == 1 < channels else counter), counter

    def _write_beside(
        self, output: Path, best: Images, images: Images, scan: Scan
    ) -> tuple[list[Path], dict[str, float] | None]:
        """Write a picture of the best images, and what `--samples` and `--save-std` ask for."""
        files, spread = list[Path](), None
        if output.suffix.lower() != ".png":
            shown = output.with_suffix(".png")
            self.task.preview(shown, best, scan)
            files.append(shown)
        if self.settings.samples is None:
            return files, spread
        for path, sample in zip(numbered(output, len(images)), images, strict=True):
            files += self.task.write(path, sample, scan)
        if self.settings.save_std:
            deviation = images.std(axis=0, ddof=1) if len(images) > 1 else np.zeros_like(best)
            white = max(float(deviation.max()), 1e-6 * scan.scale)
            _, shown = std_paths(output)
            kinds = dict.fromkeys((output.suffix, ".npy"))
            for kind in (kind for kind in kinds if kind != ".png"):
                path = output.with_name(f"{output.stem}_std{kind}")
                files += self.task.write_deviation(path, deviation, scan)
            self.task.preview(shown, deviation, scan, white)
            files.append(shown)
            spread = {"white_is": white, "mean": float(deviation.mean())}
        return files, spread

    def _config(self, scan: Scan) -> dict[str, Any]:
        """The settings with every default resolved: what `--config` repeats the run from."""
        settings = self.settings
        resolved: dict[str, Any] = {
            "device": str(self.device),
            "dtype": self.model.dtype,
            "model": self.model.path,
        }
        resolved |= scan.resolved
        for name in type(settings).model_fields:
            value = getattr(settings, name)
            if isinstance(value, Path):
                resolved.setdefault(name, value.absolute())
        return settings.model_copy(update=resolved).model_dump(mode="json", exclude_none=True)


def _in_units(certificate: Certificate | IntervalCertificate, unit: float) -> dict[str, float]:
    """What of a certificate is in the unit of y."""
    names = ("residual", "residual_max", "bound")
    return {name: getattr(certificate, name) * unit for name in names}


def _scores(scan: Scan, best: Images) -> tuple[ScanScores | None, ScanScores | None]:
    """Of the best images, and of the classical reconstruction."""
    if scan.truth is None:
        return None, None
    classical = as_array(scan.image(scan.classical[scan.baseline]()[None])[0])
    return scan_scores(best, scan.truth), scan_scores(classical, scan.truth)
