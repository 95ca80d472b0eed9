"""`restore methods`: the registry as a table."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from restore.cli.console import run_command

NOISE = {
    (True, True): "with or without noise",
    (True, False): "with noise only",
    (False, True): "without noise only",
}


def methods(
    json_lines: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """List the restoration methods.

    For each: what it needs of the operator and the model, whether it takes measurements with noise
    and without, whether it draws samples or gives one estimate, and which verbs it serves.
    """

    def body() -> int:
        from restore.methods.registry import methods as registry

        rows: list[dict[str, Any]] = [
            {
                "name": method.name,
                "title": method.title,
                "reference": method.reference,
                "needs": list(method.needs),
                "noise": method.noise,
                "noiseless": method.noiseless,
                "samples": method.samples,
                "tasks": list(method.tasks),
            }
            for method in registry().values()
        ]
        if json_lines:
            for row in rows:
                typer.echo(json.dumps(row))
            return 0
        for row in rows:
            kind = "samples" if row["samples"] else "one estimate"
            serves = ", ".join(row["tasks"])
            typer.echo(f"{row['name']:16}{row['title']} ({row['reference']})")
            typer.echo(
                f"{'':16}needs {', '.join(row['needs']) or 'nothing'}; "
                f"{NOISE[row['noise'], row['noiseless']]}; {kind}; {serves}"
            )
        return 0

    run_command(body)
