"""The file of outcomes, and what is printed of one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from ..results_file import add_document, read_documents
from .measure import Case, Outcome


def read_outcomes(file: Path) -> dict[str, Outcome]:
    """Return the key of a case -> its outcome; nothing when there is no file yet."""
    return {key: Outcome(**document) for key, document in read_documents(file).items()}


def add_outcome(file: Path, case: Case, outcome: Outcome) -> dict[str, Outcome]:
    """Add one result to the file; several runs may share it, each with its own models."""
    add_document(file, case.key, asdict(outcome))
    return read_outcomes(file)


def print_outcome(case: Case, outcome: Outcome) -> None:
    """Print one line on stderr."""
    exact = "" if outcome.sqnr_db is None else f", {outcome.sqnr_db:.1f} dB"
    text = f"{case.key}: {outcome.status}, {outcome.seconds:.0f} s{exact} {outcome.error[-160:]}"
    print(" ".join(text.split()), file=sys.stderr, flush=True)
