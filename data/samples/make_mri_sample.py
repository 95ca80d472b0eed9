"""Makes the MRI sample: `python data/samples/make_mri_sample.py cartesian_ksp.npy`."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import torch

from restore.mri.coils import compress_coils

FOLDER = Path(__file__).parent
COILS, ROWS, COLUMNS = 4, 128, 112


def main() -> None:
    """Write `brain.h5`: the middle of k-space of four virtual coils, in fastMRI's layout."""
    kspace = np.load(sys.argv[1])
    top, left = kspace.shape[1] // 2 - ROWS // 2, kspace.shape[2] // 2 - COLUMNS // 2
    middle = kspace[:, top : top + ROWS, left : left + COLUMNS]
    few = compress_coils(torch.from_numpy(middle), COILS).numpy()
    # So small a file keeps 11 bits of each number; what they lose is far below the noise.
    step = 2.0 ** np.floor(np.log2(np.abs(few[few != 0]).mean() / 256))
    rounded = (np.round(few.real / step) + 1j * np.round(few.imag / step)) * step
    with h5py.File(FOLDER / "brain.h5", "w") as file:
        file.create_dataset(
            "kspace", data=rounded[None].astype(np.complex64), compression="gzip",
            compression_opts=9, shuffle=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
