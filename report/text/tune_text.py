"""A search for trade-offs in lines and a table, for the terminal, Markdown and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ...core.percents import limit_percent, percent_range, percent_text
from ...core.results.tune_report import (
    RetentionRange,
    Setting,
    TunePoint,
    TuneReference,
    TuneReport,
)
from .units import UNKNOWN, counted, ms_text, size_text, span_text
from .verdict import VerdictLine

START, FLOAT16 = "start", "float16"
CHOSEN = "*"
_ENDS = {
    "trials": "ended by the number of points",
    "time": "ended by the time",
    "space": "all points of the space were tried",
    "": "not at its end",
}


# what a search is held against, by its name in the document
_REFERENCES = {
    "float-model": "float model",
    "float16": "float16, not pruned",
    "toolkit": "int8 by the toolkit's quantizer",
}


def reference_text(reference: TuneReference) -> str:
    """Return what a reference is called."""
    return _REFERENCES[reference.name]


def front_points(report: TuneReport) -> list[TunePoint]:
    """Return the points of the front, the cheapest first."""
    points = {point.number: point for point in report.points}
    return [points[number] for number in report.front]


def chosen_point(report: TuneReport) -> TunePoint | None:
    """Return the point that was picked, None where none has what was asked for."""
    return next((point for point in report.points if point.number == report.chosen), None)


def role_of(point: TunePoint) -> str:
    """Return what a point is to be known by: where the search began, or float16 unpruned, or ""."""
    if point.number == 0:
        return START
    is_float16 = point.settings.get("scheme") == FLOAT16 and point.settings.get("prune") is None
    return FLOAT16 if is_float16 else ""


def point_text(point: TunePoint, report: TuneReport) -> str:
    """Return number, star and options of a point; where it is the start, that too."""
    mark = CHOSEN if point.number == report.chosen else ""
    is_start = f" ({START})" if role_of(point) == START else ""
    return f"{point.number}{mark}{is_start} {settings_text(point)}".strip()


def settings_text(point: TunePoint) -> str:
    """Return the options of a point, without those that are off or left to their default."""
    shown = (
        f"{name.replace('_', '-')} {value_text(name, value)}"
        for name, value in sorted(point.settings.items(), key=lambda pair: pair[0] != "scheme")
        if value not in (None, "auto")
    )
    return ", ".join(shown)


def value_text(name: str, value: Setting) -> str:
    """Return the value of an option of the search.

    >>> value_text("prune", None), value_text("rounds", None), value_text("rounds", 2)
    ('off', 'default', '2')
    """
    if value is None:
        return "off" if name == "prune" else "default"
    if isinstance(value, str) and value.startswith("["):
        return _list_text(json.loads(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list_text(values: Sequence[object]) -> str:
    """Return lengths as a size, and names with commas between them.

    >>> _list_text([168, 224]), _list_text(["head*", "neck"]), _list_text([])
    ('168x224', 'head*,neck', 'none')
    """
    between = "x" if all(isinstance(value, int) for value in values) else ","
    return between.join(map(str, values)) or "none"


def cost_text(cost: float | None, goal: str) -> str:
    """Return milliseconds, or bytes in their unit.

    >>> cost_text(0.2442, "latency"), cost_text(404_807, "size"), cost_text(None, "size")
    ('0.24 ms', '404.8 kB', '-')
    """
    if cost is None:
        return UNKNOWN
    return ms_text(cost) if goal == "latency" else size_text(round(cost))


def range_text(retention: RetentionRange | None) -> str:
    """Return a share in per cent with its interval."""
    if retention is None:
        return UNKNOWN
    return f"{percent_text(retention.value)} ({percent_range(retention.low, retention.high)})"


def tune_verdict(report: TuneReport) -> VerdictLine:
    """Return in one line what was picked, what it keeps, also unseen, and of how many points."""
    chosen = chosen_point(report)
    if chosen is None:
        return VerdictLine("fail", report.target, _missed(report) + _so_far(report))
    least = least_asked(report)
    doubts = [*_doubts(chosen, least), *_band_doubts(chosen, report)]
    texts = [
        _kept(chosen, report),
        _priced(chosen, report),
        f"point {chosen.number} ({settings_text(chosen) or START}), {_rank(report)}",
        *doubts,
    ]
    return VerdictLine("pass", report.target, "; ".join(texts) + _so_far(report), bool(doubts))


def _doubts(chosen: TunePoint, least: float | None) -> list[str]:
    """Return what unseen samples say against a point that was picked for what it retains."""
    unseen = chosen.unseen
    if least is None or unseen is None or unseen.low >= least:
        return []
    if unseen.value < least:
        return [f"unseen samples keep less than {limit_percent(least)}"]
    return [f"unseen samples are too few to tell {limit_percent(least)}"]


def _band_doubts(chosen: TunePoint, report: TuneReport) -> list[str]:
    """Return whether a point that was picked within a latency may take longer, by its estimate."""
    name, _, limit = report.pick.partition("=")
    high = chosen.figures.get("ms_high")
    if name != "latency" or high is None or high <= float(limit.removesuffix("ms")):
        return []
    return [f"the estimate goes up to {ms_text(high)}"]


def _kept(chosen: TunePoint, report: TuneReport) -> str:
    """Return what a point keeps; unseen samples first, as the others flatter what was picked."""
    if chosen.unseen is None:
        return kept_range(chosen.retention, report)
    own = f"{range_text(chosen.retention)} on those of the search"
    return f"{kept_range(chosen.unseen, report)} on unseen samples, {own}"


def kept_range(retention: RetentionRange | None, report: TuneReport) -> str:
    """Return what is left of the metric, or how far a point agrees with the baseline."""
    if retention is None:
        return f"{report.measures} unknown"
    interval = percent_range(retention.low, retention.high)
    if report.measures == "agreement":
        return f"{percent_text(retention.value)} agreement with the baseline ({interval})"
    return f"{percent_text(retention.value)} of {report.measures} kept ({interval})"


def _priced(point: TunePoint, report: TuneReport) -> str:
    text = cost_text(point.cost, report.goal)
    return f"estimated {text}" if report.goal == "latency" else text


def _rank(report: TuneReport) -> str:
    name, _, limit = report.pick.partition("=")
    points = counted(len(report.points), "point")
    if name == "retention":
        cheapest = "fastest" if report.goal == "latency" else "smallest"
        return f"the {cheapest} of {points} with surely at least {limit_percent(float(limit))}"
    return f"what keeps most of {points} within {limit}"


def _missed(report: TuneReport) -> str:
    name, _, limit = report.pick.partition("=")
    points = counted(len(report.points), "point")
    ends = front_points(report)
    best = ends[-1] if ends else None
    if best is None or best.retention is None:
        return f"none of {points} was measured"
    if name == "retention":
        return (
            f"none of {points} surely keeps {limit_percent(float(limit))}: the most is "
            f"{percent_text(best.retention.low, float(limit))}, of point {best.number} with "
            f"{_priced(best, report)}"
            + ("; on more samples it may be sure" if is_open(report) else "")
        )
    return (
        f"none of {points} is within {limit}: the least is {_priced(ends[0], report)}, "
        f"of point {ends[0].number}"
    )


def is_open(report: TuneReport) -> bool:
    """Return whether a point keeps what was asked for, and the samples are too few to be sure."""
    least = least_asked(report)
    ranges = [point.retention for point in front_points(report) if point.retention is not None]
    return least is not None and any(each.low < least <= each.value for each in ranges)


def _so_far(report: TuneReport) -> str:
    return "" if report.is_final else "; the search is not at its end"


def least_asked(report: TuneReport) -> float | None:
    """Return the retention that was asked for, None where a cost was."""
    name, _, limit = report.pick.partition("=")
    return float(limit) if name == "retention" else None


def search_line(report: TuneReport) -> str:
    """Return how many points there were, what came of them, how long it took and what ended it."""
    failed = sum(bool(point.failure) for point in report.points)
    aside = sum(bool(point.set_aside) for point in report.points)
    counts = [counted(len(report.points), "point"), f"{len(report.front)} on the front"]
    counts += [f"{aside} set aside"] if aside else []
    counts += [f"{failed} failed"] if failed else []
    return ", ".join([*counts, span_text(report.seconds), _ENDS[report.ended_by]])


def table_notes(report: TuneReport) -> list[str]:
    """Return what the words in the table of the front mean."""
    lines = [
        f"at least: the lower end of the 95 % interval of {measure_text(report)}, which the search "
        "goes by"
    ]
    if report.chosen is not None:
        lines.insert(0, f"{CHOSEN} chosen by {report.pick}")
    if any(point.unseen for point in report.points):
        lines.append("unseen: on samples that the search did not see")
    if report.goal == "latency":
        lines.append("latency: estimated, NPU alone")
    return [*lines, *_float_notes(report)]


def _float_notes(report: TuneReport) -> Iterator[str]:
    """Yield what the float model scores on each part of the samples."""
    for each in report.references:
        if "metric" in each.figures:
            unseen = each.figures.get("unseen_metric")
            more = "" if unseen is None else f", {unseen:.4f} on unseen samples"
            yield f"float model: {report.measures} {each.figures['metric']:.4f}{more}; 100% is that"


def measure_text(report: TuneReport) -> str:
    """Return what is retained: a metric, or without labels the agreement."""
    is_agreement = report.measures == "agreement"
    return "agreement with the baseline" if is_agreement else f"retention of {report.measures}"


def failure_lines(report: TuneReport) -> Iterator[str]:
    """Yield a line for each point and each reference that failed, with its reason."""
    for point in report.points:
        if point.failure:
            yield f"point {point.number} ({settings_text(point) or START}) failed: {point.failure}"
    for reference in report.references:
        if reference.failure:
            yield f"{reference_text(reference)} failed: {reference.failure}"
