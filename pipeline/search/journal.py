"""What a search has measured so far, a line a rung of a point, in a file that only grows.

One process writes it, see sole_search.py. A line holds its own checksum: one that a crash or a
full disk has cut is dropped, and what it held is measured again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...core.diagnostics import option
from ...core.errors import OutputError, ReportError
from ...core.text_files import read_whole
from ...core.validation import Malformed, require, validated
from .points import Failure, Measure, Outcome, Point

SCHEMA = 1
_MAX_BYTES = 256 * 2**20
_NO_OPTION = "the "  # as in "the model"
_HINT = "give another output folder, or remove the file to begin again"


@dataclass(frozen=True)
class _Entry:
    """A line of the file: what a rung of a point gave."""

    point: str
    rung: int
    measure: Measure | None = None
    failure: str = ""


@dataclass
class Journal:
    """The file of a search, read at its beginning and added to; ``search`` tells it from others.

    ``search`` is a digest of all that decides what a trial gives, ``parts`` are those of its parts,
    by the names of options and such as "the model". Raises ReportError for a file of another search
    and OutputError where it cannot be written.
    """

    path: Path
    search: str
    parts: Mapping[str, str] = field(default_factory=dict)
    _outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        content = self._content()
        end = content.rfind(b"\n") + 1
        header = _line({"schema": SCHEMA, "search": self.search, "parts": self.parts})
        if not end and header.startswith(content):  # nothing yet, or cut in its very first line
            self._write(header, at=0)
            return
        first, *lines = content[:end].split(b"\n")[:-1] or [b""]
        self._require_own(_document(first))
        for line in lines:
            self._take(_document(line))
        self._write(b"", at=end)

    def _content(self) -> bytes:
        if not self.path.exists():
            return b""
        try:
            return read_whole(self.path, _MAX_BYTES)
        except OSError as error:
            raise ReportError(f"{self.path}: cannot be read: {error.strerror}", _HINT) from error

    def outcome(self, point: Point, rung: int) -> Outcome | None:
        """Return what a rung of a point gave, None where it was not measured yet."""
        return self._outcomes.get((point.digest, rung))

    def add(self, point: Point, rung: int, outcome: Outcome) -> None:
        """Write what a rung of a point gave; it is on the disk when this returns.

        A failure for want of a package is kept for this search alone: the next may have it.
        """
        measure = outcome if isinstance(outcome, Measure) else None
        failure = outcome.reason if isinstance(outcome, Failure) else ""
        entry = _Entry(point.digest, rung, measure, failure)
        if not isinstance(outcome, Failure) or outcome.is_final:
            self._write(_line(asdict(entry)))
        self._keep(entry)

    def _keep(self, entry: _Entry) -> None:
        self._outcomes[entry.point, entry.rung] = entry.measure or Failure(entry.failure)

    def _take(self, document: Any) -> None:
        if document is None:  # cut or damaged: it is measured again
            return
        try:
            entry = validated(_Entry, document)
            is_either = (entry.measure is None) == bool(entry.failure)
            require(is_either, "measure", entry.measure, "either a measure or a failure")
        except Malformed as error:
            raise ReportError(f"{self.path}: not a file of trials: {error}", _HINT) from error
        self._keep(entry)

    def _require_own(self, header: Any) -> None:
        if not isinstance(header, Mapping) or header.get("schema") != SCHEMA:
            raise ReportError(f"{self.path}: not a file of trials of this version", _HINT)
        if header.get("search") != self.search:
            raise ReportError(
                f"{self.path}: holds the trials of another search"
                f"{self._different(header.get('parts'))}",
                _HINT,
            )

    def _different(self, parts: Any) -> str:
        """Return what the search with these ``parts`` has otherwise, "" where it does not say."""
        if not isinstance(parts, Mapping):
            return ""
        names = [name for name, digest in self.parts.items() if parts.get(name) != digest]
        texts = [name if name.startswith(_NO_OPTION) else option(name) for name in names]
        verb = "differs" if len(texts) == 1 else "differ"
        return f": {' and '.join(texts)} {verb}" if texts else ""

    def _write(self, content: bytes, at: int | None = None) -> None:
        """Add to the file, where ``at`` is given after cutting it there; then it is on the disk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if at is not None:
                    file.truncate(at)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror or error}",
                "give a folder that can be written to",
            ) from error


def _line(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _document(line: bytes) -> Any:
    """Return what a line holds, None where that is not what was written."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
