"""A comparison as Markdown, for a job summary or a pull request."""

from __future__ import annotations

from ..formats.md import escaped, markdown_table
from .compared_result import SideBySide
from .comparison_text import (
    SHOWN_LAYERS,
    against_lines,
    comparison_lines,
    comparison_tables,
    front_lines,
    layer_table,
    layer_title,
)


def comparison_markdown(found: SideBySide) -> str:
    """Return the table of the results, what each is against the first, and the layers."""
    (table,) = comparison_tables(found)
    lines = [*comparison_lines(found), *against_lines(found), *front_lines(found)]
    parts = [
        f"# rockpress: {len(found.results)} results",
        markdown_table(table.headings, table.rows),
        "\n".join(f"- {escaped(line)}" for line in lines),
    ]
    if layers := layer_table(found, SHOWN_LAYERS):
        parts += [f"## {escaped(layer_title(found))}", markdown_table(layers.headings, layers.rows)]
    if found.warnings:
        texts = (
            f"- `{each.code}`: {escaped(each.text)}. {escaped(each.hint)}"
            for each in found.warnings
        )
        parts.append("\n".join(texts))
    return "\n\n".join(filter(None, parts)) + "\n"
