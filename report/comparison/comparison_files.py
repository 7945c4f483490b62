"""The formats of a comparison's file, by suffix."""

from __future__ import annotations

from ..documents.document import json_text, plain
from .compared_result import SCHEMA, SideBySide
from .comparison_markdown import comparison_markdown
from .comparison_page import comparison_page


def comparison_document(comparison: SideBySide) -> dict[str, object]:
    """Return a comparison as plain values, the schema's version first."""
    return {"schema": SCHEMA, **plain(comparison)}


def rendered_comparison(comparison: SideBySide, suffix: str) -> str:
    """Return the text of a file with this suffix. Raises KeyError for one that has no format."""
    formats = {
        ".html": comparison_page,
        ".json": lambda comparison: json_text(comparison_document(comparison)),
        ".md": comparison_markdown,
    }
    return formats[suffix.lower()](comparison)
