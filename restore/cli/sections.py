"""Commands with their help in sections, as plain text: rich doubles the time that help takes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperCommand

from restore.cli.console import USAGE_ERROR, print_error

# Options whose text may be empty.
_TEXTS = ("--suffix", "--name", "--domain", "--training-data", "--licence", "--password")


class Sectioned(TyperCommand):
    """A command whose options are listed under the headings that `rich_help_panel` gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an empty argument, as of a variable without a value.

        As a path it would be the folder that one is in.
        """
        for before, argument in pairwise(["", *args]):
            long = argument.startswith("--") and "=" in argument
            option, value = argument.split("=", 1) if long else (before, argument)
            if not value and option not in _TEXTS:
                print_error(f"an empty argument{option and f' after {option}'}, expected a value")
                raise typer.Exit(USAGE_ERROR)
        return super().parse_args(ctx, args)

    # Typer has classes of its own for the two, or those of click, by its version.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, the options without a heading, and then those of each heading."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            heading = getattr(parameter, "rich_help_panel", None) or kind
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def examples(*lines: str) -> str:
    """The end of a help text; after the backspace nothing is wrapped: a command stays one line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
