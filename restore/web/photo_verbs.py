"""What is particular to each verb for photographs on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from operators.resize import RESIZE_KERNELS
from restore.errors import InputError
from restore.web.choices import among, numeric
from restore.web.files import Session
from restore.web.restoring import check_header
from restore.web.running import kept_file
from restore.web.service import Service

BLURS = ("gaussian", "disk", "box", "motion")
BORDERS = ("valid", "reflect", "replicate", "zero", "circular")


def _no_controls(_: Service) -> Sequence[gr.Component]:
    return ()


def _no_settings(_: Service, __: Session) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class PhotoVerb:
    """A verb as a tab.

    Attributes:
        name: of the task.
        title: of the tab.
        help: what it does.
        controls: makes the verb's own controls.
        own: from the server, the session and their values to settings by name.
    """

    name: str
    title: str
    help: str
    controls: Callable[[Service], Sequence[gr.Component]] = _no_controls
    own: Callable[..., dict[str, Any]] = _no_settings


def enlargement_controls(_: Service) -> Sequence[gr.Component]:
    """Scale and kernel of `super-resolve`."""
    with gr.Row():
        scale = gr.Number(4, minimum=1, maximum=16, label="Scale", elem_id="super-resolve-scale")
        kernel = gr.Dropdown(
            list(RESIZE_KERNELS), value="bicubic", label="How the small picture was made"
        )
    return scale, kernel


def enlargement(_: Service, __: Session, scale: float | None, kernel: str) -> dict[str, Any]:
    """Settings of `super-resolve`."""
    return {
        "scale": numeric("scale", scale),
        "kernel": among("kernel", kernel, list(RESIZE_KERNELS)),
    }


def blur_controls(service: Service) -> Sequence[gr.Component]:
    """Kernel and border of `deblur`."""
    with gr.Row():
        kind = gr.Radio(list(BLURS), value="gaussian", label="Blur", elem_id="deblur-kind")
        size = gr.Number(
            2, minimum=0, label="Size in pixels", elem_id="deblur-size",
            info="σ of a Gaussian, radius of a disk, side of a box (odd), length of a motion",
        )  # fmt: skip
        angle = gr.Number(0, label="Angle of a motion", info="Degrees, counter-clockwise")
        border = gr.Dropdown(list(BORDERS), value="valid", label="Beyond the border")
    with gr.Accordion("A kernel of one's own", open=False):
        told = gr.HTML("", elem_classes="told")
        file = kept_file(service, "A small picture, or .npy", "deblur-kernel", told)
    return kind, size, angle, border, file


def blur(
    service: Service,
    session: Session,
    kind: str,
    size: float | None,
    angle: float | None,
    border: str,
    file: str | None,
) -> dict[str, Any]:
    """Settings of `deblur`."""
    chosen = {"border": among("border", border, BORDERS)}
    if file:
        kernel = session.take(file, "deblur-kernel")
        check_header(service, kernel)
        return chosen | {"kernel": str(kernel)}
    among("blur", kind, BLURS)
    value = numeric("size", size)
    if value is None:
        raise InputError("size: nothing is given; expected a number of pixels")
    text = f"{kind}:{value:g}"
    if kind == "motion":
        text += f",{numeric('angle', angle) or 0:g}"
    return chosen | {"kernel": text}


PHOTO_VERBS = (
    PhotoVerb(
        "inpaint",
        "Inpaint",
        "Draw over what is to be filled, or upload a mask; without either, the transparent part "
        "of the picture is filled. Everything else stays as it is, bit for bit.",
    ),
    PhotoVerb(
        "super-resolve",
        "Super-resolve",
        "Enlarges: the result is a picture whose shrink is the input.",
        enlargement_controls,
        enlargement,
    ),
    PhotoVerb(
        "denoise",
        "Denoise",
        "Removes noise, whose level is estimated where it is not given (0 black, 1 white).",
    ),
    PhotoVerb(
        "deblur",
        "Deblur",
        "Undoes a known blur: the result, blurred again, is the input up to its noise.",
        blur_controls,
        blur,
    ),
    PhotoVerb(
        "dejpeg",
        "Dejpeg",
        "Takes away what JPEG did. The file itself says what is known: upload the JPEG as it is, "
        "not a picture of it.",
    ),
    PhotoVerb(
        "colorize",
        "Colorize",
        "Draw strokes of the colours that things have: their hue is taken, at the brightness of "
        "the picture, and spread. Without strokes the result stays close to grey.",
    ),
)
