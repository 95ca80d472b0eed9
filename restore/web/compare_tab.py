"""The tab that compares methods on a clean picture, under a slider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from restore.web.choices import MOST_SAMPLES, MOST_STEPS, among, numeric, whole
from restore.web.comparing import COMPARED, Compared, methods_for, start_comparing
from restore.web.photo_verbs import BLURS
from restore.web.restoring import open_picture
from restore.web.running import (
    PRIVATE,
    follow,
    framed,
    kept_file,
    results,
    said,
    session_of,
    wire_cancel,
)
from restore.web.service import Service
from restore.web.status import IDLE, failure_html, summary_html

HELP = (
    "Takes a clean picture, degrades it, and restores it by several methods with the same model, "
    "seed and budget. Any two of the results lie under a slider, with maps of error and spread."
)
FIRST = "super-resolve"
# Quick ones that differ.
_CHOSEN = ("bicubic", "ddrm", "pnp")
_EVALUATIONS, _CROP = 20, 256


def compare_tab(service: Service) -> None:
    """Build the tab."""
    gr.Markdown(HELP)
    picture = gr.File(label="Clean picture", type="filepath", elem_id="compare-picture", height=120)
    with gr.Row():
        task = gr.Dropdown(list(COMPARED), value=FIRST, label="Task", elem_id="compare-task")
        names = gr.Dropdown(
            methods_for(FIRST), value=list(_CHOSEN), multiselect=True, label="Methods",
            elem_id="compare-methods",
        )  # fmt: skip
    with gr.Row():
        scale = gr.Number(2, minimum=1, maximum=16, label="Scale", info="Of super-resolve")
        noise = gr.Textbox("", label="Noise", info="Standard deviation, 0 to 1")
        blur = gr.Radio(list(BLURS[:3]), value="gaussian", label="Blur", info="Of deblur")
        size = gr.Number(2, minimum=0, label="Size of the blur", info="In pixels")
        quality = gr.Number(10, precision=0, minimum=1, maximum=100, label="Quality of the JPEG")
    with gr.Row():
        nfe = gr.Number(
            _EVALUATIONS, precision=0, minimum=1, maximum=MOST_STEPS, elem_id="compare-nfe",
            label="Evaluations of the network", info="For a sample, at most",
        )  # fmt: skip
        samples = gr.Number(1, precision=0, minimum=1, maximum=MOST_SAMPLES, label="Samples")
        crop = gr.Number(
            _CROP, precision=0, minimum=0, label="Centre", info="Side in pixels; 0: the whole",
            elem_id="compare-crop",
        )  # fmt: skip
        seed = gr.Number(0, precision=0, minimum=0, label="Seed")
    told = gr.HTML("", elem_classes="told")
    with gr.Accordion("Mask of inpaint, strokes of colorize", open=False), gr.Row():
        mask = kept_file(service, "Mask", "compare-mask", told)
        hints = kept_file(service, "Strokes", "compare-hints", told)
    shown = results("compare", slider=False, title="Compare", picture=False)

    def opened(request: gr.Request, upload: str) -> list[Any]:
        try:
            source, _ = open_picture(service, session_of(service, request), upload, "compare")
        except Exception as error:  # whatever the file holds, the page goes on
            return [None, failure_html(said(service, error))]
        return [str(source), IDLE]

    def offered(verb: str) -> gr.Dropdown:
        fit = methods_for(verb)
        return gr.Dropdown(fit, value=[name for name in fit if name in _CHOSEN] or fit[:2])

    def compare(
        request: gr.Request,
        source: str | None,
        verb: str,
        names: list[str],
        scale: float,
        noise: str,
        blur: str,
        size: float,
        quality: float,
        mask: str | None,
        hints: str | None,
        nfe: float,
        samples: float,
        crop: float,
        seed: float,
    ) -> Iterator[list[Any]]:
        session = session_of(service, request)

        def begin() -> Any:
            own = {
                "scale": numeric("scale", scale) if verb == "super-resolve" else None,
                "kernel": f"{among('blur', blur, BLURS[:3])}:{numeric('size', size) or 0:g}"
                if verb == "deblur"
                else None,
                "quality": whole("quality", quality) if verb == "dejpeg" else None,
                "mask": session.take(mask, "compare-mask") if mask and verb == "inpaint" else None,
                "hints": session.take(hints, "compare-hints")
                if hints and verb == "colorize"
                else None,
                "sigma": noise.strip() or None,
            }
            return start_comparing(
                service, session, verb, session.take(source, "compare-upload"), names, own,
                nfe=whole("evaluations", nfe, MOST_STEPS),
                samples=whole("samples", samples, MOST_SAMPLES),
                crop=whole("centre", crop), seed=whole("seed", seed),
            )  # fmt: skip

        yield from follow(service, begin, _shown)

    picture.upload(opened, picture, [picture, shown.status], **PRIVATE)
    task.change(offered, task, names, **PRIVATE)
    shown.start.click(
        compare,
        [
            picture, task, names, scale, noise, blur, size, quality, mask, hints, nfe, samples,
            crop, seed,
        ],
        shown.outputs,
        concurrency_limit=None,
        **PRIVATE,
    )  # fmt: skip
    wire_cancel(service, shown.cancel)


def _shown(compared: Compared) -> list[Any]:
    return [
        summary_html(compared.summary),
        None,
        gr.skip(),
        [str(file) for file in compared.files],
        gr.HTML(framed(compared.report), visible=True),
    ]
