"""Where a result is lost along the chain, and what is left of it on worse images, for HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..text.units import number_text
from .charts import bar, scale_of, whisker
from .elements import STAGES, bar_row, card, data_table, layer_row
from .markup import Markup, tag

Rows = Sequence[Mapping[str, Any]]


def drift_card(rows: Rows) -> Markup:
    """Each form of the model against the one before, and the layers that lose most in int8."""
    forms = [row for row in rows if row.get("layer") is None]
    layers = [row for row in rows if row.get("layer") is not None]
    cells: list[list[Markup | str]] = [
        [
            STAGES.get(row["stage"], str(row["stage"])),
            number_text(row.get("value"), ".4f"),
            number_text(row.get("change"), "+.4f"),
            _decibel(row["step_db"]),
            _decibel(row["sqnr_db"]),
        ]
        for row in forms
    ]
    headings = ("form", "metric", "change", "SQNR to the form before", "SQNR to the original")
    table = data_table(headings, cells, numbers=4) if cells else None
    return card("Where along the chain it is lost", table, _layers(layers))


def _layers(rows: Rows) -> Markup | None:
    lost = [row for row in rows if row["step_db"] is not None]
    if not lost:
        return None
    most = max(abs(row["step_db"]) for row in lost) or 1
    drawn = [
        layer_row(
            row["layer"],
            str(row.get("operator") or ""),
            [bar(abs(row["step_db"]) / most, "bad")],
            f"{row['step_db']:.1f} dB, to {number_text(row['sqnr_db'], '.1f')}",
        )
        for row in lost
    ]
    return tag("div", tag("p", "Layers that lose most in int8", class_="muted small"), drawn)


def _decibel(value: float | None) -> str:
    return "equal" if value is None else f"{value:.1f} dB"


def robustness_card(rows: Rows) -> Markup:
    """What is left of the original on clean and on worse images, with intervals where known."""
    if any(row.get("retention") is not None for row in rows):
        drawn, what = _retentions(rows), "retention with its 95\u00a0% interval"
    elif any(row.get("agreement") is not None for row in rows):
        drawn, what = _agreements(rows), "agreement with the original"
    else:
        drawn, what = _similarities(rows), "SQNR of the outputs"
    note = f"{what}, on {rows[0].get('samples')} samples, in ONNX Runtime"
    return card("On worse images", tag("div", drawn), note=note[0].upper() + note[1:] + ".")


def _name(row: Mapping[str, Any]) -> str:
    if row["corruption"] == "none":
        return "clean"
    level = row.get("level")
    return row["corruption"] if level is None else f"{row['corruption']} {level:g}"


def _retentions(rows: Rows) -> list[Markup]:
    values = [row[end] for row in rows for end in ("low", "retention", "high") if end in row]
    scale = scale_of([one for one in values if one is not None])
    return [
        bar_row(
            _name(row),
            whisker(scale, row["retention"], row.get("low"), row.get("high")),
            f"{row['retention']:.4f}",
        )
        for row in rows
        if row.get("retention") is not None
    ]


def _agreements(rows: Rows) -> list[Markup]:
    known = [row for row in rows if row.get("agreement") is not None]
    return [
        bar_row(_name(row), bar(row["agreement"], _kind(row)), f"{row['agreement']:.1%}")
        for row in known
    ]


def _similarities(rows: Rows) -> list[Markup]:
    known = [row["sqnr_db"] for row in rows if row.get("sqnr_db") is not None]
    most = max([1.0, *known])
    return [
        bar_row(
            _name(row),
            bar((row.get("sqnr_db") or most) / most, _kind(row)),
            _decibel(row.get("sqnr_db")),
        )
        for row in rows
    ]


def _kind(row: Mapping[str, Any]) -> str:
    return "before" if row["corruption"] == "none" else "after"
