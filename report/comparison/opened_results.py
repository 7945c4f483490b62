"""What a report has of each target, in the form in which results are compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ...core.errors import RockpressError
from ...core.results.report import Report, TargetReport
from ..text.verdict import WORDS, target_verdict
from .compared_result import ComparedResult, OpenedResult


def results_of(report: Report, name: str, file: str, link: str | None = None) -> list[OpenedResult]:
    """Return the result of each target; ``name`` is the report's, ``link`` a page of its own."""
    several = len(report.targets) > 1
    return [
        _opened(report, target, f"{name} {target.target}" if several else name, file, link)
        for target in report.targets
    ]


def failed_result(error: RockpressError, name: str, file: str) -> OpenedResult:
    """Return that of a model of which there is no report."""
    text = f"{WORDS['fail']}: {error.message}"
    failed = ComparedResult(
        name, file, name, None, verdict="fail", verdict_text=text, error=error.message
    )
    return OpenedResult(failed)


def names_of(files: Sequence[PurePath]) -> list[str]:
    """Return short names that tell files apart: the ends of their paths.

    >>> names_of([PurePath("/a/v1/report.json"), PurePath("/a/v2/report.json")])
    ['v1', 'v2']
    >>> names_of([PurePath("/a/x.json"), PurePath("/a/x.json")])
    ['x', 'x (2)']
    """
    parts = [_parts(file) for file in files]
    longest = max(map(len, parts), default=0)
    for length in range(1, longest + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    ends = [each[-1] for each in parts]
    counts = [ends[: index + 1].count(end) for index, end in enumerate(ends)]
    return [
        end if count == 1 else f"{end} ({count})" for end, count in zip(ends, counts, strict=True)
    ]


def _parts(file: PurePath) -> tuple[str, ...]:
    """Return the parts of a path that say something: every run calls its file report.json."""
    if file.name == "report.json" and len(file.parts) > 1:
        return file.parent.parts
    return file.with_suffix("").parts if file.suffix == ".json" else file.parts


def _opened(
    report: Report, target: TargetReport, name: str, file: str, link: str | None
) -> OpenedResult:
    recipe = report.recipe
    model = PurePath(str(recipe.get("model") or "model")).stem
    verdict = str(target_verdict(target))
    if target.error is not None or not target.models:
        error = target.error.message if target.error else "nothing was built"
        failed = ComparedResult(
            *(name, file, model, target.target),
            verdict="fail",
            verdict_text=verdict,
            error=error,
            link=link,
        )
        return OpenedResult(failed)
    first, last = target.models[0], target.models[-1]
    result = ComparedResult(
        *(name, file, model, target.target),
        scheme=_scheme(report, target),
        toolkit=report.toolkit.version if target.target else None,
        samples=_samples(report),
        verdict=target.verdict,
        verdict_text=verdict,
        bytes=last.bytes,
        original_bytes=first.bytes if first.stage == "baseline" else None,
        parameters=_last_known(target, "parameters"),
        macs=_last_known(target, "macs"),
        cycles=last.cycles,
        latency=last.latency[0] if last.latency else None,
        throughput=last.throughput,
        accuracy=last.accuracy,
        retention=target.retention,
        memory=last.memory,
        link=link,
    )
    return OpenedResult(result, target.layers)


def _last_known(target: TargetReport, name: str) -> int | None:
    """Return a figure of the last form of the model that has it: a ``.rknn`` has none."""
    counts = [getattr(row, name) for row in target.models]
    return next((count for count in reversed(counts) if count is not None), None)


def _scheme(report: Report, target: TargetReport) -> str | None:
    """Return the number format of a run; what a check was given may be of any."""
    is_check = any(stage.name == "candidate" for stage in target.stages)
    scheme = report.recipe.get("scheme")
    return None if is_check or scheme is None else str(scheme)


def _samples(report: Report) -> str | None:
    """Return the set that was measured on: by name, as another machine has other folders."""
    path = report.recipe.get("eval") or report.recipe.get("calib")
    return PurePath(str(path)).name if path else None
