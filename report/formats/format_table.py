"""The formats of a report's file: its suffix says which."""

from __future__ import annotations

from collections.abc import Callable

from ...core.results import Report
from ..html.page import to_html
from .document import to_json
from .junit import to_junit
from .markdown import to_markdown

FORMATS: dict[str, Callable[[Report], str]] = {
    ".json": to_json,
    ".md": to_markdown,
    ".html": to_html,
    ".xml": to_junit,
}


def rendered(report: Report, suffix: str) -> str:
    """The text of a report file with this suffix, whatever its case.

    >>> rendered(Report({}, {}, {}, ()), ".MD").splitlines()[0]
    '# rockpress: pass, but no gate was set'
    """
    return FORMATS[suffix.lower()](report)
