"""What several parts of the HTML report are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .charts import scale_of, whisker
from .markup import Child, Markup, path_code, tag

_MOST_PRINTED = 200


def card(title: str, *content: Markup | None, note: str = "") -> Markup:
    """Return a titled part of the page."""
    below = tag("p", note, class_="muted small") if note else None
    return tag("div", tag("h3", title), content, below, class_="card")


def tile(name: str, value: str, note: str) -> Markup:
    """Return one figure, large, with its name above and a note below."""
    above, below = (tag("span", text, class_="muted small") for text in (name, note))
    return tag("div", above, tag("b", value), below, class_="tile")


def folded_card(title: str, content: Markup) -> Markup:
    """Return a part that is read when it is opened."""
    return tag("details", tag("summary", title), content, class_="card")


def folded(summary: str, *content: Child, rows: int = 0) -> Markup:
    """Return content that is read when it is opened, inside a part.

    It is printed open, but for one of so many ``rows`` that nobody would read them on paper.
    """
    long = "long" if rows > _MOST_PRINTED else None
    return tag("details", tag("summary", summary), content, class_=long)


def chip(text: str, good: bool | None) -> Markup:
    """Return a word in green or red, or in neither colour where nothing was judged."""
    colour = {True: " good", False: " bad", None: ""}[good]
    return tag("span", text, class_=f"chip{colour}")


def data_table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[Markup | str]],
    numbers: int = 0,
) -> Markup:
    """Return a table that scrolls by itself, by keys too, when it is too wide.

    The ``caption`` is for screen readers, as the page's titles are seen beside the table. After the
    columns of words come ``numbers`` columns of numbers, from the right end, or before the last
    column when that has no heading.
    """
    end = len(headings) - (1 if headings[-1] == "" else 0)
    kinds = ["number" if end - numbers <= index < end else None for index in range(len(headings))]
    named = zip(headings, kinds, strict=True)
    head = tag("tr", (_heading(text, kind) for text, kind in named))
    body = (
        tag("tr", (tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    )
    title = tag("caption", caption, class_="unseen")
    table = tag("table", title, tag("thead", head), tag("tbody", body))
    return tag("div", table, class_="scroll", tabindex=0, role="group", aria_label=caption)


def _heading(text: str, kind: str | None) -> Markup:
    """Return the head of a column; one without a text is no heading to a screen reader."""
    return tag("th", text, class_=kind, scope="col") if text else tag("td", class_=kind)


def bar_row(name: Markup | str, drawing: Markup | Sequence[Markup], value: str) -> Markup:
    """Return a name, a drawing and a value side by side."""
    parts = (tag("span", name, class_="name"), tag("div", drawing), tag("span", value))
    return tag("div", parts, class_="row")


def interval_rows(
    rows: Sequence[tuple[str, float | None, float | None, float | None]],
    text: Callable[[float], str] = "{:.4f}".format,
) -> list[Markup]:
    """Return a row for each value that is known, with its interval's ends, on one axis."""
    scale = scale_of(end for _, *ends in rows for end in ends)
    return [
        bar_row(name, whisker(scale, value, low, high), text(value))
        for name, value, low, high in rows
        if value is not None
    ]


def layer_row(name: str, about: str, drawings: Sequence[Markup], value: str) -> Markup:
    """Return a row for a long name, which may be any tensor's, with a line about it."""
    title = tag("div", path_code(name), tag("div", about, class_="muted small"), class_="name")
    return tag("div", title, tag("div", drawings), tag("span", value), class_="row layer")


def legend(*entries: tuple[str, str]) -> Markup:
    """Return what the colours mean: pairs of a class and a text."""
    colours = (tag("span", tag("i", class_=kind), text) for kind, text in entries)
    return tag("div", colours, class_="legend muted small")
