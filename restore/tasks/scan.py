"""What a verb of scans is: how its file becomes a linear inverse problem, and images a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.errors import InputError
from restore.io.dicom import slices_after
from restore.io.files import numbered
from restore.methods.base import StepCallback
from restore.problem import Problem
from restore.tasks.settings import RunSettings
from restore.tasks.task import Preset

Images = NDArray[np.float32]
S = TypeVar("S", bound=RunSettings)


class Estimate:
    """A reconstruction without a prior, [B, *domain.shape], computed at its first call and kept.

    Args:
        make: gives it; what takes long calls the function that it is given, if any.
    """

    def __init__(self, make: Callable[[StepCallback | None], Tensor]) -> None:
        self._make = make
        self._made: Tensor | None = None

    def __call__(self, on_step: StepCallback | None = None) -> Tensor:
        """Return it."""
        if self._made is None:
            self._made = self._make(on_step)
        return self._made


@dataclass(frozen=True)
class Scan:
    """A scan as a problem, with what its solution needs on the way back.

    Inside, a picture is scaled to about [0, 1] (`scale` times that is the file's unit).

    Attributes:
        problem: y = A x + σ_y n, a row of the batch for each slice.
        start: name of the one of `classical` that a sampler may begin from.
        classical: reconstructions without a prior by name.
        baseline: the one of them that results are compared with.
        image: from solutions [N, B, *domain.shape] to images [N, B, H, W] in the file's unit.
        scale: what a value of 1 inside is worth in the file's unit.
        operator: name and parameters of A, for the sidecar.
        unit: what 1 is worth of y, in which noise and residual are given.
        notes: what the user should know.
        truth: the true images [B, H, W] in the file's unit, where they are known.
        about: what the writers of files need: spacing, position, the header of the source.
        resolved: settings that the verb chose.
        sidecar: what the verb adds to the sidecar.
    """

    problem: Problem
    classical: Mapping[str, Estimate]
    start: str
    baseline: str
    image: Callable[[Tensor], Tensor]
    scale: float
    operator: dict[str, Any]
    unit: float = 1.0
    notes: list[str] = field(default_factory=list)
    truth: Images | None = None
    about: Any = None
    resolved: Mapping[str, Any] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)


class ScanTask(ABC, Generic[S]):
    """A verb of the command line for scans.

    Attributes:
        name: the verb.
        presets: by name, how it is done unless told otherwise.
        sampling: the same, where samples are asked for.
        tuned: by method, the parameters that serve this verb best with the bundled model.
        classical: names of the reconstructions without a prior.
        settings: the verb's settings.
        suffixes: of the files that can be written, the default one first.
    """

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Preset]]
    sampling: ClassVar[Preset]
    tuned: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    classical: ClassVar[tuple[str, ...]]
    settings: ClassVar[type[RunSettings]]
    suffixes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def check(self, source: Path, settings: S) -> None:
        """Refuse a file that cannot be read or that the settings do not fit; writes nothing.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """

    @abstractmethod
    def measure(self, source: Path, settings: S, device: torch.device, degraded: Path) -> Scan:
        """The problem of a file.

        Args:
            source: the file.
            settings: what the user chose.
            device: where the solution runs.
            degraded: what `--simulate` writes.

        Raises:
            InputError: one line that names the file, what was found and what was expected.
        """

    def factorised(self, scan: Scan, on_step: StepCallback | None) -> Scan:  # noqa: ARG002
        """The same scan with an SVD that is not fast, for a method that needs one.

        Raises:
            NoFastSVD: if it has none.
        """
        return scan

    def check_output(self, output: Path, scan: Scan) -> None:
        """Refuse an output whose format says more of the images than is known of them.

        Raises:
            InputError: likewise.
        """

    @abstractmethod
    def write(self, path: Path, images: Images, scan: Scan) -> list[Path]:
        """Write images [B, H, W] in the file's unit, as the suffix says; returns the files."""

    def write_deviation(self, path: Path, deviation: Images, scan: Scan) -> list[Path]:
        """Likewise a standard deviation, which has the unit of the images and no offset."""
        return self.write(path, deviation, scan)

    @abstractmethod
    def preview(self, path: Path, images: Images, scan: Scan, white: float | None = None) -> None:
        """Write a PNG to look at; `white` is the value that it shows as white."""

    def besides(self, output: Path, settings: S) -> list[Path]:
        """What a run writes beside its output, other than numbered samples and the sidecar."""
        kind = output.suffix.lower()
        files = [output.with_suffix(".png")] if kind != ".png" else []
        if settings.samples and settings.save_std and kind not in (".npy", ".png"):
            files.append(output.with_name(f"{output.stem}_std{output.suffix}"))
        if kind == ".dcm":  # how many slices will be written is not known before
            written = [output, *files, *numbered(output, settings.samples or 0)]
            series = [file for file in written if file.suffix == output.suffix]
            files += [there for first in series for there in slices_after(first)]
        return files

    def write_extra(
        self,
        output: Path,  # noqa: ARG002
        best: Tensor,  # noqa: ARG002
        scan: Scan,  # noqa: ARG002
        settings: S,  # noqa: ARG002
    ) -> list[Path]:
        """Write what the verb offers besides, from the best solution [B, *domain.shape]."""
        return []


def check_truth(truth: Images, size: tuple[int, ...], path: Path) -> None:
    """Refuse true images that the result cannot be compared with.

    Raises:
        InputError: if they are not of the result's size [slices, rows, columns], or empty.
    """
    if truth.shape != size:
        raise InputError(
            f"{path}: the reference is {list(truth.shape)}, the result {list(size)}, expected the "
            "same"
        )
    if not (truth > 0).any():
        raise InputError(f"{path}: the reference has nothing above 0, expected the true image")


def slices_of(text: str, count: int, source: Path) -> Sequence[int]:
    """`--slice N|A:B|all` as the numbers of slices, counted from 0.

    Raises:
        InputError: if it is none of these, or there are no such slices.
    """
    if text == "all":
        return range(count)
    first, colon, last = text.partition(":")
    try:
        start = int(first) if first or not colon else 0
        stop = (int(last) if last else count) if colon else start + 1
    except ValueError:
        raise InputError(f"--slice {text}: expected N, A:B or all") from None
    if not 0 <= start < stop <= count:
        raise InputError(f"{source}: --slice {text}: the scan has slices 0 to {count - 1}")
    return range(start, stop)
