"""The report as one versioned JSON document, the same for --json and for --report FILE.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ...core.diagnostics import Diagnostic
from ...core.errors import RockpressError
from ...core.results.board_comparison import BoardFigure
from ...core.results.graph_rows import GraphNode
from ...core.results.model_figures import LatencyFigure
from ...core.results.predictions import PredictedMap, PredictedObject, PredictedOutputs
from ...core.results.report import GateFigure, Judgement, Report, TargetReport
from ...core.results.sample_rows import ChangedSample, ClassRow, MetricDetails
from ..text.escape import json_visible

SCHEMA = 1
# Fields that have another name in the document.
NAMES = {"passed": "pass", "class_name": "class"}
# Fields that the document lacks where there is nothing of them, and those that it always lacks.
WHEN_THERE = {
    Report: ("baseline", "family", "next"),
    TargetReport: (
        *("layers", "reference_layers", "feed", "changes", "examples", "details"),
        *("robustness", "attacks", "drift", "parts", "graph", "board"),
    ),
    GateFigure: ("end", "kind"),
    GraphNode: ("sqnr_db",),
    LatencyFigure: ("scale", "program"),
    BoardFigure: ("layers",),
    ClassRow: ("samples",),
    MetricDetails: ("classes", "confusions", "precisions"),
}
NEVER = {ChangedSample: ("image", "is_drawn"), Diagnostic: ("severity", "subject")}
# arrays of what is no report's
_ARRAYS = {PredictedObject: ("mask",), PredictedMap: ("pixels",), PredictedOutputs: ("values",)}
_VARYING = ("seconds", "path", "run_ms", "is_settled")


def to_document(report: Report) -> dict[str, Any]:
    """Return a report as plain values; infinities (an SQNR of equal outputs) become None."""
    parts: dict[str, Any] = plain(report)
    last: dict[str, Any] = {
        name: parts.pop(name) for name in ("family", "baseline", "next", "targets") if name in parts
    }
    return {"schema": SCHEMA, "verdict": report.verdict, **parts, **last}


def judgement_document(judgement: Judgement) -> dict[str, Any]:
    """Return the verdict on a result that is no report's, with its gates and parts."""
    return {"verdict": judgement.verdict, **plain(judgement)}


def to_json(report: Report) -> str:
    """Return the document as indented JSON with a final newline."""
    return json_text(to_document(report))


def json_text(document: Mapping[str, Any]) -> str:
    """Return any document as indented JSON with a final newline, infinities as null."""
    text = json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    return json_visible(text) + "\n"


def comparable(document: Any) -> Any:
    """Return a report's document, or part of it, without what two runs of one recipe may differ in.

    Those are times, paths, what this host or a board measured of time, and whether a stage was run
    or came from the cache.

    >>> comparable({"stages": [{"name": "check", "status": "cached", "seconds": 0.0}]})
    {'stages': [{'name': 'check', 'status': 'done'}]}
    """
    if isinstance(document, list):
        return [comparable(item) for item in document]
    if not isinstance(document, dict):
        return document
    is_time = "ms" in document or document.get("name") == "max-latency-ms"
    if document.get("kind") == "host" or (document.get("kind") == "board" and is_time):
        return document["kind"]
    stable = {key: value for key, value in document.items() if key not in _VARYING}
    if stable.get("status") == "cached":
        stable["status"] = "done"
    if (
        stable.get("target", "") is None and "ratios" in stable
    ):  # without a chip both are the host's
        stable["ratios"] = {**stable["ratios"], "latency": "host"}
    return {key: comparable(value) for key, value in stable.items()}


def plain(value: Any) -> Any:
    """Return a value made of dataclasses, mappings and sequences as JSON has it.

    >>> from ...core.results.report import GateFigure
    >>> plain(GateFigure("min-retention", 0.98, math.inf, True))
    {'name': 'min-retention', 'limit': 0.98, 'value': None, 'pass': True}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, RockpressError):
        return {"message": value.message, "hint": value.hint}
    return _record(value) if is_dataclass(value) else value


def _record(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass under the names that they have in the document."""
    kind = type(value)
    # a metric may have counted and found no confusion, which is not to have none of that kind
    nothing = (None,) if kind is MetricDetails else (None, ())
    never = (*NEVER.get(kind, ()), *_ARRAYS.get(kind, ()))
    record = {}
    for name in (field.name for field in fields(value)):
        item = getattr(value, name)
        optional, hidden = name in WHEN_THERE.get(kind, ()), name in never
        if not hidden and not (optional and item in nothing):
            record[NAMES.get(name, name)] = plain(item)
    more = record.pop("more") if kind is MetricDetails else {}
    return {**record, **more}
