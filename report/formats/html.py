"""Files that end in .html: the report as one page to look at."""

from __future__ import annotations

from ...core.results.report import Report
from ..html.page import to_html


def render(report: Report) -> str:
    """Return the page with a final newline."""
    return to_html(report)
