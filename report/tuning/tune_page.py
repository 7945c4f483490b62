"""A search as one HTML page, in the style of the report's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from ...core.results.tune_report import RetentionRange, TunePoint, TuneReport
from ..html.elements import card, chip, data_table, folded_card, tile
from ..html.markup import Markup, path_code, tag
from ..html.page import html_page
from ..text.tune_tables import front_table, reference_table
from ..text.tune_text import (
    START,
    chosen_point,
    cost_text,
    front_points,
    measure_text,
    range_text,
    reference_text,
    search_line,
    settings_text,
    table_notes,
    tune_verdict,
)
from .front_chart import front_chart
from .setting_effects import HEADINGS, NOTE, WORDS, effect_rows


def tune_page(report: TuneReport) -> str:
    """Return the page: the verdict, the front drawn and as a table, the options, what failed."""
    name = PurePath(report.model).name
    return html_page(
        f"{name}: the search for {report.target} - rockpress",
        _header(report, name),
        # a screen reader gets every level of headings
        tag("h2", "The search", class_="unseen"),
        _tiles(report),
        _chart(report),
        _front(report),
        _references(report),
        _effects(report),
        _failures(report),
        _all_points(report),
        _footer(report),
    )


def _header(report: TuneReport, name: str) -> Markup:
    verdict = tune_verdict(report)
    about = tag(
        "div",
        tag("div", f"rockpress tune for {report.target}", class_="muted small"),
        tag("h1", name),
        tag("div", str(verdict), class_="muted"),
        tag("div", search_line(report), class_="muted small"),
    )
    word = f"{'✓' if verdict.verdict == 'pass' else '✗'} {verdict.word}"
    return tag(
        "header", about, tag("div", word, class_="verdict"), class_=f"card {verdict.verdict}"
    )


def _tiles(report: TuneReport) -> Markup | None:
    """Return the figures of the chosen point."""
    chosen = chosen_point(report)
    if chosen is None:
        return None
    cost = cost_text(chosen.cost, report.goal)
    tiles = [
        tile(report.goal.capitalize(), cost, settings_text(chosen) or START),
        *_range_tile(measure_text(report).partition(" ")[0].capitalize(), chosen.retention),
        *_range_tile("On unseen samples", chosen.unseen),
    ]
    return tag("div", tiles, class_="tiles")


def _range_tile(name: str, figure: RetentionRange | None) -> Iterator[Markup]:
    if figure is not None:
        value, _, interval = range_text(figure).partition(" ")
        yield tile(name, value, interval)


def _chart(report: TuneReport) -> Markup | None:
    drawing = front_chart(report)
    if drawing is None:
        return None
    across = " and the 90\u00a0% interval of the estimate" if report.goal == "latency" else ""
    what = measure_text(report).partition(" ")[0]
    hollow = " Hollow: what a point keeps on samples that the search did not see."
    note = (
        f"Lines are the 95\u00a0% interval of {what}{across}; the dashed line is {report.pick}. "
        f"The search goes by the lower end.{hollow if _has_unseen(report) else ''}"
    )
    return card(f"{what.capitalize()} over {report.goal}", drawing, note=note)


def _has_unseen(report: TuneReport) -> bool:
    return any(point.unseen for point in report.points)


def _front(report: TuneReport) -> Markup | None:
    table = front_table(report)
    if not table.rows:
        return None
    headings = [heading.replace("\n", " ") for heading in table.headings]
    rows = [
        [_point_cell(point, cells[0], report), *cells[1:]]
        for point, cells in zip(front_points(report), table.rows, strict=True)
    ]
    drawn = data_table("The front", headings, rows, numbers=len(headings) - 1)
    return card("The front", drawn, note="; ".join(table_notes(report)))


def _references(report: TuneReport) -> Markup | None:
    table = reference_table(report)
    if not table.rows:
        return None
    headings = [heading.replace("\n", " ") for heading in table.headings]
    drawn = data_table("Beside it", headings, table.rows, numbers=len(headings) - 1)
    note = "Measured as the points are, on the same samples; none of them is a point of the search."
    return card("Beside it", drawn, note=note)


def _point_cell(point: TunePoint, text: str, report: TuneReport) -> Markup:
    """Return the point's name, and where its files are in the folder of the search."""
    files = tag("div", path_code(point.folder), class_="muted small") if point.folder else None
    is_chosen = point.number == report.chosen
    return tag("div", text, " ", chip("chosen", True) if is_chosen else None, files)


def _effects(report: TuneReport) -> Markup | None:
    rows = effect_rows(report)
    if not rows:
        return None
    table = data_table("What each option came to", HEADINGS, rows, numbers=len(HEADINGS) - WORDS)
    return card("What each option came to", table, note=NOTE)


def _failures(report: TuneReport) -> Markup | None:
    rows = [
        [str(point.number), settings_text(point) or START, point.failure]
        for point in report.points
        if point.failure
    ]
    rows += [
        ["-", reference_text(each), each.failure] for each in report.references if each.failure
    ]
    if not rows:
        return None
    table = data_table("Failed", ("point", "options", "why"), rows)
    return card("Failed", table, note="A point that fails takes no other with it.")


def _all_points(report: TuneReport) -> Markup | None:
    table = data_table(
        "All points",
        ("point", "options", "how far", report.goal, "retention"),
        list(_point_rows(report)),
        numbers=2,
    )
    return folded_card(f"All {len(report.points)} points", table) if report.points else None


def _point_rows(report: TuneReport) -> Iterator[list[Markup | str]]:
    for point in report.points:
        reason = point.failure or point.set_aside
        far = tag("div", point.stage, tag("div", reason, class_="muted small") if reason else None)
        yield [
            str(point.number),
            settings_text(point) or START,
            far,
            cost_text(point.cost, report.goal),
            range_text(point.retention),
        ]


def _footer(report: TuneReport) -> Markup:
    tools = (
        f"{tool.name} {tool.version}" for tool in (report.tool, report.toolkit) if tool.version
    )
    note = "Estimates are of one NPU core; ratios of one model are more certain than figures."
    return tag("footer", f"Made by {', '.join(tools)}. {note}", class_="muted small")
