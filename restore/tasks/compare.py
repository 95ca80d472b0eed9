"""Methods side by side: the same problems, prior, seed and budget of evaluations."""

from __future__ import annotations

import difflib
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restore.errors import InputError
from restore.io.atomic import atomic_path
from restore.io.levels import as_written
from restore.io.picture import read_picture, write_picture
from restore.methods.registry import find_method, methods
from restore.metrics import coverage, haarpsi, psnr, ssim
from restore.own import is_own
from restore.prior.counted import Counted
from restore.prior.models import sha256_of
from restore.solve import misfit, solve
from restore.tasks.classical import CLASSICAL
from restore.tasks.memory import peak_memory
from restore.tasks.photo import Case, Pixels, Restorer, StepCallback, as_array, check_method
from restore.tasks.settings import Scalar, Settings
from restore.tasks.sidecar import software
from restore.tasks.task import Task

ROWS, CONFIGURATION = "rows.jsonl", "configuration.json"
FIGURES = (
    "psnr",
    "psnr_sample",
    "ssim",
    "haarpsi",
    "residual",
    "calibration",
    "evaluations",
    "seconds",
    "memory",
)
# Settings that name files: a comparison is of their content.
_FILES = ("mask", "hints", "reference")
# What a method may raise on a problem that it was not made for.
FAILURES = (InputError, ValueError, ArithmeticError, RuntimeError, NotImplementedError, MemoryError)

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        names: methods and classical methods, in order.
        settings: of the task; `simulate` where the inputs are clean.
        nfe: evaluations of the network for a sample, at most; None for each method's own number.
        samples: for each method that draws them.
        crop: side of the centre crop of clean inputs; None for the whole picture.
        parameters: of single methods, by name: over the tuned ones of the task.
    """

    names: tuple[str, ...]
    settings: Settings
    nfe: int | None = 100
    samples: int = 1
    crop: int | None = None
    parameters: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)


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
        self.task, self.plan, self.folder = task, plan, folder
        for name in plan.names:
            _check_name(name, task)
        self.restorer = Restorer(task, plan.settings)
        self._rows: dict[tuple[str, str], Row] = {}
        self._open(overwrite)

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
                name: _content(path) for name in _FILES if (path := getattr(settings, name))
            },
            "model_sha256": model.card.sha256 if model else None,
            "device": str(self.restorer.device),
        }

    def run(
        self, inputs: Sequence[Path], on_step: StepCallback | None = None
    ) -> Iterator[tuple[Row, bool]]:
        """Yield a row for each input and method, and whether it was there already.

        A method that fails is a row with `error`; a row of an earlier run that failed, or of an
        input with another content, is made again.

        Args:
            inputs: pictures.
            on_step: called after each evaluation of the network; an exception in it ends the run.

        Raises:
            InputError: if the only input is bad.
        """
        for source, name in zip(inputs, input_names(inputs), strict=True):
            content = _content(source)
            wanted = [m for m in self.plan.names if self._done(source, m, content) is None]
            case = None
            if wanted:
                try:
                    case = self._case(source, name)
                except InputError as error:
                    if len(inputs) == 1:
                        raise
                    yield self._keep(self._row(source, "*", error=str(error))), False
                    continue
            for method in self.plan.names:
                done = self._done(source, method, content)
                if done is not None:
                    yield done, True
                elif case is not None:
                    row = self._compared(source, name, method, case, on_step)
                    yield self._keep(row | {"input_sha256": content}), False

    def rows(self, inputs: Sequence[Path]) -> list[Row]:
        """The rows of these inputs, each method in its place; of one that was not read one row."""
        keys = [(str(source), method) for source in inputs for method in ("*", *self.plan.names)]
        return [self._rows[key] for key in keys if key in self._rows]

    def summary(self, inputs: Sequence[Path]) -> list[Row]:
        """A row for each method: means over the inputs and standard errors, the best first."""
        rows, summaries = self.rows(inputs), []
        for method in self.plan.names:
            mine = [row for row in rows if row["method"] == method]
            good = [row for row in mine if "error" not in row]
            summary: Row = {"input": "*", "task": self.task.name, "method": method}
            for name in FIGURES:
                values = [row[name] for row in good if row[name] is not None]
                summary[name] = statistics.fmean(values) if values else None
                several = len(values) > 1
                summary[f"{name}_se"] = (
                    statistics.stdev(values) / math.sqrt(len(values)) if several else None
                )
            summary["samples"] = good[0]["samples"] if good else None
            summary |= {"count": len(good), "failed": len(mine) - len(good)}
            summaries.append(summary)
        return sorted(summaries, key=lambda row: (row["psnr"] is None, -(row["psnr"] or 0)))

    def picture(self, name: str, method: str) -> Path:
        """Where the picture of a method is; `measured` for the measurement."""
        return self.folder / name / f"{method.replace(':', '_')}.png"

    def spread(self, name: str, method: str) -> Path:
        """Where the standard deviation of a method's samples is, if there are several."""
        return self.picture(name, method).with_name(f"{method.replace(':', '_')}_std.npy")

    def shown(self, source: Path, name: str) -> tuple[Pixels | None, Pixels | None]:
        """The measurement of an input as a picture, and the truth where it is known."""
        if (str(source), "*") in self._rows:  # it could not be read
            return None, None
        settings = self.plan.settings
        simulated = (self._measured(name), self._clean(source, name))
        measured, truth = simulated if settings.simulate else (source, settings.reference)
        return read_picture(measured).pixels, None if truth is None else read_picture(truth).pixels

    def _measured(self, name: str) -> Path:
        return self.folder / name / f"measured{self.task.degraded_suffix}"

    def _clean(self, source: Path, name: str) -> Path:
        return source if self.plan.crop is None else self.folder / name / "clean.png"

    def _compared(
        self, source: Path, name: str, method: str, case: Case, on_step: StepCallback | None
    ) -> Row:
        began = time.perf_counter()
        memory = peak_memory(self.restorer.device)
        try:
            x, evaluations = self._estimates(source, method, case, on_step)
        except FAILURES as error:
            return self._row(source, method, error=" ".join(str(error).split()))
        seconds, used = time.perf_counter() - began, memory()
        best, bits = x.mean(dim=0), case.picture.bits
        written = as_written(as_array(best), bits)
        write_picture(self.picture(name, method), written)
        spread = None
        if len(x) > 1:
            with atomic_path(self.spread(name, method)) as temporary:
                np.save(temporary, as_array(x.std(dim=0)), allow_pickle=False)
            spread = as_array(x)
        problem = case.measurement.written
        pixels = torch.from_numpy(written)[None].to(problem.y.device)
        residual = (problem.operator(pixels) - problem.y).square().mean().sqrt()
        return self._row(
            source,
            method,
            **_scores(written, as_written(as_array(x[0]), bits), spread, case.truth),
            residual=float(residual),
            samples=len(x),
            evaluations=evaluations,
            seconds=round(seconds, 3),
            memory=used,
        )

    def _estimates(
        self, source: Path, name: str, case: Case, on_step: StepCallback | None
    ) -> tuple[Tensor, int]:
        """Pictures [N, C, H, W] by a method, and its evaluations for one of them."""
        measurement = case.measurement
        if name in CLASSICAL:
            return CLASSICAL[name].estimate(measurement), 0
        cls = find_method(name)
        reason = misfit(cls, measurement.problem)
        if reason is not None:
            raise InputError(f"needs {reason}")
        prior = Counted(self.restorer.fitted_prior(source, measurement))
        parameters = self.restorer.tuned_parameters(name, measurement, prior)
        method = cls(**parameters | dict(self.plan.parameters.get(name, {})))
        if self.plan.nfe is not None:
            method = method.within(self.plan.nfe)
        count = self.plan.samples if cls.samples else 1
        x = solve(
            measurement.problem,
            prior,
            method,
            seed=self.plan.settings.seed,
            samples=count,
            batch_size=self.plan.settings.batch_size,
            on_step=on_step,
        )[:, 0]
        return measurement.finish(x), prior.calls // count

    def _case(self, source: Path, name: str) -> Case:
        clean = self._clean(source, name)
        if self.plan.crop is not None:
            picture = read_picture(source)
            side = self.plan.crop
            if side > min(picture.height, picture.width):
                raise InputError(
                    f"{source}: the picture is {picture.width}x{picture.height}; "
                    f"expected at least --crop {side}"
                )
            top, left = (picture.height - side) // 2, (picture.width - side) // 2
            crop = picture.pixels[:, top : top + side, left : left + side]
            write_picture(clean, crop, picture)
        return self.restorer.case(clean, self._measured(name))

    def _row(self, source: Path, method: str, **values: Any) -> Row:
        row: Row = {"input": str(source), "task": self.task.name, "method": method}
        if "error" not in values:
            row |= dict.fromkeys(FIGURES)
        return row | values

    def _done(self, source: Path, method: str, content: str | None) -> Row | None:
        row = self._rows.get((str(source), method))
        good = row is not None and "error" not in row and row.get("input_sha256") == content
        return row if good else None

    def _keep(self, row: Row) -> Row:
        self._remember(row)
        with (self.folder / ROWS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        return row

    def _open(self, overwrite: bool) -> None:
        path = self.folder / CONFIGURATION
        if path.exists() and not overwrite:
            self._resume(path)
        else:
            (self.folder / ROWS).unlink(missing_ok=True)
        with atomic_path(path) as temporary:
            content = self.configuration | {"versions": software()}
            temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    def _resume(self, path: Path) -> None:
        try:
            before = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: {error}; expected the configuration of a comparison, or --overwrite"
            ) from error
        for name, value in self.configuration.items():
            if before.get(name) != value:
                raise InputError(
                    f"{self.folder}: holds a comparison with another {name} "
                    f"({_short(before.get(name))}, now {_short(value)}); expected the same, "
                    "another folder, or --overwrite"
                )
        lines = self.folder / ROWS
        for line in lines.read_text(encoding="utf-8").splitlines() if lines.exists() else ():
            try:
                self._remember(json.loads(line))
            except ValueError:
                continue  # the line that an interrupted run was writing
        with atomic_path(lines) as temporary:
            text = "".join(json.dumps(row) + "\n" for row in self._rows.values())
            temporary.write_text(text, encoding="utf-8")

    def _remember(self, row: Row) -> None:
        # An input either has rows or one that says why it could not be read.
        source, method = row["input"], row["method"]
        if method == "*":
            self._rows = {key: old for key, old in self._rows.items() if key[0] != source}
        else:
            self._rows.pop((source, "*"), None)
        self._rows[source, method] = row


def fitting(task: Task) -> tuple[str, ...]:
    """Every classical method and every method that serves a task."""
    classical = [name for name, one in CLASSICAL.items() if task.name in one.tasks]
    return (*classical, *(name for name, cls in methods().items() if task.name in cls.tasks))


def input_names(inputs: Sequence[Path]) -> list[str]:
    """A folder name for each input: its stem, numbered where that is taken."""
    names: list[str] = []
    for path in inputs:
        name, number = path.stem, 1
        while name in names:
            number += 1
            name = f"{path.stem}-{number}"
        names.append(name)
    return names


def _check_name(name: str, task: Task) -> None:
    fit = fitting(task)
    if name in fit:
        return
    if name in CLASSICAL:
        raise InputError(f"--method {name}: not for {task.name}; expected one of {', '.join(fit)}")
    if name in methods() or is_own(name):
        check_method(name, task)
        return
    near = difflib.get_close_matches(name, fit, n=1, cutoff=0.0)
    raise InputError(
        f"--method {name}: unknown; did you mean {near[0]}? Those for {task.name}: {', '.join(fit)}"
    )


def _scores(
    mean: Pixels, sample: Pixels, samples: Pixels | None, truth: Pixels | None
) -> dict[str, float | None]:
    """PSNR of the mean and of one sample, SSIM, HaarPSI, and the calibration of the samples."""
    if truth is None:
        return {}
    decibels = (psnr(mean, truth), psnr(sample, truth))
    # JSON has no infinity: pictures that are equal have no PSNR.
    known = [value if math.isfinite(value) else None for value in decibels]
    return {
        "psnr": known[0],
        "psnr_sample": known[1],
        "ssim": ssim(mean, truth),
        "haarpsi": haarpsi(mean, truth),
        "calibration": None if samples is None else coverage(samples, truth),
    }


def _content(path: Path) -> str | None:
    """The hash of a file; None where it cannot be read, which its reader explains better."""
    try:
        return sha256_of(path)
    except OSError:
        return None


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
