"""TIFF files of numbers: the pages of one file, or the files of a folder, as one array."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore.errors import InputError, reason_of
from restore.io.atomic import atomic_path
from restore.io.refusal import check_plain

TIFF_SUFFIXES = (".tif", ".tiff")
# Pixels of all pages; more is a damaged header.
_MOST = 2**31
# Of a compressed page, to what it holds; real data shrink by less.
_RATIO = 1100


def read_tiff_stack(path: Path) -> NDArray[Any]:
    """Return grey pages [pages, rows, columns] as stored; of a folder by number, then by name.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    if not path.is_dir():
        return _pages(path)
    files = [f for f in path.iterdir() if f.suffix.lower() in TIFF_SUFFIXES and f.name[0] != "."]
    if not files:
        raise InputError(f"{path}: no TIFF in this folder, expected a stack of them")
    files.sort(key=lambda file: ([int(n) for n in re.findall(r"\d+", file.stem)], file.name))
    stack = [_pages(file) for file in files]
    for file, pages in zip(files, stack, strict=True):
        if pages.shape[1:] != stack[0].shape[1:]:
            raise InputError(
                f"{file}: {list(pages.shape[1:])}, expected pages of one size as {files[0].name} "
                f"({list(stack[0].shape[1:])})"
            )
    return np.concatenate(stack)


def write_tiff_stack(path: Path, volume: NDArray[Any]) -> None:
    """Write [slices, rows, columns] as pages of float32."""
    import tifffile

    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary, np.asarray(volume, np.float32), photometric="minisblack", metadata=None
        )


def _pages(path: Path) -> NDArray[Any]:
    import tifffile

    try:
        check_plain(path, "a TIFF")
        with path.open("rb") as stream, tifffile.TiffFile(stream) as file:
            size = path.stat().st_size
            first = file.pages.first
            shape, total, together, read = first.shape, 0, 0, []
            for page in file.pages:
                if page.shape != shape or len(shape) != 2 or min(shape) < 1:
                    raise InputError(
                        f"{path}: pages of {list(page.shape)}, expected grey pages of one size"
                    )
                total += shape[0] * shape[1]
                ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
                if max(ends) > size or total > _MOST:
                    raise InputError(f"{path}: cut short, expected a whole TIFF")
                held = sum(page.databytecounts)
                together += held
                if together > size:
                    raise InputError(f"{path}: pages that share their data, expected a whole TIFF")
                if page.nbytes > _RATIO * held or math.prod(page.chunked) != len(ends):
                    raise InputError(
                        f"{path}: a page of {list(shape)} in {len(ends)} pieces of {held} bytes, "
                        "expected a whole TIFF"
                    )
                read.append(np.asarray(page.asarray()))
            told = sum(math.prod(series.shape) for series in file.series) // math.prod(shape)
            if told > len(read):
                raise InputError(
                    f"{path}: {told} pages, of which {len(read)} are in its index, expected it "
                    "saved anew with all of them"
                )
            return np.stack(read)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a TIFF") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise InputError(f"{path}: {reason_of(error)}, expected a whole TIFF of numbers") from error
