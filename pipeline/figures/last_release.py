"""The report of an earlier run, such as the last release, that a run is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError, ReportError
from ...core.files import real_path
from ...core.results.model_figures import LatencyScale
from ...core.results.report import EarlierReport, Report, TargetReport, ToolVersion
from ...report.text.changes import changes_since, regression_gates, result_figures
from ..recipes.recipe import Recipe
from .report_files import read_report_file

_MAKE_ONE = (
    f"give the report.json of an earlier run, or one that {option('report', 'FILE.json')} wrote"
)


@dataclass(frozen=True)
class LastRelease:
    """An earlier report and its file."""

    file: Path
    report: Report

    def target(self, name: str | None) -> TargetReport | None:
        """Return what it has of a target, or None."""
        return next((target for target in self.report.targets if target.target == name), None)


def open_last_release(recipe: Recipe) -> LastRelease | None:
    """Return the earlier report of a recipe, or None.

    Raises ReportError for a file that is none, OptionError for gates without a report.
    """
    if recipe.gates.baseline is None:
        if recipe.gates.max_regression:
            raise OptionError(
                f"{option('max-regression')} needs a report to compare with",
                f"give one with {option('baseline')}",
            )
        return None
    return LastRelease(recipe.gates.baseline, read_report_file(recipe.gates.baseline, _MAKE_ONE))


def require_kept(recipe: Recipe, report: Path) -> None:
    """Raise OptionError when the run would write over the report that it is gated against.

    A regression that fails once would be what the next run is compared with, and pass.
    """
    old = recipe.gates.baseline
    if old is not None and recipe.gates.max_regression and real_path(old) == real_path(report):
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
        old = last.target(target)
        figures = {} if old is None else result_figures(old)
        missing = [name for name in limits if name not in figures]
        if missing:
            raise ReportError(
                f"{last.file}: has no {' or '.join(missing)} of {target or 'ONNX Runtime'}, which "
                f"{option('max-regression')} is to compare",
                "make a report of the last release for that target too, or leave out the gate",
            )


def with_changes(report: Report, recipe: Recipe, last: LastRelease | None) -> Report:
    """Return the report with what changed, gates on it, and warnings where the runs differ more."""
    if last is None:
        return report
    warnings = _differences(report, last)
    targets = tuple(_changed(target, recipe, last, warnings) for target in report.targets)
    tool = ToolVersion("rockpress", _version(last.report.tool))
    toolkit = ToolVersion("rknn-toolkit2", _version(last.report.toolkit))
    earlier = EarlierReport(str(last.file), last.report.verdict, tool, toolkit)
    return replace(report, targets=targets, baseline=earlier)


def _changed(
    target: TargetReport, recipe: Recipe, last: LastRelease, warnings: tuple[Diagnostic, ...]
) -> TargetReport:
    if target.error is not None:
        return target
    before = last.target(target.target)
    if before is None:
        text = f"{last.file} has nothing of {target.target or 'ONNX Runtime'} to compare with"
        hint = "make a report of it for that target too"
        warnings = (*warnings, Diagnostic("baseline-target", text, hint))
    elif _scale(before) != _scale(target):
        text = (
            f"{last.file}: its latency was not scaled by the same measured models; the change is "
            "that of the estimates without"
        )
        hint = f"compare the cycles, or give the same {option('measured')}"
        warnings = (*warnings, Diagnostic("baseline-scale", text, hint))
    changes = changes_since(before, target) if before else ()
    gates = regression_gates(changes, recipe.gates.max_regression)
    return replace(
        target,
        changes=changes,
        gates=(*target.gates, *gates),
        warnings=(*target.warnings, *warnings),
    )


def _scale(target: TargetReport) -> LatencyScale | None:
    """Return what the latency of the result was scaled by."""
    latency = target.models[-1].predicted if target.models else None
    return latency.scale if latency else None


def _differences(report: Report, last: LastRelease) -> tuple[Diagnostic, ...]:
    """Warn of what else the two runs differ in, so that a change may not be the model's."""
    old, new = last.report.recipe, report.recipe
    warnings = []
    if _text(old, "model") != _text(new, "model"):
        text = f"{last.file} is of another model: {_text(old, 'model')}, not {_text(new, 'model')}"
        warnings.append(Diagnostic("baseline-model", text, "compare two reports of one model"))
    before, now = _version(last.report.toolkit), _version(report.toolkit)
    if before != now:
        text = f"{last.file} was made with rknn-toolkit2 {before}, this with {now}"
        hint = "cycles, latency and size may differ for that alone"
        warnings.append(Diagnostic("baseline-toolkit", text, hint))
    before, now = _version(last.report.tool), _version(report.tool)
    if before != now:
        text = f"{last.file} was made with rockpress {before}, this with {now}"
        hint = "the latency estimate may be fitted otherwise: compare the cycles"
        warnings.append(Diagnostic("baseline-version", text, hint))
    names = ("eval", "eval_count", "metric")
    differing = [
        f"{name} was {_text(old, name)}" for name in names if _text(old, name) != _text(new, name)
    ]
    if differing:
        hint = "retention is comparable on the same samples only"
        warnings.append(
            Diagnostic("baseline-samples", f"{last.file}: {', '.join(differing)}", hint)
        )
    return tuple(warnings)


def _text(recipe: Mapping[str, object], name: str) -> str:
    """Return a short text; of a path the name alone: another machine has other folders."""
    return PurePath(str(recipe.get(name))).name[:80]


def _version(tool: ToolVersion) -> str:
    return "unknown" if tool.version is None else tool.version[:20]
