"""The report of an earlier run, such as the last release, that a run is compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError, ReportError
from ...core.results import Report, TargetReport
from ...report.formats.document import SCHEMA
from ...report.text.changes import changes_since, old_figures, regression_gates
from ..recipes.recipe import Recipe

_MAKE_ONE = (
    f"give the report.json of an earlier run, or one that {option('report', 'FILE.json')} wrote"
)


@dataclass(frozen=True)
class LastRelease:
    """An old report: its file, its document, and its targets by name."""

    file: Path
    document: dict[str, Any]
    targets: dict[str | None, dict[str, Any]]


def open_last_release(recipe: Recipe) -> LastRelease | None:
    """The old report of a recipe, or None.

    Raises ReportError for a file that is none, OptionError for gates without a report.
    """
    if recipe.gates.baseline is None:
        if recipe.gates.max_regression:
            raise OptionError(
                f"{option('max-regression')} needs a report to compare with",
                f"give one with {option('baseline')}",
            )
        return None
    document = _read(recipe.gates.baseline)
    targets = {one.get("target"): one for one in document["targets"]}
    return LastRelease(recipe.gates.baseline, document, targets)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{file}: cannot be read: {error.strerror}", _MAKE_ONE) from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{file}: not a report: {error}", _MAKE_ONE) from error
    if not isinstance(document, dict) or "schema" not in document or "targets" not in document:
        raise ReportError(f"{file}: not a report of rockpress: it has no schema", _MAKE_ONE)
    if document["schema"] != SCHEMA:
        raise ReportError(
            f"{file}: a report of schema {str(document['schema'])[:20]}, this rockpress reads "
            f"{SCHEMA}",
            "make the report of the last release again with this rockpress",
        )
    targets = document["targets"]
    if not isinstance(targets, list) or not all(
        isinstance(one, dict) and isinstance(one.get("target"), (str, type(None)))
        for one in targets
    ):
        raise ReportError(f"{file}: not a report of rockpress: its targets are none", _MAKE_ONE)
    return document


def require_kept(recipe: Recipe, report: Path) -> None:
    """Raise OptionError when the run would write over the report that it is gated against.

    A regression that fails once would be what the next run is compared with, and pass.
    """
    old = recipe.gates.baseline
    if old is not None and recipe.gates.max_regression and old.resolve() == report.resolve():
        raise OptionError(
            f"{option('max-regression')} compares with {old}, which this run writes over",
            "keep the report of the last release elsewhere, such as release/report.json",
        )


def require_comparable(
    last: LastRelease | None, recipe: Recipe, targets: Sequence[str | None]
) -> None:
    """Raise ReportError or OptionError for a gate that could not be checked at the end."""
    limits = recipe.gates.max_regression
    if last is None or not limits:
        return
    if "retention" in limits and recipe.samples.eval is None:
        raise OptionError(
            f"{option('max-regression', {'retention': None})} cannot be checked without labelled "
            "samples",
            f"give labelled samples with {option('eval')}",
        )
    for target in targets:
        known = old_figures(last.targets.get(target, {}))
        missing = [name for name in limits if name not in known]
        if missing:
            raise ReportError(
                f"{last.file}: has no {' or '.join(missing)} of {target or 'ONNX Runtime'}, which "
                f"{option('max-regression')} is to compare",
                "make a report of the last release for that target too, or leave out the gate",
            )


def with_changes(report: Report, recipe: Recipe, last: LastRelease | None) -> Report:
    """The report with what changed, the gates on it, and warnings where two runs differ in more."""
    if last is None:
        return report
    old = last.document
    baseline = {
        "file": str(last.file),
        "verdict": "pass" if old.get("verdict") == "pass" else "fail",
        "tool": {"name": "rockpress", "version": _version(old.get("tool"))},
        "toolkit": {"name": "rknn-toolkit2", "version": _version(old.get("toolkit"))},
    }
    notices = _differences(report, last)
    targets = tuple(_changed(one, recipe, last, notices) for one in report.targets)
    return replace(report, targets=targets, baseline=baseline)


def _changed(
    target: TargetReport, recipe: Recipe, last: LastRelease, notices: tuple[Diagnostic, ...]
) -> TargetReport:
    if target.error is not None:
        return target
    before = last.targets.get(target.target)
    if before is None:
        text = f"{last.file} has nothing of {target.target or 'ONNX Runtime'} to compare with"
        hint = "make a report of it for that target too"
        notices = (*notices, Diagnostic("baseline-target", text, hint))
    changes = changes_since(before or {}, target)
    gates = regression_gates(changes, recipe.gates.max_regression)
    return replace(
        target,
        changes=changes,
        gates=(*target.gates, *gates),
        warnings=(*target.warnings, *notices),
    )


def _differences(report: Report, last: LastRelease) -> tuple[Diagnostic, ...]:
    """In what else the two runs differ, so that a change may not be the model's."""
    old, new = last.document.get("recipe"), report.recipe
    old = old if isinstance(old, dict) else {}
    notices = []
    if _value(old, "model") != _value(new, "model"):
        text = (
            f"{last.file} is of another model: {_value(old, 'model')}, not {_value(new, 'model')}"
        )
        notices.append(Diagnostic("baseline-model", text, "compare two reports of one model"))
    versions = [_version(last.document.get("toolkit")), _version(report.toolkit)]
    if versions[0] != versions[1]:
        text = f"{last.file} was made with rknn-toolkit2 {versions[0]}, this with {versions[1]}"
        hint = "cycles, latency and size may differ for that alone"
        notices.append(Diagnostic("baseline-toolkit", text, hint))
    versions = [_version(last.document.get("tool")), _version(report.tool)]
    if versions[0] != versions[1]:
        text = f"{last.file} was made with rockpress {versions[0]}, this with {versions[1]}"
        hint = "the latency estimate may be fitted otherwise: compare the cycles"
        notices.append(Diagnostic("baseline-version", text, hint))
    differing = [
        name for name in ("eval", "eval_count", "metric") if _value(old, name) != _value(new, name)
    ]
    if differing:
        told = ", ".join(f"{name} was {_value(old, name)}" for name in differing)
        hint = "retention is comparable on the same samples only"
        notices.append(Diagnostic("baseline-samples", f"{last.file}: {told}", hint))
    return tuple(notices)


def _value(recipe: Mapping[str, Any], name: str) -> str:
    """A short text; of a path only the name, as another machine has other folders."""
    return PurePath(str(recipe.get(name))).name[:80]


def _version(tool: Any) -> str:
    return str(tool.get("version"))[:20] if isinstance(tool, dict) else "unknown"
