"""Picture files: reading, writing, masks, names of outputs."""

from restore.io.atomic import atomic_path, write_bytes
from restore.io.files import (
    InputFile,
    check_written,
    expand_inputs,
    may_write,
    numbered,
    plan_outputs,
    sidecar_path,
)
from restore.io.jpeg_blocks import read_coefficients, write_jpeg_blocks
from restore.io.levels import as_written, from_integer, rounding_std, to_integer
from restore.io.mask import hole_from_alpha, read_mask
from restore.io.metadata import Metadata
from restore.io.picture import Picture, read_picture, write_picture

__all__ = [
    "InputFile",
    "Metadata",
    "Picture",
    "as_written",
    "atomic_path",
    "check_written",
    "expand_inputs",
    "from_integer",
    "hole_from_alpha",
    "may_write",
    "numbered",
    "plan_outputs",
    "read_coefficients",
    "read_mask",
    "read_picture",
    "rounding_std",
    "sidecar_path",
    "to_integer",
    "write_bytes",
    "write_jpeg_blocks",
    "write_picture",
]
