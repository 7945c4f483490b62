"""A report read back from its document, every value of it checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ...core.errors import RockpressError
from ...core.results.report import Report, TargetReport
from ...core.results.sample_rows import ClassRow, ConfusionRow, MetricDetails, PrecisionRow
from ...core.validation import Malformed, require, validated
from .document import NAMES

# Keys of numbers that may be infinite, for which the document has null.
INFINITE = ("sqnr_db", "step_db", "outputs_db", "max_steps")
_OWN_FORM = ("details", "error")
# What a report that somebody has cut down to its figures need not have.
_UNKNOWN = {"tool": {"name": "rockpress"}, "toolkit": {"name": "rknn-toolkit2"}, "recipe": {}}

_LARGEST = 1e18  # of any number

_Rows = TypeVar("_Rows")


def read_report(document: Mapping[str, Any]) -> Report:
    """Return the report that a document of this schema is of.

    What the document has beyond that is left out, and null in place of an infinity is infinity
    again. Raises Malformed, naming the value, for one of another type.
    """
    targets = document.get("targets")
    require(isinstance(targets, list), "targets", targets, "a list")
    targets = list(targets or ())
    _require_bounded(targets, "targets")
    parts = [_checkable(target, f"targets[{index}]") for index, target in enumerate(targets)]
    whole = {**_UNKNOWN, **document, "targets": parts}
    report = validated(Report, whole, finite=False, names=NAMES)
    pairs = zip(report.targets, targets, strict=True)
    return replace(report, targets=tuple(_completed(*pair) for pair in pairs))


def _require_bounded(value: Any, key: str) -> None:
    """Raise Malformed for a number that no report has and that sums would overflow with."""
    if isinstance(value, (int, float)):
        require(abs(value) < _LARGEST, key, value, "a number that can be")
    elif isinstance(value, dict):
        for name, item in value.items():
            _require_bounded(item, f"{key}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_bounded(item, f"{key}[{index}]")


def metric_details(details: Mapping[str, Any]) -> MetricDetails | None:
    """Return what a metric says beyond its value, from plain values; None where that is nothing.

    Rows of another form, as a metric of the user's own may give, are handed on as they are.
    """
    if not details:
        return None
    classes = _rows(tuple[ClassRow, ...], details.get("classes"))
    confusions = _rows(tuple[ConfusionRow, ...], details.get("confusions"))
    precisions = _rows(tuple[PrecisionRow, ...], details.get("precisions"))
    typed = {"classes": classes, "confusions": confusions, "precisions": precisions}
    more = {name: rows for name, rows in details.items() if typed.get(name) is None}
    return MetricDetails(classes, confusions, more, precisions)


def _rows(kind: type[_Rows], rows: object) -> _Rows | None:
    try:
        return validated(kind, rows, closed=True, finite=False, names=NAMES)
    except Malformed:
        return None


def _checkable(target: Any, key: str) -> dict[str, Any]:
    """Return a target's document with infinities where it has null, but for two parts.

    They have a form of their own: ``details``, and ``error``.
    """
    require(isinstance(target, dict), key, target, "a table")
    details, error = target.get("details", {}), target.get("error")
    require(isinstance(details, dict), f"{key}.details", details, "a table")
    has_message = isinstance(error, dict) and isinstance(error.get("message"), str)
    require(error is None or has_message, f"{key}.error", error, "an error with its message")
    checkable = {name: _infinite(part) for name, part in target.items() if name not in _OWN_FORM}
    gates = checkable.get("gates")
    for gate in gates if isinstance(gates, list) else ():
        if isinstance(gate, dict) and gate.get("value", ...) is None:
            gate["value"] = math.nan
    return checkable


def _completed(target: TargetReport, document: Mapping[str, Any]) -> TargetReport:
    for place, node in enumerate(target.graph):
        is_after = all(0 <= read < place for read in node.inputs)
        require(is_after, f"graph[{place}].inputs", list(node.inputs), "places before its own")
    details, error = metric_details(document.get("details", {})), document.get("error")
    failure = error and RockpressError(error["message"], str(error.get("hint") or ""))
    return replace(target, details=details, error=failure)


def _infinite(value: Any) -> Any:
    """Return plain values with an infinity in place of each null that stands for one."""
    if isinstance(value, list):
        return [_infinite(item) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {key: _infinite(item) for key, item in value.items()}
    for key in INFINITE:
        if key in filled and filled[key] is None:
            filled[key] = math.inf
    if isinstance(decibels := filled.get("candidates"), dict):
        filled["candidates"] = {
            name: math.inf if decibel is None else decibel for name, decibel in decibels.items()
        }
    return filled
