"""A NumPy array from a file that may promise anything."""

from __future__ import annotations

import math
import tokenize
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def read_npy(stream: IO[bytes], size: int | None = None) -> NDArray[Any]:
    """Reads an array of numbers; nothing is unpickled.

    The size that the header promises is compared with what the file holds before memory is
    allocated.

    Args:
        stream: open for reading in binary, seekable, at its beginning.
        size: its length, where it is known: to find it, a compressed stream is read to its end.

    Raises:
        ValueError: cut, damaged, of Python objects or another version, in one line.
    """
    start = stream.tell()
    if size is None:
        size = stream.seek(0, 2)
        stream.seek(start)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        shape, _, dtype = readers[version](stream)
        promised = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded: Python objects, which are never read")
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
        if promised > size - stream.tell():
            raise ValueError(f"{promised} bytes are promised and {size - stream.tell()} are there")
        stream.seek(start)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except (tokenize.TokenError, TypeError, EOFError, OSError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    except (RecursionError, SyntaxError, AttributeError, KeyError, IndexError) as error:
        raise ValueError("the header cannot be parsed") from error
    return array
