from __future__ import annotations

import math

import numpy as np
import pytest

from restore.metrics import psnr, psnrb

# torchmetrics 1.9.0, PeakSignalNoiseRatioWithBlockedEffect(data_range=1.0), mean of the channels.
TORCHMETRICS = {"blocks": 16.1638425, "noise": 29.0242615}


def pictures() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Blocks of one mean each (visible borders), and noise (none), of a wave."""
    rows, columns = np.mgrid[0:48, 0:70]
    waves = [0.5 + 0.3 * np.sin(rows / a + columns / 7) for a in (5, 9, 13)]
    reference = np.stack(waves)
    means = reference[:, :48, :64].reshape(3, 6, 8, 8, 8).mean(axis=(2, 4))
    blocks = reference.copy()
    blocks[:, :, :64] = means.repeat(8, axis=1).repeat(8, axis=2)
    noisy = reference + 0.05 * np.cos(rows * 3.1 + columns * 1.7)
    return {"blocks": (blocks, reference), "noise": (noisy, reference)}


@pytest.mark.parametrize("kind", TORCHMETRICS)
def test_agrees_with_torchmetrics(kind: str) -> None:
    assert psnrb(*pictures()[kind]) == pytest.approx(TORCHMETRICS[kind], abs=1e-5)


def test_only_blocks_of_the_picture_count() -> None:
    blocks, reference = pictures()["blocks"]
    assert psnrb(blocks, reference) < psnr(blocks, reference) - 1
    single = blocks[:1], reference[:1]
    moved = [np.roll(x, 4, axis=(1, 2)) for x in single]
    assert psnrb(*moved) > psnrb(*single) + 1
    assert psnrb(reference, reference) == math.inf


def test_refusals() -> None:
    with pytest.raises(ValueError, match="it has no block borders"):
        psnrb(np.zeros((1, 8, 20)), np.zeros((1, 8, 20)))
    with pytest.raises(ValueError, match=r"picture is \[1, 9, 20\], reference \[1, 9, 9\]"):
        psnrb(np.zeros((1, 9, 20)), np.zeros((1, 9, 9)))
