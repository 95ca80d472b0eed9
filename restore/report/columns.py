"""The figures of a comparison as text: the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """One figure.

    Attributes:
        head: of the column.
        form: format of a value, divided by `unit`.
        meaning: in one line.
        unit: of the values shown, in units of the row.
        errors: whether the standard error over the inputs says anything.
    """

    head: str
    form: str
    meaning: str = ""
    unit: float = 1.0
    errors: bool = True

    def text(self, row: Mapping[str, Any], name: str) -> str:
        """The row's value, with its standard error where there is one that says anything."""
        value, error = row.get(name), row.get(f"{name}_se")
        if value is None:
            return MISSING
        text = self.form.format(value / self.unit)
        if error is None or not self.errors:
            return text
        return f"{text} ± {self.form.format(error / self.unit)}"


COLUMNS: dict[str, Column] = {
    "inputs": Column(
        "inputs", "{:.0f}", "whose PSNR (or residual) every method has: the mean is over these"
    ),
    "equal": Column("equal", "{:.0f}", "inputs that came back equal to the truth: infinite PSNR"),
    "psnr": Column("PSNR", "{:.2f}", "dB, of the mean of the samples"),
    "psnr_sample": Column("one sample", "{:.2f}", "PSNR of a sample by itself, their mean"),
    "ssim": Column("SSIM", "{:.4f}", "structural similarity, of the mean"),
    "haarpsi": Column("HaarPSI", "{:.4f}", "perceptual similarity, of the mean"),
    "residual": Column("residual", "{:.2g}", "root mean square of A x − y, of the mean"),
    "calibration": Column(
        "in 90 %", "{:.3f}", "share of true values within the 90 % interval of the samples"
    ),
    "evaluations": Column("evaluations", "{:.0f}", "of the network, for one sample", errors=False),
    "seconds": Column("seconds", "{:.1f}", "for all samples of an input", errors=False),
    "memory": Column(
        "memory",
        "{:.0f} MB",
        "peak: of the whole process, or on CUDA what was allocated there",
        unit=1e6,
        errors=False,
    ),
}


def used(columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """The columns that have a value in some row."""
    return {
        name: column
        for name, column in columns.items()
        if any(row.get(name) is not None for row in rows)
    }
