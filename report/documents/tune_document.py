"""A search for trade-offs as one versioned JSON document."""

from __future__ import annotations

from typing import Any

from ...core.results.tune_report import TuneReport
from .document import json_text, plain

SCHEMA = 1


def tune_document(report: TuneReport) -> dict[str, Any]:
    """Return a search as plain values."""
    parts: dict[str, Any] = plain(report)
    return {"schema": SCHEMA, **parts}


def tune_text(report: TuneReport) -> str:
    """Return the document as indented JSON with a final newline."""
    return json_text(tune_document(report))
