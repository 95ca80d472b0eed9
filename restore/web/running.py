"""What every tab has: the choices, the buttons, the progress, and the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from restore.errors import InputError
from restore.web.choices import AUTOMATIC, PRESETS, method_names, model_names
from restore.web.outcome import Outcome
from restore.web.run import Cancelled, Run
from restore.web.service import Service
from restore.web.status import CANCELLED, IDLE, failure_html, outcome_html, progress_html

COMMON = ("preset", "method", "model", "steps", "seed", "samples", "sigma")
"""Names of the values of `common_controls`, in their order."""


def common_controls(
    service: Service, verb: str, classical: tuple[str, ...] = (), channels: int | None = None
) -> list[gr.Component]:
    """The choices that every verb has, `COMMON`."""
    with gr.Row():
        preset = gr.Radio(list(PRESETS), value="default", label="Quality", elem_id=f"{verb}-preset")
        seed = gr.Number(0, precision=0, minimum=0, label="Seed", elem_id=f"{verb}-seed")
        samples = gr.Number(
            0, precision=0, minimum=0, maximum=32, label="Samples", elem_id=f"{verb}-samples",
            info="0: one best estimate. From 2 on, with the map of their spread",
        )  # fmt: skip
    with gr.Accordion("Method, model, noise", open=False), gr.Row():
        method = gr.Dropdown(method_names(verb, classical), value=AUTOMATIC, label="Method")
        model = gr.Dropdown(model_names(service, channels), value=AUTOMATIC, label="Model")
        steps = gr.Number(
            0, precision=0, minimum=0, maximum=1000, label="Steps", elem_id=f"{verb}-steps",
            info="0: the method's own",
        )  # fmt: skip
        sigma = gr.Textbox("", label="Noise", info="Standard deviation, or auto")
    return [preset, method, model, steps, seed, samples, sigma]


@dataclass(frozen=True)
class Results:
    """Where a run is started, followed and shown.

    Attributes:
        start: begins it.
        cancel: ends it.
        status: says how far it is, what came of it, or what went wrong.
        shown: the pictures.
        spread: the map of the standard deviation.
        files: to download.
        report: a page of HTML.
    """

    start: gr.Button
    cancel: gr.Button
    status: gr.HTML
    shown: gr.ImageSlider | gr.Image
    spread: gr.Image
    files: gr.File
    report: gr.HTML

    @property
    def outputs(self) -> list[gr.Component]:
        """What `follow` gives values for."""
        return [
            self.start, self.cancel, self.status, self.shown, self.spread, self.files, self.report,
        ]  # fmt: skip


def results(verb: str, *, slider: bool, title: str = "Restore") -> Results:
    """Buttons and results of a tab.

    Args:
        verb: names the elements.
        slider: whether input and result lie under a slider; otherwise the result alone is shown.
        title: of the button that starts.
    """
    with gr.Row():
        start = gr.Button(
            title, variant="primary", elem_id=f"{verb}-start", elem_classes="start-run"
        )
        cancel = gr.Button(
            "Cancel", interactive=False, elem_id=f"{verb}-cancel", elem_classes="cancel-run"
        )
    status = gr.HTML(IDLE, elem_id=f"{verb}-status", elem_classes="run-status")
    shown: gr.ImageSlider | gr.Image
    if slider:
        shown = gr.ImageSlider(
            type="filepath", label="Before and after", interactive=False, max_height=900,
            elem_id=f"{verb}-shown", buttons=["fullscreen"],
        )  # fmt: skip
    else:
        shown = gr.Image(
            type="filepath", label="Result", interactive=False, elem_id=f"{verb}-shown",
            buttons=["fullscreen"],
        )  # fmt: skip
    spread = gr.Image(
        type="filepath", label="Standard deviation of the samples", interactive=False,
        visible=False, elem_id=f"{verb}-spread", buttons=["fullscreen"],
    )  # fmt: skip
    files = gr.File(
        label="Download", file_count="multiple", interactive=False, elem_id=f"{verb}-files"
    )
    report = gr.HTML(visible=False, elem_id=f"{verb}-report", elem_classes="scan-report")
    return Results(start, cancel, status, shown, spread, files, report)


def follow(begin: Callable[[], Run[Outcome]], *, slider: bool) -> Iterator[list[Any]]:
    """Values for `Results.outputs`, as a run goes on.

    Args:
        begin: starts it.
        slider: as in `results`.
    """
    skip = gr.skip()
    start, cancel = gr.Button(interactive=False), gr.Button(interactive=True)
    ready, over = gr.Button(interactive=True), gr.Button(interactive=False)
    try:
        run = begin()
        try:
            for progress in run.events():
                yield [start, cancel, progress_html(progress), skip, skip, skip, skip]
        finally:
            # Where nobody listens any more, nobody wants the result.
            run.cancel()
        outcome = run.result()
    except Cancelled:
        yield [ready, over, CANCELLED, skip, skip, skip, skip]
    except InputError as error:
        yield [ready, over, failure_html(str(error)), skip, skip, skip, skip]
    else:
        yield [
            ready,
            over,
            outcome_html(outcome),
            tuple(map(str, outcome.shown)) if slider else str(outcome.shown[1]),
            gr.Image(str(outcome.spread), visible=True)
            if outcome.spread
            else gr.Image(None, visible=False),
            [str(file) for file in outcome.files],
            gr.HTML(outcome.report or "", visible=outcome.report is not None),
        ]


def wire_cancel(service: Service, cancel: gr.Button) -> None:
    """Let a button end the run of its visitor."""

    def stop(request: gr.Request) -> None:
        run = service.store.session(request.session_hash).run
        if run is not None:
            run.cancel()

    cancel.click(stop, None, None, queue=False, api_visibility="private", show_progress="hidden")
