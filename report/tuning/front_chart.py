"""The picture of a search: retention over cost, the front joined, what the search did not see."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.percents import limit_percent
from ...core.results.tune_report import RetentionRange, TunePoint, TuneReport
from ..html.elements import legend
from ..html.markup import Markup, tag
from ..html.scatter import ScatterLimit, ScatterPoint, scatter
from ..text.tune_text import (
    CHOSEN,
    cost_text,
    measure_text,
    range_text,
    reference_text,
    role_of,
    settings_text,
)

_BYTES = 1e6  # of a MB
# beside its point; the float model has no place on the chip
_SHORT = {"float16": "float16", "toolkit": "toolkit"}


def front_chart(report: TuneReport) -> Markup | None:
    """Draw all points that were measured; None below two of them."""
    measured = [point for point in report.points if point.retention and point.cost is not None]
    if len(measured) < 2:
        return None
    # the front last, so that nothing lies over it
    ordered = sorted(measured, key=lambda point: point.number in report.front)
    drawn = [*_references(report), *(each for point in ordered for each in _points(point, report))]
    unit = "ms" if report.goal == "latency" else "MB"
    title = f"{measure_text(report)} over {unit} for {len(measured)} points"
    axes = (unit, f"{measure_text(report)} (%)")
    return tag("div", _legend(report), scatter(title, drawn, axes, _limit(report)))


def _points(point: TunePoint, report: TuneReport) -> Iterator[ScatterPoint]:
    """Yield a point, and beside one of the front what it keeps on unseen samples."""
    retention, unseen = point.retention, point.unseen
    if retention is None or point.cost is None:
        return
    x = _place(point.cost, report)
    is_front = point.number in report.front
    cost = cost_text(point.cost, report.goal)
    if is_front and unseen is not None:
        text = f"point {point.number} on unseen samples: {range_text(unseen)}"
        yield ScatterPoint(x, 100 * unseen.value, text, up=_ends(unseen), kind="hollow")
    text = f"point {point.number} ({settings_text(point)}): {cost}, {range_text(retention)}"
    yield ScatterPoint(
        x,
        100 * retention.value,
        text,
        _label(point, report) if is_front or role_of(point) else "",
        _band(point) if is_front and report.goal == "latency" else None,
        _ends(retention) if is_front else None,
        "front" if is_front else "other",
        point.number == report.chosen,
    )


def _references(report: TuneReport) -> Iterator[ScatterPoint]:
    """Yield what the points are held against on the chip, where it is no point that is drawn."""
    drawn = {(point.cost, point.retention) for point in report.points}
    for each in report.references:
        name = _SHORT.get(each.name)
        if name is None or each.cost is None or each.retention is None:
            continue
        if (each.cost, each.retention) not in drawn:
            cost, kept = cost_text(each.cost, report.goal), range_text(each.retention)
            text = f"{reference_text(each)}: {cost}, {kept}"
            x, y = _place(each.cost, report), 100 * each.retention.value
            yield ScatterPoint(x, y, text, name, up=_ends(each.retention), kind="reference")


def _label(point: TunePoint, report: TuneReport) -> str:
    mark = CHOSEN if point.number == report.chosen else ""
    return f"{point.number}{mark} {role_of(point)}".strip()


def _band(point: TunePoint) -> tuple[float, float] | None:
    low, high = point.figures.get("ms_low"), point.figures.get("ms_high")
    return None if low is None or high is None else (low, high)


def _ends(retention: RetentionRange) -> tuple[float, float]:
    return 100 * retention.low, 100 * retention.high


def _place(cost: float, report: TuneReport) -> float:
    return cost if report.goal == "latency" else cost / _BYTES


def _limit(report: TuneReport) -> ScatterLimit | None:
    """Return the line of the pick."""
    name, _, text = report.pick.partition("=")
    if name == "retention":
        return ScatterLimit(100 * float(text), limit_percent(float(text)), is_across=False)
    return ScatterLimit(float(text.removesuffix("ms").removesuffix("MB")), text, is_across=True)


def _legend(report: TuneReport) -> Markup:
    is_unseen = any(point.unseen for point in report.points)
    entries = [("front", "on the front"), ("before", "beaten")]
    entries += [("hollow", "on unseen samples")] if is_unseen else []
    entries += [("reference", "to compare with")] if any(_references(report)) else []
    return legend(*entries)
