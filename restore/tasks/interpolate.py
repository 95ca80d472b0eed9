"""`interpolate`: the way between two pictures through the latents of the probability-flow ODE."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators import Resize
from restore.errors import InputError
from restore.io.atomic import atomic_path
from restore.io.files import sidecar_path
from restore.io.picture import output_format, read_picture, write_picture
from restore.methods.base import StepCallback
from restore.prior.models import fit_channels
from restore.sde.latent import decode, encode, slerp
from restore.tasks.grid import side_by_side
from restore.tasks.opened import OpenModel
from restore.tasks.sidecar import software, write_sidecar
from restore.tasks.task import pixels_of

FRAME_MS = 120


def interpolate(
    first: Path,
    second: Path,
    output: Path,
    model: OpenModel,
    *,
    frames: int = 9,
    size: tuple[int, int] | None = None,
    tolerance: float = 1e-4,
    on_step: StepCallback | None = None,
) -> dict[str, Any]:
    """Write the frames from one picture to another, and a sidecar; return the record.

    Both are encoded, the latents joined along a great circle, and each point decoded. The first
    and the last frame are the pictures themselves up to the error of the solver, which the record
    has as `round_trip_rms`.

    Args:
        first: a picture.
        second: another of the same size, unless `size` is given.
        output: a strip of frames from left to right, or `.gif`: there and back, again and again.
        model: the prior.
        frames: at least 2.
        size: rows and columns that both are resized to.
        tolerance: of the solver, relative and absolute.
        on_step: called with (n, n, x̂) after evaluation n of each part of the work.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    began = time.perf_counter()
    ends = _read(first, second, size, model.device)
    prior = fit_channels(model.prior, ends.shape[1])
    given: dict[str, Any] = {"rtol": tolerance, "atol": tolerance, "on_step": on_step}
    # One at a time: pictures that are solved together share their steps.
    shares = [i / (frames - 1) for i in range(frames)]
    try:
        encoded = [encode(prior, end[None], **given) for end in ends]
        path = slerp(encoded[0].x[0], encoded[1].x[0], shares)
        decoded = [decode(prior, z[None], **given) for z in path]
    except ValueError as error:
        raise InputError(f"{first}, {second}: {error}") from error
    x = torch.cat([part.x for part in decoded])
    errors = (x[[0, -1]] - ends).square().mean((1, 2, 3)).sqrt()
    x = x.clamp(0, 1).cpu()
    notes = _write(output, x)
    sidecar = sidecar_path(output)
    record: dict[str, Any] = {
        "inputs": [str(first), str(second)],
        "output": str(output),
        "sidecar": str(sidecar),
        "task": "interpolate",
        "model": model.name,
        "frames": frames,
        "width": x.shape[-1],
        "height": x.shape[-2],
        "tolerance": tolerance,
        "evaluations": sum(part.evaluations for part in [*encoded, *decoded]),
        "round_trip_rms": errors.tolist(),
        "seconds": round(time.perf_counter() - began, 3),
    }
    details = {
        "model_sha256": model.sha256,
        "device": str(model.device),
        "latent_std": [float(part.x.std()) for part in encoded],
        "notes": list(notes),
        "versions": software(),
    }
    write_sidecar(sidecar, record | details)
    return record


def check_output(output: Path) -> None:
    """Refuse a suffix that is neither a picture's nor `.gif`.

    Raises:
        InputError: likewise.
    """
    if output.suffix.lower() != ".gif":
        output_format(output)


def _read(first: Path, second: Path, size: tuple[int, int] | None, device: torch.device) -> Tensor:
    """Both pictures, [2, C, H, W]."""
    pictures = [read_picture(path) for path in (first, second)]
    channels = max(picture.channels for picture in pictures)
    ends = []
    for picture in pictures:
        pixels = pixels_of(picture, device)
        if size is not None:
            pixels = Resize(tuple(pixels.shape[1:]), size, device=device)(pixels).clamp(0, 1)
        ends.append(pixels.expand(-1, channels, -1, -1))
    if ends[0].shape != ends[1].shape:
        a, b = pictures
        raise InputError(
            f"{second}: the picture is {b.width}x{b.height}, {first} is {a.width}x{a.height}; "
            "expected the same size, or --size WIDTHxHEIGHT"
        )
    return torch.cat(ends)


def _write(output: Path, frames: Tensor) -> tuple[str, ...]:
    if output.suffix.lower() != ".gif":
        return write_picture(output, side_by_side(frames, len(frames)).numpy())
    from PIL import Image

    levels = (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    images = [Image.fromarray(np.ascontiguousarray(f.squeeze(-1) if f.shape[-1] == 1 else f))
              for f in levels]  # fmt: skip
    with atomic_path(output) as temporary:
        images[0].save(
            temporary, "GIF", save_all=True, append_images=[*images[1:], *images[-2:0:-1]],
            duration=FRAME_MS, loop=0,
        )  # fmt: skip
    return ()
