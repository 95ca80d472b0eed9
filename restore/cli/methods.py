"""`restore methods`: the registry as a table."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from restore.cli.console import run_command


def methods(
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
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
                "models_noise": method.models_noise,
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
                f"{_noise_of(row)}; {kind}; {serves}"
            )
        return 0

    run_command(body)


def _noise_of(row: dict[str, Any]) -> str:
    if not row["noise"]:
        return "without noise only"
    if not row["models_noise"]:
        return "noise is not modelled"
    return "with or without noise" if row["noiseless"] else "with noise only"
