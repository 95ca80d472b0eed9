"""The tabs for photographs: upload, draw, choose, restore, look, download."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from operators.resize import RESIZE_KERNELS
from restore.errors import InputError
from restore.web.choices import numeric
from restore.web.files import Session
from restore.web.outcome import Outcome
from restore.web.restoring import DRAWINGS, open_mask, open_picture, start_restoring
from restore.web.run import Run
from restore.web.running import COMMON, common_controls, follow, results, wire_cancel
from restore.web.service import Service
from restore.web.status import IDLE, failure_html

EXTENSIONS = ["auto", "png", "jpg", "tif", "npy"]
MASK_HELP = (
    "Draw over what is to be filled, or upload a mask; without either, the transparent part of "
    "the picture is filled. Everything else stays as it is, bit for bit."
)
HINTS_HELP = (
    "Draw strokes of the colours that things have: their hue is taken, at the brightness of the "
    "picture. Without strokes the result stays close to grey."
)


@dataclass(frozen=True)
class PhotoVerb:
    """A verb as a tab.

    Attributes:
        name: of the task.
        title: of the tab.
        help: what it does.
        controls: makes the verb's own controls.
        own: from their values to settings by name.
    """

    name: str
    title: str
    help: str
    controls: Callable[[], Sequence[gr.Component]] = lambda: ()
    own: Callable[..., dict[str, Any]] = dict


def _super_resolve() -> Sequence[gr.Component]:
    with gr.Row():
        scale = gr.Number(4, minimum=1, maximum=16, label="Scale", elem_id="super-resolve-scale")
        kernel = gr.Dropdown(
            list(RESIZE_KERNELS), value="bicubic", label="How the small picture was made"
        )
    return scale, kernel


def _super_resolve_own(scale: float | None, kernel: str) -> dict[str, Any]:
    if kernel not in RESIZE_KERNELS:
        raise InputError(f"kernel {kernel}: expected one of {', '.join(RESIZE_KERNELS)}")
    return {"scale": numeric("scale", scale), "kernel": kernel}


VERBS = (
    PhotoVerb("inpaint", "Inpaint", MASK_HELP),
    PhotoVerb(
        "super-resolve",
        "Super-resolve",
        "Enlarges: the result is a picture whose shrink is the input.",
        _super_resolve,
        _super_resolve_own,
    ),
)


def photo_tab(service: Service, verb: PhotoVerb) -> None:
    """Build the tab of a verb."""
    name, drawing = verb.name, DRAWINGS.get(verb.name)
    editor = f"{name}-editor"
    gr.Markdown(verb.help)
    picture = gr.File(
        label="Picture", type="filepath", elem_id=f"{name}-picture", file_count="single"
    )
    address = gr.Textbox(visible=False)
    drawn = gr.Textbox(visible=False)
    if drawing:
        gr.HTML(f'<picture-editor id="{editor}" mode="{drawing}"></picture-editor>')
    uploaded_mask = None
    if drawing == "mask":
        uploaded_mask = gr.UploadButton("Upload a mask", size="sm", elem_id=f"{name}-mask")
    own = verb.controls()
    common = common_controls(service, name, channels=3)
    with gr.Accordion("Output", open=False):
        ext = gr.Dropdown(EXTENSIONS, value="auto", label="Kind of file", elem_id=f"{name}-ext")
    shown = results(name, slider=True)

    def opened(upload: str, request: gr.Request) -> list[Any]:
        try:
            source, png = open_picture(service, _session(service, request), upload, name)
        except InputError as error:
            return [None, "", failure_html(str(error))]
        return [str(source), str(png), IDLE]

    def closed() -> list[Any]:
        return ["", IDLE]

    def masked(upload: str, source: str | None, request: gr.Request) -> list[Any]:
        session = _session(service, request)
        try:
            return [str(open_mask(service, session, upload, session.owned(source))), IDLE]
        except InputError as error:
            return ["", failure_html(str(error))]

    def restore(
        request: gr.Request, source: str | None, drawn: str, ext: str, *values: Any
    ) -> Iterator[list[Any]]:
        chosen = dict(zip(COMMON, values[: len(COMMON)], strict=True))
        session = _session(service, request)

        def begin() -> Run[Outcome]:
            settings = verb.own(*values[len(COMMON) :])
            return start_restoring(
                service, session, name, session.owned(source), chosen, settings, drawn, ext
            )

        yield from follow(begin, slider=True)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    show = f"(path) => openPicture('{editor}', path)"
    upload = picture.upload(opened, picture, [picture, address, shown.status], **private)
    upload.then(None, address, None, js=show, **private)
    picture.clear(closed, None, [address, shown.status], **private).then(
        None, address, None, js=show, **private
    )
    if uploaded_mask is not None:
        loaded = uploaded_mask.upload(
            masked, [uploaded_mask, picture], [drawn, shown.status], **private
        )
        loaded.then(None, drawn, None, js=f"(path) => loadDrawing('{editor}', path)", **private)
    collect = f"async (...all) => {{ all[1] = await drawnOn('{editor}'); return all; }}"
    shown.start.click(
        restore,
        [picture, drawn, ext, *common, *own],
        shown.outputs,
        js=collect if drawing else None,
        concurrency_limit=None,
        **private,
    )
    wire_cancel(service, shown.cancel)


def _session(service: Service, request: gr.Request) -> Session:
    return service.store.session(request.session_hash)
