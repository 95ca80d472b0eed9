"""The tabs for scans: upload, choose, reconstruct, look at magnitude, spread and report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from restore.mri.masks import KINDS
from restore.web.choices import AUTOMATIC, MOST_VIEWS, among, angles, center, numeric, whole
from restore.web.files import Session
from restore.web.running import (
    COMMON,
    PRIVATE,
    common_controls,
    follow,
    kept_file,
    results,
    said,
    session_of,
    shown_outcome,
    wire_cancel,
)
from restore.web.scanning import SCANS, open_scan, start_scanning
from restore.web.service import Service
from restore.web.status import IDLE, failure_html

MRI_HELP = (
    "k-space (fastMRI or ISMRMRD .h5, BART's .cfl with .hdr, .npy, .npz, .mat) to images. With an "
    "acceleration, samples of a whole scan are taken away, and the result is scored against it."
)
CT_HELP = (
    "A sinogram (DataExchange .h5, .npy, .npz, .mat, TIFF) to attenuation; or, simulated, a slice "
    "(DICOM, NIfTI) that is projected first. .dcm is written in HU."
)
MRI_KINDS = ("nii", "dcm", "npy", "h5", "png")
CT_KINDS = ("nii", "dcm", "npy", "tif", "png")


def mri_tab(service: Service) -> None:
    """Build the tab of MRI."""

    def controls(status: gr.HTML) -> Sequence[gr.Component]:
        with gr.Row():
            acceleration = gr.Number(
                0, minimum=0, label="Acceleration", info="0: the samples as they were measured",
                elem_id="mri-acceleration",
            )  # fmt: skip
            mask = gr.Dropdown([AUTOMATIC, *KINDS], value=AUTOMATIC, label="Pattern of samples")
        with gr.Accordion("File", open=False), gr.Row():
            slices = gr.Textbox("all", label="Slices", info="N, A:B or all", elem_id="mri-slice")
            key = gr.Textbox("", label="Name of the array", info="Where the file holds several")
            simulate = gr.Checkbox(False, label="The file is an image: simulate its scan")
            maps = kept_file(service, "Coil maps (else estimated)", "mri-maps", status)
        return acceleration, mask, slices, key, simulate, maps

    def own(
        session: Session,
        acceleration: float | None,
        mask: str,
        slices: str,
        key: str,
        simulate: bool,
        maps: str | None,
    ) -> dict[str, Any]:
        among("pattern", mask, [AUTOMATIC, *KINDS])
        return {
            "acceleration": numeric("acceleration", acceleration) or None,
            "mask": None if mask == AUTOMATIC else mask,
            "slice": slices.strip() or None,
            "key": key.strip() or None,
            "simulate": simulate or None,
            "maps": session.take(maps, "mri-maps") if maps else None,
        }

    _scan_tab(service, "mri", MRI_HELP, MRI_KINDS, controls, own)


def ct_tab(service: Service) -> None:
    """Build the tab of CT."""

    def controls(status: gr.HTML) -> Sequence[gr.Component]:
        with gr.Row():
            degrees = gr.Textbox(
                "", label="Angles", info="START:STOP:N in degrees; empty: the file's",
                elem_id="ct-angles",
            )  # fmt: skip
            views = gr.Number(
                0, precision=0, minimum=0, label="Views", info="0: all", elem_id="ct-views"
            )
            axis = gr.Textbox("", label="Axis", info="Detector index; empty: found")
            simulate = gr.Checkbox(
                False, label="The file is an image: simulate its scan", elem_id="ct-simulate"
            )
        with gr.Accordion("Fan beam, counts, file", open=False):
            with gr.Row():
                dso = gr.Number(None, label="Source to axis, mm")
                dsd = gr.Number(None, label="Source to detector, mm")
                spacing = gr.Number(None, label="Between detector cells, mm")
                photons = gr.Number(None, label="Photons of a free ray")
            with gr.Row():
                slices = gr.Textbox("all", label="Slices", info="N, A:B or all")
                key = gr.Textbox("", label="Name of the array", info="Where there are several")
                rings = gr.Checkbox(False, label="Remove rings")
            with gr.Row():
                flat = kept_file(service, "Counts without an object", "ct-flat", status)
                dark = kept_file(service, "Counts without rays", "ct-dark", status)
        return (
            degrees, views, axis, simulate, dso, dsd, spacing, photons, slices, key, rings, flat,
            dark,
        )  # fmt: skip

    def own(
        session: Session,
        degrees: str,
        views: float | None,
        axis: str,
        simulate: bool,
        dso: float | None,
        dsd: float | None,
        spacing: float | None,
        photons: float | None,
        slices: str,
        key: str,
        rings: bool,
        flat: str | None,
        dark: str | None,
    ) -> dict[str, Any]:
        return {
            "angles": angles(degrees),
            "views": whole("views", views, MOST_VIEWS) or None,
            "center": center(axis),
            "simulate": simulate or None,
            "dso": numeric("source to axis", dso),
            "dsd": numeric("source to detector", dsd),
            "det_spacing": numeric("between detector cells", spacing),
            "photons": numeric("photons", photons),
            "slice": slices.strip() or None,
            "key": key.strip() or None,
            "rings": rings or None,
            "flat": session.take(flat, "ct-flat") if flat else None,
            "dark": session.take(dark, "ct-dark") if dark else None,
        }

    _scan_tab(service, "ct", CT_HELP, CT_KINDS, controls, own)


def _scan_tab(
    service: Service,
    verb: str,
    help_: str,
    kinds: Sequence[str],
    controls: Callable[[gr.HTML], Sequence[gr.Component]],
    own: Callable[..., dict[str, Any]],
) -> None:
    gr.Markdown(help_)
    scan = gr.File(
        label="Scan", type="filepath", file_count="multiple", elem_id=f"{verb}-scan", height=120
    )
    told = gr.HTML("", elem_classes="told")
    chosen = controls(told)
    common = common_controls(service, verb, SCANS[verb].classical, channels=1)
    ext = gr.Radio(list(kinds), value=kinds[0], label="Kind of file", elem_id=f"{verb}-ext")
    shown = results(verb, slider=False, title="Reconstruct")

    def opened(request: gr.Request, uploads: list[str]) -> list[Any]:
        try:
            taken = open_scan(session_of(service, request), uploads, verb)
        except Exception as error:  # whatever the files are, the page goes on
            return [None, failure_html(said(service, error))]
        return [[str(path) for path in taken], IDLE]

    def reconstruct(
        request: gr.Request, files: list[str] | None, ext: str, *values: Any
    ) -> Iterator[list[Any]]:
        session = session_of(service, request)
        yield from follow(
            service, lambda: start_scanning(
                service, session, verb, open_scan(session, files or [], verb)[0],
                dict(zip(COMMON, values, strict=False)),
                own(session, *values[len(COMMON) :]), ext,
            ),
            partial(shown_outcome, slider=False),
        )  # fmt: skip

    scan.upload(opened, scan, [scan, shown.status], **PRIVATE)
    shown.start.click(
        reconstruct, [scan, ext, *common, *chosen], shown.outputs, concurrency_limit=None,
        **PRIVATE,
    )  # fmt: skip
    wire_cancel(service, shown.cancel)
