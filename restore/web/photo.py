"""The tabs for photographs: upload, draw, choose, restore, look, download."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from restore.web.photo_verbs import PhotoVerb
from restore.web.restoring import DRAWINGS, EXTENSIONS, open_drawing, open_picture, start_restoring
from restore.web.running import (
    COMMON,
    PRIVATE,
    Results,
    common_controls,
    follow,
    results,
    said,
    session_of,
    shown_outcome,
    wire_cancel,
)
from restore.web.service import Service
from restore.web.status import IDLE, READING, failure_html


def photo_tab(service: Service, verb: PhotoVerb) -> None:
    """Build the tab of a verb."""
    name, drawing = verb.name, DRAWINGS.get(verb.name)
    editor = f"{name}-editor"
    gr.Markdown(verb.help)
    picture = gr.File(
        label="Picture", type="filepath", elem_id=f"{name}-picture", file_count="single", height=120
    )
    # What the browser and the server tell each other, unseen.
    address, drawn = gr.Textbox(visible=False), gr.Textbox(visible=False)
    upload = None
    if drawing:
        gr.HTML(f'<picture-editor id="{editor}" mode="{drawing}"></picture-editor>')
        title = "Upload a mask" if drawing == "mask" else "Upload strokes"
        upload = gr.UploadButton(title, size="sm", elem_id=f"{name}-{drawing}")
    own = verb.controls(service)
    common = common_controls(service, name, channels=3)
    with gr.Accordion("Output", open=False):
        ext = gr.Dropdown(
            list(EXTENSIONS), value="auto", label="Kind of file", elem_id=f"{name}-ext"
        )
    shown = results(name, slider=True)
    _wire_picture(service, name, picture, address, shown.status, editor)
    if upload is not None:
        _wire_drawing(service, name, upload, picture, drawn, shown.status, editor)

    def restore(
        request: gr.Request, source: str | None, drawn: str, ext: str, *values: Any
    ) -> Iterator[list[Any]]:
        chosen = dict(zip(COMMON, values, strict=False))
        session = session_of(service, request)
        yield from follow(
            service, lambda: start_restoring(
                service, session, name, session.take(source, f"{name}-upload"), chosen,
                verb.own(service, session, *values[len(COMMON) :]), drawn, ext,
            ),
            partial(shown_outcome, slider=True),
        )  # fmt: skip

    collect = f"async (...all) => {{ all[1] = await drawnOn('{editor}'); return all; }}"
    _start(shown, restore, [picture, drawn, ext, *common, *own], collect if drawing else None)
    wire_cancel(service, shown.cancel)


def _start(
    shown: Results,
    handler: Callable[..., Iterator[list[Any]]],
    inputs: Sequence[gr.Component],
    js: str | None,
) -> None:
    # The line of the service says how many run at once.
    shown.start.click(handler, inputs, shown.outputs, js=js, concurrency_limit=None, **PRIVATE)


def _wire_picture(
    service: Service,
    verb: str,
    picture: gr.File,
    address: gr.Textbox,
    status: gr.HTML,
    editor: str,
) -> None:
    """Let an uploaded picture be kept in the session and shown in the editor."""

    def opened(request: gr.Request, upload: str) -> Iterator[list[Any]]:
        yield [gr.skip(), "", READING]
        try:
            source, png = open_picture(service, session_of(service, request), upload, verb)
        except Exception as error:  # whatever the file holds, the page goes on
            yield [None, "", failure_html(said(service, error))]
        else:
            yield [str(source), str(png), IDLE]

    show = f"(path) => openPicture('{editor}', path)"
    picture.upload(opened, picture, [picture, address, status], **PRIVATE).then(
        None, address, None, js=show, **PRIVATE
    )
    picture.clear(lambda: ["", IDLE], None, [address, status], **PRIVATE).then(
        None, address, None, js=show, **PRIVATE
    )


def _wire_drawing(
    service: Service,
    verb: str,
    button: gr.UploadButton,
    picture: gr.File,
    drawn: gr.Textbox,
    status: gr.HTML,
    editor: str,
) -> None:
    """Let an uploaded mask, or strokes, be drawn in the editor."""

    def loaded(request: gr.Request, upload: str, source: str | None) -> list[Any]:
        session = session_of(service, request)
        try:
            seen = session.take(source, f"{verb}-upload")
            return [str(open_drawing(service, session, verb, upload, seen)), IDLE]
        except Exception as error:  # whatever the file holds, the page goes on
            return ["", failure_html(said(service, error))]

    button.upload(loaded, [button, picture], [drawn, status], **PRIVATE).then(
        None, drawn, None, js=f"(path) => loadDrawing('{editor}', path)", **PRIVATE
    )
