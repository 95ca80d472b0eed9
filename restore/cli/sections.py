"""The help of a verb in sections, as plain text: rich doubles the time that help takes."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Sectioned(TyperCommand):
    """A command whose options are listed under the headings that `rich_help_panel` gives them."""

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
