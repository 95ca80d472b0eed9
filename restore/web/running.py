"""What every tab has: the choices, the buttons, the progress, and the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import gradio as gr

from restore.errors import InputError
from restore.web.choices import (
    AUTOMATIC,
    MOST_SAMPLES,
    MOST_STEPS,
    PRESETS,
    method_names,
    model_names,
)
from restore.web.files import Session
from restore.web.log import log_failure
from restore.web.outcome import Outcome
from restore.web.run import Cancelled, Run
from restore.web.service import Service
from restore.web.status import CANCELLED, IDLE, failure_html, outcome_html, progress_html

T = TypeVar("T")
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Of every event: it is no endpoint for programs, and the page shows its progress itself."""
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
            0, precision=0, minimum=0, maximum=MOST_SAMPLES, label="Samples",
            elem_id=f"{verb}-samples",
            info="0: one best estimate. From 2 on, with the map of their spread",
        )  # fmt: skip
    with gr.Accordion("Method, model, noise", open=False), gr.Row():
        method = gr.Dropdown(
            method_names(verb, classical), value=AUTOMATIC, label="Method", elem_id=f"{verb}-method"
        )
        model = gr.Dropdown(model_names(service, channels), value=AUTOMATIC, label="Model")
        steps = gr.Number(
            0, precision=0, minimum=0, maximum=MOST_STEPS, label="Steps",
            elem_id=f"{verb}-steps", info="0: the method's own",
        )  # fmt: skip
        sigma = gr.Textbox(
            "", label="Noise", info="Standard deviation, or auto", elem_id=f"{verb}-sigma"
        )
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


def results(verb: str, *, slider: bool, title: str = "Restore", picture: bool = True) -> Results:
    """Buttons and results of a tab.

    Args:
        verb: names the elements.
        slider: whether input and result lie under a slider; otherwise the result alone is shown.
        title: of the button that starts.
        picture: whether there is a single result to show.
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
            elem_classes="scan-image", visible=picture, buttons=["fullscreen"],
        )  # fmt: skip
    spread = gr.Image(
        type="filepath", label="Standard deviation of the samples", interactive=False,
        visible=False, elem_id=f"{verb}-spread", elem_classes="scan-image", buttons=["fullscreen"],
    )  # fmt: skip
    report = gr.HTML(visible=False, elem_id=f"{verb}-report", elem_classes="scan-report")
    files = gr.File(
        label="Download", file_count="multiple", interactive=False, elem_id=f"{verb}-files"
    )
    return Results(start, cancel, status, shown, spread, files, report)


def follow(
    service: Service, begin: Callable[[], Run[T]], show: Callable[[T], Sequence[Any]]
) -> Iterator[list[Any]]:
    """Values for `Results.outputs`, as a run goes on.

    Args:
        service: the server.
        begin: starts it.
        show: from what it gave to values for the outputs from the status on.
    """
    kept = [gr.skip()] * 4
    try:
        run = begin()
        try:
            for progress in run.events():
                buttons = [gr.Button(interactive=False), gr.Button(interactive=True)]
                yield [*buttons, progress_html(progress), *kept]
        finally:
            # Where nobody listens any more, nobody wants the result.
            run.cancel()
        values = show(run.result())
    except Cancelled:
        values = [CANCELLED, *kept]
    except Exception as error:  # a message instead of a bar that never ends
        values = [failure_html(said(service, error)), *kept]
    yield [gr.Button(interactive=True), gr.Button(interactive=False), *values]


def shown_outcome(outcome: Outcome, *, slider: bool) -> list[Any]:
    """What `follow` shows of an outcome.

    Args:
        outcome: what a run gave.
        slider: as in `results`.
    """
    before, after = outcome.shown
    spread = str(outcome.spread) if outcome.spread else None
    return [
        outcome_html(outcome),
        (str(before), str(after)) if slider else str(after),
        gr.Image(spread, visible=spread is not None),
        [str(file) for file in outcome.files],
        gr.HTML(framed(outcome.report), visible=outcome.report is not None),
    ]


def framed(page: str | None) -> str:
    """A page of HTML within the page, which it cannot reach."""
    if page is None:
        return ""
    return f'<iframe sandbox="allow-scripts allow-downloads" srcdoc="{escape(page)}"></iframe>'


def kept_file(service: Service, label: str, purpose: str, status: gr.HTML) -> gr.File:
    """A file that a visitor may give besides, kept in the session when it is uploaded."""
    file = gr.File(label=label, type="filepath", elem_id=purpose, height=120)

    def keep(request: gr.Request, upload: str) -> list[Any]:
        try:
            return [str(session_of(service, request).take(upload, purpose)), IDLE]
        except InputError as error:
            return [None, failure_html(said(service, error))]

    file.upload(keep, file, [file, status], **PRIVATE)
    return file


def session_of(service: Service, request: gr.Request) -> Session:
    """The session of the page that asks."""
    return service.store.session(request.session_hash)


def said(service: Service, error: Exception) -> str:
    """What a visitor reads of an error."""
    if isinstance(error, InputError):
        return service.store.without_paths(str(error))
    log_failure(error)
    return f"something went wrong inside ({type(error).__name__}); the log of the server says where"


def wire_cancel(service: Service, cancel: gr.Button) -> None:
    """Let a button end the run of its visitor."""

    def stop(request: gr.Request) -> None:
        run = session_of(service, request).run
        if run is not None:
            run.cancel()

    cancel.click(stop, None, None, queue=False, **PRIVATE)
