"""The record of timed runs: what models took on boards, in one JSON file, read and checked.

It is what sets the scale of an estimate, and has room for all that a later fit would need.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import prod
from pathlib import Path
from statistics import median
from typing import Literal

from ...core.errors import ReportError
from ...core.text_files import BrokenText, UnreadableFile, read_json
from ...core.validation import Malformed, require, validated
from ..chips.compiler_log import Layer

SCHEMA = 1
_LARGEST = 1 << 40  # of any number in a layer table; so that products of them are finite
_AXES = 16  # of a shape
_SHORTEST, _LONGEST = 1e-6, 1e9  # milliseconds
_FASTEST = 1e6  # MHz
_SHA256 = re.compile("[0-9a-f]{64}")
_HINT = "docs/measured.md says what such a file holds"


@dataclass(frozen=True)
class TimedModel:
    """The model that ran: ``digest`` is the sha256 of its .rknn.

    ``file`` is the path of that from the record's folder, where it lies there.
    """

    name: str
    digest: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class MedianTime:
    """The median of ``n`` times in ms, where the single ones were not kept."""

    median: float
    n: int


@dataclass(frozen=True)
class Clocks:
    """The clocks meanwhile in MHz; None where that is not known."""

    npu: float | None = None
    ddr: float | None = None
    cpu: float | None = None


@dataclass(frozen=True)
class TimedLayer:
    """A layer as the runtime timed it alone, in microseconds."""

    name: str
    op: str
    us: float


@dataclass(frozen=True)
class TimedRun:
    """One model timed in one setting.

    ``measured`` is "npu" (rknn_run alone) or "application" (with the conversion of inputs and
    outputs). ``ms`` is the time of one inference, as single times or their median, with so many
    ``contexts`` at work at once, each on so many ``cores``. ``table`` is the compiler's layer table
    as the manifest has it, from which the model is estimated without its .rknn.
    """

    model: TimedModel
    chip: str
    measured: Literal["npu", "application"]
    ms: tuple[float, ...] | MedianTime
    contexts: int = 1
    cores: int = 1
    clocks: Clocks = Clocks()
    runtime: str | None = None
    driver: str | None = None
    toolkit: str | None = None
    date: str | None = None
    layers: tuple[TimedLayer, ...] = ()
    table: tuple[Layer, ...] = ()

    @property
    def median_ms(self) -> float:
        """Return the median of the times."""
        return self.ms.median if isinstance(self.ms, MedianTime) else median(self.ms)

    @property
    def is_npu_alone(self) -> bool:
        """Whether it is what the NPU estimate is of: one context on one core, nothing else."""
        return self.measured == "npu" and self.contexts == self.cores == 1


@dataclass(frozen=True)
class RunRecord:
    """All runs of a file, in its order."""

    runs: tuple[TimedRun, ...]
    schema: int = field(default=SCHEMA)


def read_record(path: Path) -> RunRecord:
    """Read a record; keys that are not known are left out.

    Raises ReportError, naming the place and the value, for a file that is none, that is too large
    or of a later schema.
    """
    document = _document(path)
    try:
        return checked_record(document)
    except Malformed as error:
        raise ReportError(f"{path}: not a record of timed runs: {error}", _HINT) from error


def checked_record(document: object) -> RunRecord:
    """Return a document as a record. Raises Malformed for the first value that cannot be."""
    _require_schema(document)
    record = validated(RunRecord, document)
    for index, run in enumerate(record.runs):
        _require_possible(run, f"runs[{index}]")
    return record


def _document(path: Path) -> object:
    try:
        return read_json(path)
    except BrokenText as error:
        raise ReportError(f"{path}: not a record of timed runs: {error}", _HINT) from error
    except UnreadableFile as error:
        raise ReportError(f"{path}: cannot be read: {error}", _HINT) from error


def _require_schema(document: object) -> None:
    """Raise Malformed unless the document says that it is of the schema that is read here."""
    require(isinstance(document, dict), "it", document, "a table")
    schema = document.get("schema") if isinstance(document, dict) else None
    is_ours = type(schema) is int and schema == SCHEMA
    require(is_ours, "schema", schema, f"the number {SCHEMA}")


def _require_possible(run: TimedRun, key: str) -> None:
    """Raise Malformed for a value that there cannot be."""
    times = [run.ms.median] if isinstance(run.ms, MedianTime) else run.ms
    is_time = bool(times) and all(_SHORTEST <= ms <= _LONGEST for ms in times)
    require(is_time, f"{key}.ms", list(times), "times in ms, all above 0")
    n = run.ms.n if isinstance(run.ms, MedianTime) else 1
    for name, count in (("ms.n", n), ("contexts", run.contexts), ("cores", run.cores)):
        require(0 < count < _LARGEST, f"{key}.{name}", count, "a number from 1 up")
    for name, mhz in asdict(run.clocks).items():
        require(mhz is None or 0 < mhz < _FASTEST, f"{key}.clocks.{name}", mhz, "MHz above 0")
    for index, layer in enumerate(run.layers):
        is_time = 0 <= layer.us <= 1000 * _LONGEST
        require(is_time, f"{key}.layers[{index}].us", layer.us, "microseconds from 0 up")
    _require_texts(run, key)
    require_possible_table(run.table, f"{key}.table")


def _require_texts(run: TimedRun, key: str) -> None:
    """Raise Malformed for an empty name, a digest that is no sha256, and a day that is none."""
    for name, text in (("model.name", run.model.name), ("chip", run.chip)):
        require(bool(text.strip()), f"{key}.{name}", text, "a name")
    digest = run.model.digest
    is_sha256 = digest is None or _SHA256.fullmatch(digest) is not None
    require(is_sha256, f"{key}.model.digest", digest, "a sha256 of 64 digits from 0 to f")
    require(_is_date(run.date), f"{key}.date", run.date, "a day such as 2026-11-28")


def _is_date(text: str | None) -> bool:
    """Return whether a text begins with a day as ISO 8601 writes it; a time may come after it."""
    try:
        datetime.strptime((text or "2026-11-28")[:10], "%Y-%m-%d")
    except ValueError:
        return False
    return text is None or len(text) == 10 or text[10] in "T "


def require_possible_table(layers: Sequence[Layer], key: str) -> None:
    """Raise Malformed for a number that no compiler prints."""
    for index, layer in enumerate(layers):
        shapes = (*layer.input_shapes, *layer.output_shapes)
        cycles = (layer.ddr_cycles, layer.npu_cycles, layer.total_cycles)
        numbers = [*cycles, *(size for shape in shapes for size in shape)]
        odd: list[object] = [number for number in numbers if not 0 <= number < _LARGEST]
        odd += [shape for shape in shapes if len(shape) > _AXES or prod(shape) >= _LARGEST]
        require(not odd, f"{key}[{index}]", next(iter(odd), None), "sizes and cycles that can be")
