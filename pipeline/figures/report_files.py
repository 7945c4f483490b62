"""Reports in files: read, and every value of them checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import ReportError, RockpressError
from ...core.results.report import Report
from ...core.text_files import BrokenText, UnreadableFile, read_json
from ...core.validation import Malformed
from ...report.documents.document import SCHEMA
from ...report.documents.report_reader import read_report

_AGAIN = "make it again with this rockpress"


def read_report_file(file: Path, hint: str) -> Report:
    """Return the report of one model. Raises ReportError; ``hint`` says where one comes from."""
    document = _document(file, hint)
    if "targets" not in document:
        raise ReportError(f"{file}: not a report of rockpress: it has no targets", hint)
    return _report(document, str(file), hint)


def read_report_files(file: Path, hint: str) -> dict[str, Report | RockpressError]:
    """Return the reports of a file by the names of their models, "" where it is of one.

    A model that failed has the error. Raises ReportError for what is no report.
    """
    document = _document(file, hint)
    models = document.get("models")
    if "targets" in document or not isinstance(models, dict):
        return {"": read_report_file(file, hint)}
    return {name: _of_model(model, f"{file}: {name}", hint) for name, model in models.items()}


def _of_model(document: Any, place: str, hint: str) -> Report | RockpressError:
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return RockpressError(error["message"], str(error.get("hint") or ""))
    if not isinstance(document, dict) or "targets" not in document:
        raise ReportError(f"{place}: not a report of rockpress: it has no targets", hint)
    return _report(document, place, hint)


def _document(file: Path, hint: str) -> dict[str, Any]:
    try:
        document = read_json(file, strict=True)
    except BrokenText as error:
        raise ReportError(f"{file}: not a report: {error}", hint) from error
    except UnreadableFile as error:
        raise ReportError(f"{file}: cannot be read: {error}", hint) from error
    if not isinstance(document, dict) or "schema" not in document:
        raise ReportError(f"{file}: not a report of rockpress: it has no schema", hint)
    if document["schema"] != SCHEMA:
        raise ReportError(
            f"{file}: a report of schema {json.dumps(document['schema'])[:20]}, this rockpress "
            f"reads {SCHEMA}",
            _AGAIN,
        )
    return document


def _report(document: Mapping[str, Any], place: str, hint: str) -> Report:
    try:
        return read_report(document)
    except Malformed as error:
        raise ReportError(f"{place}: not a report of rockpress: {error}", hint) from error
