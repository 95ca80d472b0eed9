"""Methods side by side: the same problems, prior, seed and budget of evaluations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from restore.errors import FAILURES, InputError, in_one_line
from restore.io.atomic import atomic_path
from restore.io.levels import as_written
from restore.io.picture import Picture, read_picture, write_picture
from restore.methods.base import Method, StepCallback
from restore.methods.registry import find_method
from restore.metrics import coverage, haarpsi, psnr, ssim
from restore.solve import made_method, misfit
from restore.tasks.choice import from_the_top, within_levels
from restore.tasks.classical import CLASSICAL, check_served
from restore.tasks.memory import peak_memory
from restore.tasks.parts import solve_measurement
from restore.tasks.photo import Case, Pixels, Restorer
from restore.tasks.plan import Plan, check_own
from restore.tasks.record import UNREAD, Record, Row, content_of, own_sha256
from restore.tasks.summary import FIGURES, summarised
from restore.tasks.task import Task, as_array, in_units_of
from restore.tasks.written import Written, mended, read_back

# Settings that name files, by whose content comparisons differ; the first belong to the pictures.
_PICTURES = ("mask", "hints")
_FILES = (*_PICTURES, "reference", "kernel")


class Comparison:
    """A comparison in its folder, where an interrupted one goes on.

    The folder holds `configuration.json`, `rows.jsonl` (a line for each input and method as it is
    done) and the pictures: `INPUT/METHOD.png`, `INPUT/METHOD_std.npy` of several samples, and
    `INPUT/measured.png`.

    Args:
        task: the verb.
        plan: what is compared.
        folder: made when missing.
        overwrite: begin anew whatever is there.

    Raises:
        InputError: if a method or a model is unknown or does not serve the task, or the folder
            holds a comparison with other settings.
    """

    def __init__(self, task: Task, plan: Plan, folder: Path, *, overwrite: bool = False) -> None:
        self.task, self.plan = task, plan
        for name in plan.names:
            check_served(name, task.name)
        for name, values in plan.parameters.items():
            check_own(name, values, plan.names)
        self.restorer = Restorer(task, plan.settings)
        self._record = Record(folder, self.configuration, overwrite=overwrite)

    @property
    def configuration(self) -> dict[str, Any]:
        """What the figures depend on, besides the inputs and the choice of methods."""
        plan, model, settings = self.plan, self.restorer.model, self.plan.settings
        return {
            "task": self.task.name,
            "settings": settings.model_dump(mode="json", exclude_none=True),
            "nfe": plan.nfe,
            "samples": plan.samples,
            "crop": plan.crop,
            "parameters": {name: dict(values) for name, values in plan.parameters.items()},
            "files_sha256": {
                name: content_of(path)
                for name in _FILES
                if (given := getattr(settings, name)) and (path := Path(given)).is_file()
            },
            "model_sha256": model.sha256 or own_sha256(model.name),
            "model": model.described,
            "device": str(self.restorer.device),
            "dtype": model.dtype,
        }

    @property
    def versions(self) -> dict[str, str]:
        """Of the software that the rows were made with."""
        return self._record.versions

    def run(
        self,
        inputs: Sequence[Path],
        on_step: StepCallback | None = None,
        on_note: Callable[[Path, str], None] | None = None,
    ) -> Iterator[tuple[Row, bool]]:
        """Yield a row for each input and method, and whether it was there already.

        A method that fails is a row with `error`; a row of an earlier run that failed, or of an
        input with another content, is made again.

        Args:
            inputs: pictures.
            on_step: called after each evaluation of the network; an exception in it ends the run.
            on_note: called with an input and a line that the user should know about it, as often
                as there may be more of them.

        Raises:
            InputError: if the only input is bad.
        """

        def tell(source: Path, case: Case) -> None:
            if on_note is not None:
                for note in (*case.picture.notes, *case.measurement.notes):
                    on_note(source, note)

        for source in inputs:
            done = {
                method: row
                for method, row in self._record.done(source, self.plan.names).items()
                if self._is_whole(source, row)
            }
            case = None
            if len(done) < len(self.plan.names):
                try:
                    case = self._case(source)
                except InputError as error:
                    if len(inputs) == 1:
                        raise
                    row = self._row(source, UNREAD, error=str(error))
                    yield self._record.keep(source, row), False
                    continue
                tell(source, case)
            for method in self.plan.names:
                if method in done:
                    yield done[method], True
                elif case is not None:
                    row = self._compared(source, method, case, on_step)
                    tell(source, case)
                    yield self._record.keep(source, row), False

    def rows(self, inputs: Sequence[Path]) -> list[Row]:
        """The rows of these inputs, each method in its place; of one that was not read one row."""
        return self._record.rows(inputs, self.plan.names)

    def summary(self, inputs: Sequence[Path]) -> list[Row]:
        """A row for each method, the best first: see `restore.tasks.summary`."""
        settings = self.plan.settings
        truth_known = settings.simulate or settings.reference is not None
        rows = summarised(self.rows(inputs), self.plan.names, truth_known=truth_known)
        return [{"input": "*", "task": self.task.name} | row for row in rows]

    def picture(self, source: Path, method: str) -> Path:
        """Where the picture is that a method made of an input."""
        return self._record.place(source) / f"{method.replace(':', '_')}.png"

    def spread(self, source: Path, method: str) -> Path:
        """Where the standard deviation of a method's samples is, if there are several."""
        return self.picture(source, method).with_name(f"{method.replace(':', '_')}_std.npy")

    def written(self, source: Path) -> list[Path]:
        """What the comparison of an input writes of it."""
        results = [(self.picture(source, m), self.spread(source, m)) for m in self.plan.names]
        files = [file for pair in results for file in pair]
        if self.plan.settings.simulate:
            files.append(self._measured(source))
        if self.plan.crop is not None:
            files += [self._clean(source).with_name(f"{n}.png") for n in ("clean", *_PICTURES)]
        return files

    def _is_whole(self, source: Path, row: Row) -> bool:
        """Whether the pictures of a row are there, and its method is the one that made them."""
        method = row["method"]
        files = [self.picture(source, method), self._clean(source)]
        if self.plan.settings.simulate:
            files.append(self._measured(source))
        if row["samples"] > 1:
            files.append(self.spread(source, method))
        same = row.get("method_sha256") == own_sha256(method)
        return same and all(file.exists() for file in files)

    def shown(self, source: Path) -> tuple[Pixels | None, Pixels | None]:
        """The measurement of an input as a picture, and the truth where it is known."""
        if any(row["method"] == UNREAD for row in self.rows([source])):
            return None, None
        settings = self.plan.settings
        simulated = (self._measured(source), self._clean(source))
        measured, truth = simulated if settings.simulate else (source, settings.reference)
        picture = read_picture(measured)
        if truth is None:
            return picture.pixels, None
        return picture.pixels, in_units_of(picture, read_picture(truth))

    def _measured(self, source: Path) -> Path:
        return self._record.place(source) / f"measured{self.task.degraded_suffix}"

    def _clean(self, source: Path) -> Path:
        return source if self.plan.crop is None else self._record.place(source) / "clean.png"

    def _compared(self, source: Path, method: str, case: Case, on_step: StepCallback | None) -> Row:
        memory = peak_memory(self.restorer.device)
        began = time.perf_counter()
        try:
            x, evaluations = self._estimates(source, method, case, on_step)
        except (Exception, SystemExit) as error:  # whatever it is, the other methods go on
            FAILURES.debug("%s: %s failed", source, method, exc_info=error)
            return self._row(source, method, error=in_one_line(error))
        seconds, used = time.perf_counter() - began, memory()
        best, problem = x.mean(dim=0), case.measurement.written
        # As deep as a PNG of the picture is: the figures are those of the file that is kept.
        bits = 8 if case.picture.bits <= 8 else 16
        path = self.picture(source, method)

        def kept(pixels: Tensor) -> Written:
            write_picture(path, as_array(pixels), bits=bits)
            return read_back(path, pixels, problem, 1.0)

        written = kept(best)
        if (instead := mended(method, best, case.measurement, written)) is not None:
            written = kept(instead)
        if len(x) > 1:
            with atomic_path(self.spread(source, method)) as temporary:
                np.save(temporary, as_array(x.std(dim=0)), allow_pickle=False)
        return self._row(
            source,
            method,
            **_scores(written.pixels, as_array(x), bits, case.truth),
            residual=written.certificate.residual,
            samples=len(x),
            evaluations=evaluations,
            seconds=round(seconds, 3),
            memory=used,
            **({} if (code := own_sha256(method)) is None else {"method_sha256": code}),
        )

    def _estimates(
        self, source: Path, name: str, case: Case, on_step: StepCallback | None
    ) -> tuple[Tensor, int]:
        """Pictures [N, C, H, W] by a method, and its evaluations for one of them."""
        measurement = case.measurement
        if name in CLASSICAL:
            return CLASSICAL[name].estimate(measurement, None), 0
        cls = find_method(name)
        reason = misfit(cls, measurement.problem)
        if reason is not None:
            raise InputError(f"needs {reason}")
        settings, count = self.plan.settings, self.plan.samples if cls.samples else 1
        prior = self.restorer.fitted_prior(source, measurement)
        parameters = self.restorer.tuned_parameters(name, measurement, prior)
        own = self.plan.parameters.get(name, {})
        parameters = from_the_top({**within_levels(parameters, prior), **own})
        budget = None if "steps" in own else self.plan.nfe

        def method(start: Tensor) -> Method:
            started = {"start": start} if "start" in parameters else {}
            made = made_method(cls, parameters | started)
            return made if budget is None else made.within(budget)

        x, calls = solve_measurement(
            measurement,
            method,
            lambda part: self.restorer.fitted_prior(source, measurement, part),
            seed=settings.seed,
            samples=count,
            batch_size=settings.batch_size,
            on_step=on_step,
        )
        return measurement.finish(x), calls // count

    def _case(self, source: Path) -> Case:
        clean, settings = self._clean(source), self.plan.settings
        given = {clean: source, self._measured(source): source}
        if self.plan.crop is not None:
            picture = read_picture(source)
            whole = picture.pixels.shape[1:]
            if self.plan.crop > min(whole):
                raise InputError(
                    f"{source}: the picture is {picture.width}x{picture.height}; "
                    f"expected at least --crop {self.plan.crop}"
                )
            self._write_centre(picture, clean)
            # A mask of the whole picture goes with it; one of the centre's size is for the centre.
            for name in _PICTURES:
                path = getattr(settings, name)
                if path is not None and (other := read_picture(path)).pixels.shape[1:] == whole:
                    centre = clean.with_name(f"{name}.png")
                    self._write_centre(other, centre)
                    settings = settings.model_copy(update={name: centre})
                    given[centre] = path
        try:
            return self.restorer.case(clean, self._measured(source), settings)
        except InputError as error:
            raise InputError(self._as_given(str(error), given)) from error

    def _as_given(self, message: str, given: Mapping[Path, Path]) -> str:
        """A message with the files that the user gave in the place of those made of them."""
        within = "" if self.plan.crop is None else f" within --crop {self.plan.crop}"
        for made, file in given.items():
            message = message.replace(str(made), f"{file}{within}")
        return message

    def _write_centre(self, picture: Picture, path: Path) -> None:
        side = self.plan.crop
        assert side is not None
        rows, columns = (
            slice((n - side) // 2, (n - side) // 2 + side) for n in picture.pixels.shape[1:]
        )
        alpha = None if picture.alpha is None else picture.alpha[:, rows, columns]
        centre = replace(picture, pixels=picture.pixels[:, rows, columns], alpha=alpha)
        write_picture(path, centre.pixels, centre)

    def _row(self, source: Path, method: str, **values: Any) -> Row:
        row: Row = {"input": str(source), "task": self.task.name, "method": method}
        if "error" not in values:
            row |= dict.fromkeys(FIGURES)
        return row | values


def _scores(
    mean: Pixels, samples: Pixels, bits: int, truth: Pixels | None
) -> dict[str, float | None]:
    """PSNR of the mean and of a sample, SSIM, HaarPSI, and the calibration of the samples."""
    if truth is None:
        return {}
    alone = [psnr(as_written(sample, bits), truth) for sample in samples]
    decibels = (psnr(mean, truth), sum(alone) / len(alone))
    # JSON has no infinity: pictures that are equal have no PSNR.
    known = [value if math.isfinite(value) else None for value in decibels]
    return {
        "psnr": known[0],
        "psnr_sample": known[1],
        "ssim": ssim(mean, truth),
        "haarpsi": haarpsi(mean, truth),
        "calibration": None if len(samples) == 1 else coverage(samples, truth),
    }
