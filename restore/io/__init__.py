"""Files: reading, writing, masks, names of outputs."""
