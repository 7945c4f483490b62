"""A JSON file of results by their keys: one is added after each, and several runs may share it."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

Documents = dict[str, dict[str, Any]]


def read_documents(file: Path) -> Documents:
    """Return key -> result; nothing when there is no file yet."""
    documents: Documents = json.loads(file.read_text()) if file.is_file() else {}
    return documents


def add_document(file: Path, key: str, document: dict[str, Any]) -> None:
    """Add one result to the file, with all that other runs have added meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        documents = {**read_documents(file), key: document}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(dict(sorted(documents.items())), indent=1))
        part.replace(file)
