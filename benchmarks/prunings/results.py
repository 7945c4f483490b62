"""One result for each point, kept in one JSON file that several runs may share."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .measuring import Result
from .methods import Cell

Results = Mapping[str, Result]


def read_results(file: Path) -> dict[str, Result]:
    """Return cell key -> result; empty without a file."""
    documents = json.loads(file.read_text()) if file.is_file() else {}
    return {key: Result(**document) for key, document in documents.items()}


def keep_result(file: Path, cell: Cell, result: Result) -> dict[str, Result]:
    """Add one result to the file, and return all that are in it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = {**read_results(file), cell.key: result}
        documents = {key: asdict(result) for key, result in sorted(results.items())}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(documents, indent=1))
        part.replace(file)
    return results
