"""A comparison of two inputs: three methods, of which one fails, and a name that is no HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from restore.report.comparison import Input, ShownMethod, write_comparison

SHAPE = (3, 24, 36)
HOSTILE = "</script><script>alert('x')</script>&\".png"


def _shown(truth: np.ndarray | None, method: str, error: float, samples: int = 1) -> ShownMethod:
    """A method whose picture is off by `error` everywhere, and whose spread is half of that."""
    base = np.full(SHAPE, 0.5, np.float32) if truth is None else truth
    std = np.full(SHAPE, error / 2, np.float32) if samples > 1 else None
    row = {"input": "a", "method": method, "psnr": None if truth is None else 20.0 - 10 * error}
    row |= {"psnr_sample": row["psnr"], "ssim": 0.9, "haarpsi": None, "residual": 0.01}
    row |= {"calibration": 0.8 if samples > 1 else None, "evaluations": 0, "seconds": 1.0}
    return ShownMethod(method, base + np.float32(error), std, row | {"samples": samples})


def _failed(method: str, why: str) -> ShownMethod:
    return ShownMethod(method, None, None, {"input": "a", "method": method, "error": why})


def _summary_row(method: str, psnr: float | None, **values: Any) -> dict[str, Any]:
    row = {"method": method, "psnr": psnr, "psnr_se": 0.25, "psnr_sample": psnr, "evaluations": 0}
    return row | {"samples": 1, "count": 2, "failed": 0} | values


@pytest.fixture(scope="session")
def shown() -> Callable[..., ShownMethod]:
    """Make what a method made."""
    return _shown


@pytest.fixture(scope="session")
def failed() -> Callable[..., ShownMethod]:
    """Make what a method failed to make."""
    return _failed


@pytest.fixture(scope="session")
def summary_row() -> Callable[..., dict[str, Any]]:
    """Make a row of a summary."""
    return _summary_row


@pytest.fixture(scope="session")
def configuration() -> dict[str, Any]:
    return {"task": "denoise", "settings": {"sigma": 0.1, "mask": HOSTILE}, "nfe": 20}


@pytest.fixture
def truth() -> np.ndarray:
    rows, columns = np.mgrid[0 : SHAPE[1], 0 : SHAPE[2]] / SHAPE[2]
    return np.stack([rows, columns, (rows + columns) / 2]).astype(np.float32) * np.float32(0.6)


@pytest.fixture
def inputs(truth: np.ndarray) -> list[Input]:
    methods = [
        _shown(truth, "ddrm", 0.1, samples=4),
        _shown(truth, "bicubic", 0.2),
        _failed("snips", "needs <38> evaluations"),
    ]
    small = truth[:, ::2, ::2]
    blind = Input("blind.png", small, None, [_shown(None, "ddrm", 0.1, samples=4)])
    return [Input(HOSTILE, small, truth, methods), blind]


@pytest.fixture
def write(tmp_path: Path, configuration: dict[str, Any]) -> Callable[[Sequence[Input]], Path]:
    """Write the page of some inputs."""

    def written(inputs: Sequence[Input]) -> Path:
        path = tmp_path / "page.html"
        summary = [
            _summary_row("ddrm", 19.0, samples=4, evaluations=20, psnr_sample=17.0),
            _summary_row("bicubic", 18.0),
            _summary_row("snips", None, psnr_se=None, count=0, failed=2),
        ]
        write_comparison(path, "restore compare: <denoise>", inputs, summary, configuration)
        return path

    return written
