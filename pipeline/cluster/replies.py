"""What workers answer, as plain values that are looked at before they are believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.validation import require, validated
from ..search.points import Failure, Measure, Outcome
from .bundle import is_inside

_MOST_FILES = 10_000
_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Versions:
    """What has to be the same everywhere; in place of the toolkit's why there is none."""

    rockpress: str
    toolkit: str


@dataclass(frozen=True)
class WorkerEnvironment(Versions):
    """What a worker says of itself, with its machine's name."""

    host: str
    has_torch: bool = False

    def fits(self, versions: Versions) -> bool:
        """Return whether a worker can stand for the machine with these."""
        return (self.rockpress, self.toolkit) == (versions.rockpress, versions.toolkit)


@dataclass(frozen=True)
class TrialReply:
    """What became of a trial in a worker: bundles that are ``lacking``, or what was measured.

    Neither where the ``environment`` does not fit. ``store`` tells the machines' stores of bundles
    apart.
    """

    worker: str
    store: str
    environment: WorkerEnvironment
    lacking: tuple[str, ...] = ()
    measure: Measure | None = None
    failure: str = ""

    @property
    def outcome(self) -> Outcome:
        """Return what was measured, or why nothing was."""
        return self.measure or Failure(self.failure[:_LONGEST_REASON])


def read_environment(document: object) -> WorkerEnvironment:
    """Return what a worker said of itself. Raises Malformed."""
    require(isinstance(document, Mapping), "it", document, "a table")
    return validated(WorkerEnvironment, document)


def read_reply(answer: object, needs: Versions) -> tuple[TrialReply, Mapping[str, bytes]]:
    """Return what a worker says of a trial, and the files that came with it. Raises Malformed."""
    pair = answer if isinstance(answer, (tuple, list)) and len(answer) == 2 else (None, None)
    document, files = pair
    require(isinstance(document, Mapping), "reply", type(document).__name__, "a table")
    reply = validated(TrialReply, document)
    said = [bool(reply.lacking), reply.measure is not None, bool(reply.failure)]
    expected = 1 if reply.environment.fits(needs) else 0
    require(sum(said) == expected, "reply", document, "one of lacking, measure and failure")
    if reply.measure is not None:
        _require_measure(reply.measure)
    return reply, _read_files(files)


def _require_measure(measure: Measure) -> None:
    require(measure.cost > 0, "cost", measure.cost, "a number above 0")
    in_order = measure.retention is not None and measure.low <= measure.retention <= measure.high
    shown = [measure.low, measure.retention, measure.high]
    require(in_order, "retention", shown, "between its bounds")


def _read_files(files: Any) -> Mapping[str, bytes]:
    require(isinstance(files, Mapping), "files", type(files).__name__, "a table")
    require(len(files) <= _MOST_FILES, "files", len(files), f"at most {_MOST_FILES}")
    for path, content in files.items():
        require(isinstance(path, str) and is_inside(path), "path", path, "one within the folder")
        require(isinstance(content, bytes), str(path), type(content).__name__, "bytes")
    return dict(files)
