"""The formats of the file of a search, by suffix."""

from __future__ import annotations

from ...core.results.tune_report import TuneReport
from ..documents.tune_document import tune_text
from .tune_junit import tune_junit
from .tune_markdown import tune_markdown
from .tune_page import tune_page

_FORMATS = {".html": tune_page, ".json": tune_text, ".md": tune_markdown, ".xml": tune_junit}


def rendered_tune(report: TuneReport, suffix: str) -> str:
    """Return the text of a file with this suffix. Raises KeyError for one that has no format."""
    return _FORMATS[suffix.lower()](report)
