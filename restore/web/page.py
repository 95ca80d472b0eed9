"""The page: its tabs, its looks, and what happens when a visitor leaves."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

from restore.web.compare_tab import compare_tab
from restore.web.photo import photo_tab
from restore.web.photo_verbs import PHOTO_VERBS
from restore.web.scan_tabs import ct_tab, mri_tab
from restore.web.service import Service

TITLE = "restore"
HEAD = """# restore
What was measured is kept; what is missing is drawn from what pictures look like.
"""
# Of all events that wait, far more than runs may: a bound against a flood.
QUEUE = 200
OTHERS = {"Compare": compare_tab, "MRI": mri_tab, "CT": ct_tab}


def build_page(service: Service) -> gr.Blocks:
    """The page with all its tabs."""
    page: gr.Blocks = gr.Blocks(analytics_enabled=False, title=TITLE, fill_width=True)
    with page:
        gr.Markdown(HEAD)
        for verb in PHOTO_VERBS:
            with gr.Tab(verb.title, id=verb.name, elem_id=f"tab-{verb.name}", render_children=True):
                photo_tab(service, verb)
        for name, build in OTHERS.items():
            with gr.Tab(name, id=name.lower(), elem_id=f"tab-{name.lower()}", render_children=True):
                build(service)

        def left(request: gr.Request) -> None:
            service.store.close(request.session_hash)

        page.unload(left)
    page.queue(max_size=QUEUE, api_open=False)
    return page


def asset(name: str) -> str:
    """A file of the page, as text."""
    return (files("restore.web") / name).read_text(encoding="utf-8")
