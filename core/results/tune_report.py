"""What a search for the best trade-offs came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .report import ToolVersion

Setting = str | int | float | bool | None
# what ended a search: so many trials, its time, or that there was no point left; "" for not yet
End = Literal["trials", "time", "space", ""]


@dataclass(frozen=True)
class RetentionRange:
    """A share of the baseline with its interval, on so many samples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TunePoint:
    """A point of a search: its options, and what came of it.

    ``settings`` are the options that the search chose, None for off or the default. ``cost`` is in
    ms or bytes; ``stage`` says how far it came. ``retention`` is on the samples that the search
    saw, ``unseen`` on those that it did not: of the front alone. ``figures`` are those of its
    report: ms, ms_low, ms_high, bytes, sqnr_db, agreement, and the metric of the float model on the
    same samples.
    """

    number: int
    settings: Mapping[str, Setting]
    stage: Literal["predicted", "few samples", "all samples"]
    cost: float | None = None
    retention: RetentionRange | None = None
    unseen: RetentionRange | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    set_aside: str = ""
    failure: str = ""
    folder: str | None = None


@dataclass(frozen=True)
class TuneReference:
    """What the points are held against, measured as they are; it is no point of the search.

    The float model in ONNX Runtime, the original in float16 on the chip, or in int8 by the
    toolkit's own quantizer. ``figures`` of the float model are its bytes, and its ``metric`` and
    ``unseen_metric``: what 100 % is on each part of the samples.
    """

    name: Literal["float-model", "float16", "toolkit"]
    cost: float | None = None
    retention: RetentionRange | None = None
    unseen: RetentionRange | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class TuneReport:
    """All points in the order in which they were tried.

    ``goal`` is what a point costs, latency in ms or size in bytes; ``front`` are the numbers of
    the points that none beats, the cheapest first, and ``chosen`` that of the picked one, None
    where none fits ``pick``. ``measures`` says what is retained: the metric, or agreement. With
    ``is_final`` False it is the front so far. ``references`` are there once the search has ended.
    """

    tool: ToolVersion
    toolkit: ToolVersion
    model: str
    target: str
    goal: Literal["latency", "size"]
    measures: str
    points: tuple[TunePoint, ...]
    front: tuple[int, ...]
    chosen: int | None
    pick: str
    seconds: float
    is_final: bool
    ended_by: End = ""
    references: tuple[TuneReference, ...] = ()
