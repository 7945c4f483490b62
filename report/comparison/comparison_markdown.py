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


def comparison_markdown(comparison: SideBySide) -> str:
    """Return the table of the results, what each is against the first, and the layers."""
    (table,) = comparison_tables(comparison)
    lines = [*comparison_lines(comparison), *against_lines(comparison), *front_lines(comparison)]
    parts = [
        f"# rockpress: {len(comparison.results)} results",
        markdown_table(table.headings, table.rows),
        "\n".join(f"- {escaped(line)}" for line in lines),
    ]
    if layers := layer_table(comparison, SHOWN_LAYERS):
        parts += [
            f"## {escaped(layer_title(comparison))}",
            markdown_table(layers.headings, layers.rows),
        ]
    if comparison.warnings:
        texts = (
            f"- `{each.code}`: {escaped(each.text)}. {escaped(each.hint)}"
            for each in comparison.warnings
        )
        parts.append("\n".join(texts))
    return "\n\n".join(filter(None, parts)) + "\n"
