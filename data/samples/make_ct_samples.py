"""Makes the CT samples: `python data/samples/make_ct_samples.py TOOTH.h5 HEAD.dcm`."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

from restore.io.dicom import read_dicom, write_dicom

FOLDER = Path(__file__).parent
CELLS, VIEWS, SIDE = 5, 2, 4


def main() -> None:
    """Write `tooth.h5`, one row at a fifth of its cells, and `head.dcm`, a quarter of its side."""
    tooth, head = map(Path, sys.argv[1:3])
    with h5py.File(tooth) as source, h5py.File(FOLDER / "tooth.h5", "w") as made:
        for name, step in (("data", VIEWS), ("data_white", 1), ("data_dark", 1)):
            counts = source[f"exchange/{name}"][::step, :1]
            counts = counts.reshape(*counts.shape[:2], -1, CELLS).mean(-1)
            values = np.rint(counts).astype(np.uint16)
            made.create_dataset(f"exchange/{name}", data=values, compression="gzip")
        made["exchange/theta"] = source["exchange/theta"][::VIEWS]
        made["exchange/theta"].attrs["units"] = "degrees"
    image = read_dicom(head)
    rows, columns = (side // SIDE for side in image.values.shape[1:])
    small = image.values.reshape(1, rows, SIDE, columns, SIDE).mean((2, 4))
    spacing = (SIDE * image.spacing[0], SIDE * image.spacing[1], image.spacing[2])
    write_dicom(FOLDER / "head.dcm", small, "CT", spacing=spacing, description="head, reduced")


if __name__ == "__main__":
    main()
