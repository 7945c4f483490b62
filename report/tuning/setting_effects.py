"""What each value of each option of a search came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from ...core.results.tune_report import Setting, TunePoint, TuneReport
from ..text.model_table import change_text, percent_cell
from ..text.tune_text import cost_text, value_text
from ..text.units import UNKNOWN

HEADINGS = (
    *("option", "value", "points", "measured", "best cost", "median cost"),
    *("best at least", "median at least", "on the front"),
    *("pairs", "cost alone", "kept alone"),
)
NOTE = (
    "Costs and shares are of the points with a value that were measured on all samples; they "
    "differ "
    "in other options too. Pairs do not: a point beside the one with the option's first value and "
    "all else alike, and what the value alone changes is their median, in cost and in percentage "
    "points of what is kept. No pair, no such figure."
)
WORDS = 2  # columns of HEADINGS that are no numbers


@dataclass(frozen=True)
class SettingEffect:
    """Points with one value of an option: how many, what those measured on all samples came to.

    ``costs`` and ``lows``, the lower ends of retention, are of the latter; they differ in other
    options too, so that this is what was seen, and no effect of the value alone. That is in
    ``alone``: ratio of cost and difference of retention for each pair of points that were measured
    on all samples and differ in this option alone, of which one has its first value.
    """

    name: str
    value: Setting
    points: int
    costs: tuple[float, ...]
    lows: tuple[float, ...]
    on_front: int
    alone: tuple[tuple[float, float], ...] = ()


def setting_effects(report: TuneReport) -> list[SettingEffect]:
    """Return one for each value of each option that has several, in the order of trying."""
    values: dict[str, dict[Setting, list[TunePoint]]] = {}
    for point in report.points:
        for name, value in point.settings.items():
            values.setdefault(name, {}).setdefault(value, []).append(point)
    firsts = {name: next(iter(by_value)) for name, by_value in values.items()}
    return [
        replace(_effect(name, value, points, report), alone=_alone(name, points, report, firsts))
        for name, by_value in sorted(values.items())
        if len(by_value) > 1
        for value, points in by_value.items()
    ]


def _effect(
    name: str, value: Setting, points: Sequence[TunePoint], report: TuneReport
) -> SettingEffect:
    measured = [
        (point.cost, point.retention.low)
        for point in points
        if is_measured(point) and point.cost is not None and point.retention is not None
    ]
    return SettingEffect(
        name,
        value,
        len(points),
        tuple(cost for cost, _ in measured),
        tuple(low for _, low in measured),
        sum(point.number in report.front for point in points),
    )


def _alone(
    name: str, points: Sequence[TunePoint], report: TuneReport, firsts: Mapping[str, Setting]
) -> tuple[tuple[float, float], ...]:
    """Return what each pair of a point and the one with the first value of an option differs by."""
    first = {
        _others(name, point, firsts): point
        for point in report.points
        if is_measured(point) and point.settings.get(name, firsts[name]) == firsts[name]
    }
    pairs = ((first.get(_others(name, point, firsts)), point) for point in points)
    return tuple(
        (point.cost / other.cost, point.retention.value - other.retention.value)
        for other, point in pairs
        if is_measured(point) and other is not None and other is not point
        if point.cost is not None and other.cost and point.retention and other.retention
    )


def _others(
    name: str, point: TunePoint, firsts: Mapping[str, Setting]
) -> tuple[tuple[str, Setting], ...]:
    """Return the other options of a point; one that has no effect in it has its first value."""
    return tuple(
        (other, point.settings.get(other, firsts[other])) for other in firsts if other != name
    )


def is_measured(point: TunePoint) -> bool:
    """Return whether a point came to its end: measured on all samples."""
    return point.stage == "all samples" and not point.failure and point.retention is not None


def effect_rows(report: TuneReport) -> list[tuple[str, ...]]:
    """Return a row of texts for each, as HEADINGS has it."""
    return [_row(effect, report.goal) for effect in setting_effects(report)]


def _row(effect: SettingEffect, goal: str) -> tuple[str, ...]:
    costs, lows = effect.costs, effect.lows
    return (
        effect.name.replace("_", "-"),
        value_text(effect.name, effect.value),
        str(effect.points),
        str(len(costs)),
        cost_text(min(costs, default=None), goal),
        cost_text(median(costs) if costs else None, goal),
        percent_cell(max(lows, default=None)),
        percent_cell(median(lows) if lows else None),
        str(effect.on_front),
        *_alone_cells(effect),
    )


def _alone_cells(effect: SettingEffect) -> tuple[str, str, str]:
    if not effect.alone:
        return UNKNOWN, UNKNOWN, UNKNOWN
    ratio, points = (median(values) for values in zip(*effect.alone, strict=True))
    return str(len(effect.alone)), change_text(ratio), f"{100 * points:+.1f}"
