"""Picture files: reading, writing, masks, names of outputs."""

from restore.io.picture import Picture, read_picture, write_picture

__all__ = ["Picture", "read_picture", "write_picture"]
