"""`restore serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from restore.cli.console import run_command
from restore.errors import InputError

MEGABYTE = 2**20


def serve(
    host: Annotated[
        str,
        typer.Option(help="Address to listen at. Beyond this machine a password is required."),
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="[default: the first free one from 7860]")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="RESTORE_PASSWORD",
            show_envvar=True,
            help="What visitors must enter; prompted for if required and not given.",
        ),
    ] = None,
    max_upload: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="Largest file, in megabytes.", metavar="MB")
    ] = 50.0,
    max_megapixels: Annotated[
        float,
        typer.Option(
            min=0.001, max=1e6, help="Largest result, its samples counted, in millions of pixels."
        ),
    ] = 25.0,
    max_waiting: Annotated[
        int, typer.Option(min=0, max=32, help="Most runs that may wait in the queue.")
    ] = 16,
    model: Annotated[
        list[str] | None,
        typer.Option("-n", "--model", help="Offer this model too; repeat for more."),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N|mps", help="Where the network runs.")
    ] = "auto",
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Log errors in full; they may name visitors' files."),
    ] = False,
) -> None:
    """Restore in a browser.

    Serves a page, to this machine alone unless --host says otherwise, with the engine of the other
    verbs: the same mask, seed and settings give the same files. It connects to nowhere, runs one
    restoration at a time, and deletes what visitors upload and make when they leave. Ctrl-C ends
    it.
    """

    def body() -> int:
        import logging

        try:
            from restore.web.server import LOOPBACK, Serving
            from restore.web.server import serve as serve_page
            from restore.web.service import Limits
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in ("gradio", "fastapi", "uvicorn"):
                raise
            raise InputError(
                "restore serve: gradio is not installed; expected it, as with "
                '`pip install ".[web]"` in a clone'
            ) from error
        from restore.prior.models import find_model
        from restore.tasks.device import choose_device

        logging.basicConfig(format="%(message)s")
        logging.getLogger("restore.web").setLevel(logging.DEBUG if debug else logging.ERROR)
        choose_device(device)
        for path in model or []:
            find_model(path)
        given = password
        if host not in LOOPBACK and not given and sys.stdin.isatty():
            given = typer.prompt("Password for visitors", hide_input=True, confirmation_prompt=True)

        def started(address: str) -> None:
            typer.echo(f"{address}  (Ctrl-C to end)")
            if open_:
                typer.launch(address)

        serving = Serving(
            host=host,
            port=port,
            password=given or None,
            limits=Limits(round(max_upload * MEGABYTE), round(max_megapixels * 1e6), max_waiting),
            device=device,
            models=tuple(model or ()),
        )
        serve_page(serving, started)
        return 0

    run_command(body, debug=debug)
