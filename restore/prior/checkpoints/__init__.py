"""Checkpoints of the field: what a file is, and the denoiser that it makes."""
