"""Files that end in .json: the report as one versioned document."""

from __future__ import annotations

from ...core.results.report import Report
from ..documents.document import to_json


def render(report: Report) -> str:
    """Return the document as indented JSON with a final newline."""
    return to_json(report)
