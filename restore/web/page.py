"""The page: its tabs, its looks, and what happens when a visitor leaves."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

from restore.web.photo import VERBS, photo_tab
from restore.web.service import Service

TITLE = "restore"
HEAD = """# restore
What was measured is kept; what is missing is drawn from what pictures look like.
"""


def build_page(service: Service) -> gr.Blocks:
    """The page with all its tabs."""
    page: gr.Blocks = gr.Blocks(analytics_enabled=False, title=TITLE, fill_width=True)
    with page:
        gr.Markdown(HEAD)
        for verb in VERBS:
            with gr.Tab(verb.title, id=verb.name, elem_id=f"tab-{verb.name}", render_children=True):
                photo_tab(service, verb)

        def left(request: gr.Request) -> None:
            service.store.close(request.session_hash)

        page.unload(left)
    page.queue(max_size=4 * service.limits.waiting, api_open=False)
    return page


def asset(name: str) -> str:
    """A file of the page, as text."""
    return (files("restore.web") / name).read_text(encoding="utf-8")
