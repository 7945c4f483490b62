"""Parts of the HTML report that only some runs have: drawn when they are in the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .chain_part import Rows, drift_card, robustness_card
from .charts import CurvePoint, bar, curve
from .elements import card, data_table, folded, folded_card, legend
from .markup import Markup, tag

# Names under which a trade-off's axes may stand, the most telling first.
_COST = ("cycles_ratio", "latency_ratio", "macs_ratio", "size_ratio", "cycles", "ms", "macs")
_GAIN = ("retention", "accuracy", "agreement", "sqnr_db", "value")
# Of a table's columns the one to draw.
_TELLING = (*_GAIN, "kl", "sensitivity", "error", "loss", "drop")
_SHOWN = 20
_PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+")
_BOTH = ("baseline", "candidate")


def extra_cards(target: Mapping[str, Any]) -> list[Markup | None]:
    """The cards of everything that was computed beyond the usual."""
    details = target.get("details")
    return [
        _curve_card(_records(target.get("curve")), target),
        _records_card("How sensitive each part is", _records(target.get("sensitivity"))),
        _chain_card(_records(target.get("drift")), {"stage", "step_db", "sqnr_db"}, drift_card),
        _chain_card(_records(target.get("robustness")), {"corruption"}, robustness_card),
        _classes_card(_records(details.get("classes")) if isinstance(details, dict) else []),
        *_other_details(details if isinstance(details, dict) else {}),
        _examples_card(target.get("examples")),
    ]


def _chain_card(
    rows: list[dict[str, Any]], needed: set[str], drawn: Callable[[Rows], Markup]
) -> Markup | None:
    """Rows with the keys that their drawing needs; others are left to the JSON document."""
    return drawn(rows) if rows and all(needed <= set(row) for row in rows) else None


def _records(value: Any) -> list[dict[str, Any]]:
    """The value when it is a list of records, as what computes it may be newer than this page."""
    found = isinstance(value, list) and all(isinstance(one, dict) and one for one in value)
    return value if found else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _curve_card(points: list[dict[str, Any]], target: Mapping[str, Any]) -> Markup | None:
    """The trade-off of accuracy against cost, drawn when both are known, and in numbers."""
    if not points:
        return None
    across = next((key for key in _COST if all(_is_number(one.get(key)) for one in points)), None)
    up = next((key for key in _GAIN if all(_is_number(one.get(key)) for one in points)), None)
    drawn = None
    if across and up and len(points) > 1:
        marks = [
            CurvePoint(one[across], one[up], _told(one), bool(one.get("chosen"))) for one in points
        ]
        title = f"{_words(up)} against {_words(across)} at {len(points)} points"
        drawn = curve(title, marks, (_words(across), _words(up)), _limit(up, target))
    table = _table(points)
    return card("The trade-off", drawn, folded("in numbers", table) if drawn else table)


def _limit(up: str, target: Mapping[str, Any]) -> float | None:
    gates = (one["limit"] for one in target["gates"] if one["name"] == "min-retention")
    return next(gates, None) if up == "retention" else None


def _told(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(key)} {_cell(value)}" for key, value in record.items())


def _records_card(title: str, records: list[dict[str, Any]]) -> Markup | None:
    """A table with a bar for its most telling column."""
    if not records:
        return None
    key = next((key for key in _TELLING if any(_is_number(one.get(key)) for one in records)), "")
    values = [one[key] for one in records if _is_number(one.get(key))]
    drawn = (key, max(values)) if values and min(values) >= 0 and max(values) > 0 else None
    shown = _table(records[:_SHOWN], drawn)
    rest = records[_SHOWN:]
    return card(title, shown, folded(f"{len(rest)} more", _table(rest, drawn)) if rest else None)


def _table(records: Sequence[Mapping[str, Any]], drawn: tuple[str, float] | None = None) -> Markup:
    """Columns of words first, then of numbers, each under its key.

    Between them a bar, where ``drawn`` says of what and which value is the full width.
    """
    keys = list(dict.fromkeys(key for one in records for key in one))
    numeric = [
        key
        for key in keys
        if all(_is_number(one.get(key, 0)) or one[key] is None for one in records)
    ]
    ordered = [key for key in keys if key not in numeric] + numeric
    rows: list[list[Markup | str]] = [[_cell(one.get(key)) for key in ordered] for one in records]
    headings = [_words(key) for key in ordered]
    if drawn:
        place = len(ordered) - len(numeric)
        headings.insert(place, "")
        for row, one in zip(rows, records, strict=True):
            row.insert(place, _bar_of(one.get(drawn[0]), drawn[1]))
    return data_table(headings, rows, numbers=len(numeric))


def _bar_of(value: Any, most: float) -> Markup | str:
    return bar(value / most) if _is_number(value) else ""


def _words(key: str) -> str:
    return key.replace("_db", " (dB)").replace("_", " ")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_cell, value)) if isinstance(value, list) else str(value)


def _classes_card(classes: list[dict[str, Any]]) -> Markup | None:
    """What each class gained or lost, the largest loss first."""
    known = [one for one in classes if all(_is_number(one.get(key)) for key in _BOTH)]
    if not known:
        return None
    known.sort(key=lambda one: one["candidate"] - one["baseline"])
    rows = [
        [
            str(one.get("class", "")),
            tag("div", bar(one["baseline"], "before"), bar(one["candidate"])),
            f"{one['baseline']:.3f}",
            f"{one['candidate']:.3f}",
            f"{one['candidate'] - one['baseline']:+.3f}",
        ]
        for one in known
    ]
    headings = ("class", "", "original", "result", "change")
    table = data_table(headings, rows[:_SHOWN], numbers=3)
    rest = rows[_SHOWN:]
    others = data_table(headings, rest, numbers=3)
    more = folded(f"{len(rest)} more", others) if rest else None
    colours = legend(("before", "original"), ("after", "result"))
    return card("Class by class", colours, table, more)


def _other_details(details: Mapping[str, Any]) -> list[Markup | None]:
    named = {key: _records(value) for key, value in details.items() if key != "classes"}
    return [
        folded_card(_words(key).capitalize(), _table(rows)) for key, rows in named.items() if rows
    ]


def _examples_card(examples: Any) -> Markup | None:
    """The samples whose answer changed for the worse."""
    if not isinstance(examples, dict):
        return None
    found = (examples.get(key) for key in ("lost", "gained"))
    lost, gained = (len(one) if isinstance(one, list) else 0 for one in found)
    if not lost and not gained:
        return None
    worst = _records(examples.get("worst"))
    told = f"The result is worse on {lost} samples and better on {gained}."
    sheet = [_picture(one) for one in worst if _is_picture(one.get("image"))]
    words = [{key: one[key] for key in one if key != "image"} for one in worst]
    table = _table(words) if words else None
    if sheet:
        table = folded("in words", table)
    return card("Samples that flipped", tag("p", told), tag("ul", sheet, class_="sheet"), table)


def _is_picture(value: Any) -> bool:
    return isinstance(value, str) and bool(_PICTURE.fullmatch(value))


def _picture(example: Mapping[str, Any]) -> Markup:
    """One sample with its label and what both models say; the picture is inside the document."""
    told = f"label {example.get('label')}: {example.get('baseline')} → {example.get('candidate')}"
    return tag(
        "li",
        tag("img", src=example["image"], alt=f"sample {example.get('sample')}, {told}"),
        tag("div", told, class_="small"),
    )
