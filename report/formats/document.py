"""The report as one versioned JSON document, the same for --json and for --report FILE.json."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

from ...core.results import GateFigure, Report, TargetReport
from ..text.escape import json_visible

SCHEMA = 1
# What is left out of a target when there is none.
_WHEN_KNOWN = (
    *("layers", "reference_layers", "feed", "changes", "examples", "details"),
    *("robustness", "drift"),
)
_VARYING = ("seconds", "path")


def to_document(report: Report, *, pictures: bool = False) -> dict[str, Any]:
    """Report -> plain values. Infinities (an SQNR of equal outputs) become None.

    With ``pictures`` those of examples are in it, which no schema promises.
    """
    document = {
        "schema": SCHEMA,
        "verdict": "pass" if report.passed else "fail",
        "tool": report.tool,
        "toolkit": report.toolkit,
        "recipe": report.recipe,
        **({} if report.baseline is None else {"baseline": report.baseline}),
        "targets": [_target(target, pictures) for target in report.targets],
    }
    finite: dict[str, Any] = _finite(document)
    return finite


def to_json(report: Report) -> str:
    """The document as indented JSON with a final newline."""
    return json_text(to_document(report))


def json_text(document: dict[str, Any]) -> str:
    """Any document as indented JSON with a final newline, infinities as null."""
    plain = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False)
    return json_visible(plain) + "\n"


def comparable(document: Any) -> Any:
    """A report's document, or part of it, without what two runs of one recipe may differ in.

    Those are times, paths, what this host measured, and whether a stage was run or came from the
    cache.

    >>> comparable({"stages": [{"name": "check", "status": "cached", "seconds": 0.0}]})
    {'stages': [{'name': 'check', 'status': 'done'}]}
    """
    if isinstance(document, list):
        return [comparable(one) for one in document]
    if not isinstance(document, dict):
        return document
    if document.get("kind") == "host":
        return "host"
    kept = {name: one for name, one in document.items() if name not in _VARYING}
    if kept.get("status") == "cached":
        kept["status"] = "done"
    return {name: comparable(one) for name, one in kept.items()}


def _target(target: TargetReport, pictures: bool) -> dict[str, Any]:
    error = target.error
    document = asdict(replace(target, error=None))
    document["gates"] = [_gate(gate) for gate in target.gates]
    document["error"] = error and {"message": error.message, "hint": error.hint}
    if not pictures:
        for example in document["examples"].get("worst", ()):
            example.pop("image", None)
    for name in _WHEN_KNOWN:
        if not document[name]:
            del document[name]
    return document


def _gate(gate: GateFigure) -> dict[str, Any]:
    return {"name": gate.name, "limit": gate.limit, "value": gate.value, "pass": gate.passed}


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
