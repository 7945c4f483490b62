"""Runs appended to a record of timed runs; what else stands in it stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...core.errors import ReportError
from ...core.files import alone_in, write_text
from ...core.text_files import read_json
from ...core.validation import Malformed
from .timed_runs import SCHEMA, TimedRun, checked_record, read_record


def append_runs(path: Path, runs: Sequence[TimedRun]) -> None:
    """Append runs to a record, which is made when it is missing; whole or not at all.

    Two that append at once do so one after the other. Raises ReportError for a file that is no
    record, and for runs that none can hold; OutputError for one that cannot be written.
    """
    with alone_in(path.parent):
        document = _document(path)
        document["runs"] += [asdict(run) for run in runs]
        try:
            checked_record(document)
        except Malformed as error:
            text = f"{path}: what was measured cannot be kept: {error}"
            raise ReportError(text, "measure it again") from error
        write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"schema": SCHEMA, "runs": []}
    read_record(path)  # raises for what is none; keys that it does not know are to stay
    document = read_json(path)
    assert isinstance(document, dict)
    return document
