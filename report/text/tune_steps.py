"""What there is after a search, and how to go on: a few lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from ...core.diagnostics import option
from ...core.errors import NOT_INSTALLED
from ...core.percents import percent_text
from ...core.proportion import samples_for
from ...core.results.tune_report import TunePoint, TuneReport
from .tune_text import chosen_point, cost_text, front_points, is_open, least_asked


def tune_files(report: TuneReport, folder: Path, chosen_file: str) -> list[Path]:
    """Return what a search in ``folder`` has left of the chosen point: its recipe, its files."""
    chosen = chosen_point(report)
    if chosen is None:
        return []
    files = [folder / chosen_file]
    return [*files, folder / chosen.folder] if chosen.folder else files


def tune_steps(report: TuneReport) -> Iterator[str]:
    """Yield what is worth doing next, the most needed first."""
    if chosen_point(report) is None:
        if is_open(report):
            yield _more_samples(report)
        yield from _ends(report)
    elif _is_unsure(report):
        yield f"unseen samples keep less than was asked for: a stricter {option('pick')}"
    else:
        yield from _unsure_cheaper(report)
    if report.measures == "agreement":
        yield f"labelled samples tell the accuracy, and unseen ones too: {option('eval')}"
    if any(NOT_INSTALLED in point.failure for point in report.points):
        yield "install what points failed for want of: the same command tries these again"
    if report.ended_by != "space":
        more = 2 * max(len(report.points), 1)
        yield (
            "the same command goes on from here and measures nothing twice: "
            f"{option('trials', more)}"
        )


def _more_samples(report: TuneReport) -> str:
    """Return what makes a point's retention sure that keeps enough of too few samples."""
    least = least_asked(report)
    if report.measures != "agreement" or least is None or least >= 1:
        return f"more labelled samples tell whether it does: {option('eval')}"
    count = math.ceil(samples_for(1 - least))
    return f"to be sure takes samples, even if none differs: {option('calib-count', count)} or more"


def _ends(report: TuneReport) -> Iterator[str]:
    """Yield which rules the two ends of the front have."""
    points = [point for point in front_points(report) if point.retention is not None]
    if not points:
        return
    best, cheapest = points[-1], points[0]
    yield f"what keeps most: {_end_text(best, report)}"
    if cheapest is not best:
        yield f"what costs least: {_end_text(cheapest, report)}"


def _unsure_cheaper(report: TuneReport) -> Iterator[str]:
    """Yield what takes the cheapest point that keeps what was asked for, but not surely."""
    least = least_asked(report)
    cheaper = takewhile(lambda point: point.number != report.chosen, front_points(report))
    for point in cheaper:
        if least and point.retention and point.retention.low < least <= point.retention.value:
            word = "faster" if report.goal == "latency" else "smaller"
            kept = percent_text(point.retention.value)
            yield f"a {word} point keeps {kept}, but not surely: {_end_text(point, report)}"
            return


def _end_text(point: TunePoint, report: TuneReport) -> str:
    low = point.retention.low if point.retention else 0.0
    cost = cost_text(point.cost, report.goal)
    text = f"point {point.number}, {cost}, at least {percent_text(low)}"
    rule = _rule(point, low, report)
    return f"{text}: {option('pick', rule)}" if rule else text


def _rule(point: TunePoint, low: float, report: TuneReport) -> str:
    """Return the rule of the kind that was given that the point has, "" where there is none."""
    if least_asked(report) is not None:
        share = math.floor(1000 * min(low, 1.0)) / 1000
        return f"retention={share:g}" if share > 0 else ""
    if point.cost is None:
        return ""
    if report.goal == "size":
        return f"size={math.ceil(point.cost / 1e4) / 100:g}MB"
    return f"latency={math.ceil(100 * point.cost) / 100:g}ms"


def _is_unsure(report: TuneReport) -> bool:
    chosen, least = chosen_point(report), least_asked(report)
    return bool(chosen and chosen.unseen and least and chosen.unseen.value < least)
