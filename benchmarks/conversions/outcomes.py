"""The file of outcomes: one is added after each conversion."""

from __future__ import annotations

import fcntl
import json
import sys
from pathlib import Path

from .measure import Case, Outcome, outcome_document


def read_outcomes(file: Path) -> dict[str, Outcome]:
    """Return the key of a case -> its outcome; nothing when there is no file yet."""
    documents = json.loads(file.read_text()) if file.is_file() else {}
    return {key: Outcome(**document) for key, document in documents.items()}


def add_outcome(file: Path, case: Case, outcome: Outcome) -> dict[str, Outcome]:
    """Add one result to the file; several runs may share it, each with its own models."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = {**read_outcomes(file), case.key: outcome}
        documents = {key: outcome_document(result) for key, result in sorted(results.items())}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(documents, indent=1))
        part.replace(file)
    return results


def print_outcome(case: Case, outcome: Outcome) -> None:
    """Print one line on stderr."""
    exact = "" if outcome.sqnr_db is None else f", {outcome.sqnr_db:.1f} dB"
    text = f"{case.key}: {outcome.status}, {outcome.seconds:.0f} s{exact} {outcome.error[-160:]}"
    print(" ".join(text.split()), file=sys.stderr, flush=True)
