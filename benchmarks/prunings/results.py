"""One result for each point, kept in one JSON file that several runs may share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ..results_file import add_document, read_documents
from .measuring import Result
from .methods import Cell

Results = Mapping[str, Result]


def read_results(file: Path) -> dict[str, Result]:
    """Return cell key -> result; empty without a file."""
    return {key: Result(**document) for key, document in read_documents(file).items()}


def keep_result(file: Path, cell: Cell, result: Result) -> dict[str, Result]:
    """Add one result to the file, and return all that are in it."""
    add_document(file, cell.key, asdict(result))
    return read_results(file)
