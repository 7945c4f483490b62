"""A comparison as one HTML page, in the style of the report's."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from ..html.elements import card, chip, data_table, folded
from ..html.markup import Child, Markup, path_code, tag
from ..html.page import html_page, warnings_card
from ..text.units import counted
from .compared_result import ComparedResult, SideBySide
from .comparison_text import (
    SHOWN_LAYERS,
    against_lines,
    comparison_lines,
    comparison_tables,
    front_lines,
    layer_table,
    layer_title,
)
from .tradeoff import is_less_better
from .tradeoff_chart import tradeoff_chart

_TEXTS = ("result", "model", "target", "scheme", "verdict")  # the other columns are figures


def comparison_page(comparison: SideBySide) -> str:
    """Return the page: the results in a table, accuracy over time, and what changed."""
    count = counted(len(comparison.results), "result")
    return html_page(
        f"{count} side by side - rockpress",
        _header(comparison, count),
        # a screen reader gets every level of headings
        tag("h2", "Side by side", class_="unseen"),
        _results(comparison),
        _against(comparison),
        warnings_card(comparison.warnings),
        _tradeoff(comparison),
        _layers(comparison),
        _verdicts(comparison.results),
    )


def _header(comparison: SideBySide, count: str) -> Markup:
    failed = sum(result.verdict == "fail" for result in comparison.results)
    lines = [tag("div", line, class_="muted") for line in comparison_lines(comparison)]
    text = (
        "none fails" if not failed else f"{failed} of {count} {'fails' if failed == 1 else 'fail'}"
    )
    return tag(
        "header",
        tag("div", tag("h1", f"{count} side by side"), lines),
        tag("div", text, class_="verdict"),
        class_=f"card {'fail' if failed else 'none'}",
    )


def _results(comparison: SideBySide) -> Markup:
    """Return the table, the verdict beside the name: the other end may have to be scrolled to."""
    (table,) = comparison_tables(comparison)
    headings = sorted(table.headings, key=lambda heading: heading not in ("result", "verdict"))
    rows = []
    for number, (result, cells) in enumerate(zip(comparison.results, table.rows, strict=True), 1):
        texts = dict(zip(table.headings, cells, strict=True))
        rows.append([str(number), *(_cell(name, texts[name], result) for name in headings)])
    figures = sum(heading not in _TEXTS for heading in headings)
    return card("Results", data_table("Results", ("", *headings), rows, numbers=figures))


def _cell(heading: str, text: str, result: ComparedResult) -> Markup | str:
    if heading == "result" and result.link:
        return tag("a", text, href=quote(result.link))
    if heading == "verdict" and result.verdict in ("pass", "fail"):
        return chip(text, result.verdict == "pass")
    value, bracket, interval = text.partition(" (")
    if (
        heading in ("accuracy", "retention", "agreement") and bracket
    ):  # below it: the table is wide as it is
        below = tag("div", f"({interval}", class_="muted small")
        return tag("div", value, " ", below)
    return text


def _against(comparison: SideBySide) -> Markup | None:
    lines = against_lines(comparison)
    note = "Of an estimated time: the interval of nine ratios in ten."
    drawn = [tag("p", line) for line in lines]
    return card(f"Against {comparison.results[0].name}", *drawn, note=note) if lines else None


def _tradeoff(comparison: SideBySide) -> Markup | None:
    measured = [result.accuracy for result in comparison.results if result.accuracy is not None]
    metric = measured[0].metric if measured else ""
    drawing = tradeoff_chart(comparison.results, comparison.front, metric)
    if drawing is None:
        return None
    names: list[Child] = [tag("li", result.name) for result in comparison.results]
    less = " Less of it is better." if is_less_better(comparison.results) else ""
    note = (
        f"Lines are the 95\u00a0% interval of {metric} and the 90\u00a0% interval of the time."
        f"{less} {'; '.join(front_lines(comparison)).capitalize()}."
    )
    return card("Accuracy over time", drawing, tag("ol", names, class_="small"), note=note)


def _layers(comparison: SideBySide) -> Markup | None:
    table = layer_table(comparison)
    if table is None:
        return None
    rows = [[path_code(cells[0]), *cells[1:]] for cells in table.rows]
    first = data_table(layer_title(comparison), table.headings, rows[:SHOWN_LAYERS], numbers=3)
    rest = rows[SHOWN_LAYERS:]
    more = (
        folded(
            f"{len(rest)} more",
            data_table(layer_title(comparison), table.headings, rest, numbers=3),
        )
        if rest
        else None
    )
    return card(layer_title(comparison), first, more)


def _verdicts(results: Sequence[ComparedResult]) -> Markup | None:
    """Return the whole verdict of each, and where it was read from."""
    rows = [
        [result.name, result.verdict_text or "no report, only the file", path_code(result.file)]
        for result in results
    ]
    return card("Verdicts", data_table("Verdicts", ("result", "verdict", "file"), rows))
