"""`restore methods`: the registry as a table."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from restore.cli.console import run_command


def methods(
    json_lines: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List the restoration methods.

    A row says what a method needs of the operator, whether it takes noise, and what it serves.
    """

    def body() -> int:
        from restore.methods.registry import methods as registry

        rows = [
            {
                "name": method.name,
                "title": method.title,
                "reference": method.reference,
                "needs": list(method.needs),
                "noise": method.noise,
                "samples": method.samples,
                "tasks": list(method.tasks),
            }
            for method in registry().values()
        ]
        if json_lines:
            for row in rows:
                typer.echo(json.dumps(row))
            return 0
        from rich.console import Console
        from rich.table import Table

        table = Table("name", "title", "needs", "noise", "samples", "tasks", "reference")
        for method in registry().values():
            table.add_row(
                method.name,
                method.title,
                ", ".join(method.needs),
                "yes" if method.noise else "no",
                "yes" if method.samples else "no",
                ", ".join(method.tasks),
                method.reference,
            )
        Console().print(table)
        return 0

    run_command(body)
