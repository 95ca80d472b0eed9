"""Scores of reconstructed scans, which have no fixed range of values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from restore.metrics.quality import psnr, ssim


@dataclass(frozen=True)
class ScanScores:
    """How near images are to the true ones, the mean over the slices.

    Attributes:
        psnr: 10 log10(max(truth)² / mean squared error) in dB; None for equal images.
        ssim: with the largest true value as range; None where a side is below 11 pixels.
        nmse: squared error over the squared norm of the truth.
    """

    psnr: float | None
    ssim: float | None
    nmse: float


def scan_scores(images: ArrayLike, truth: ArrayLike) -> ScanScores:
    """Scores of images [B, H, W] against the truth, both in its unit.

    The range of a slice is its largest true value, as the fastMRI challenge has it (Zbontar et
    al., "fastMRI: An Open Dataset and Benchmarks for Accelerated MRI", 2018); of a slice where
    nothing is, that of them all.

    Raises:
        ValueError: if the shapes differ, or the truth has nothing above 0.
    """
    a, b = np.asarray(images, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"images are {list(a.shape)}, truth {list(b.shape)}; expected equal")
    brightest = float(b.max())
    if not brightest > 0:
        raise ValueError("the truth has nothing above 0; expected images")
    levels, structures = [], []
    for image, true in zip(a, b, strict=True):
        white = float(true.max()) if true.max() > 0 else brightest
        levels.append(psnr(image[None] / white, true[None] / white))
        structures.append(ssim(image[None] / white, true[None] / white))
    known = [s for s in structures if s is not None]
    finite = [level for level in levels if math.isfinite(level)]
    return ScanScores(
        psnr=float(np.mean(finite)) if finite else None,
        ssim=float(np.mean(known)) if known else None,
        nmse=float(np.sum((a - b) ** 2) / np.sum(b**2)),
    )
