"""Parts of the HTML report that only some runs have: drawn when there is something of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple

from ...core.percents import percent_text
from ...core.results.report import TargetReport
from ...core.results.sample_rows import (
    ChangedSample,
    ChangedSamples,
    ClassRow,
    DriftRow,
    MetricDetails,
    PrecisionRow,
    RobustnessRow,
)
from ..text.chain_text import corruption_name, value_text
from ..text.similarity_text import agreement_interval
from ..text.units import UNKNOWN, finite, number_text
from .attack_part import attacks_card
from .charts import bar, shares_chart
from .elements import (
    bar_row,
    card,
    data_table,
    folded,
    folded_card,
    interval_rows,
    layer_row,
    legend,
)
from .markup import Markup, tag

_SHOWN = 20
_OF_PICTURES = ("image", "is_drawn")
_PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+")


def extra_cards(target: TargetReport) -> list[Markup | None]:
    """Return the cards of everything that was computed beyond the usual."""
    details = target.details or MetricDetails()
    return [
        _drift_card(target.drift),
        _robustness_card(target.robustness),
        attacks_card(target.attacks),
        _classes_card(details.classes or (), target.retention.metric if details.precisions else ""),
        _precisions_card(details.precisions or ()),
        *_other_details(details),
        _samples_card(target.examples),
    ]


def _classes_card(classes: Sequence[ClassRow], precision: str | None) -> Markup | None:
    """Draw what each class gained or lost, the largest loss first.

    Of objects it is their average precision, by the metric of the name ``precision``.
    """
    changes = [(row.candidate - row.baseline, row) for row in classes]
    changes = [(change, row) for change, row in changes if finite(change) is not None]
    if not changes:
        return None
    changes.sort(key=lambda pair: pair[0])
    rows = [
        [
            row.class_name,
            UNKNOWN if row.samples is None else str(row.samples),
            tag("div", bar(row.baseline, "before"), bar(row.candidate)),
            f"{row.baseline:.3f}",
            f"{row.candidate:.3f}",
            f"{change:+.3f}",
        ]
        for change, row in changes
    ]
    counted = "objects" if precision else "samples"
    headings = ("class", counted, "", "original", "result", "change")
    table = data_table("Class by class", headings, rows[:_SHOWN], numbers=3)
    rest = rows[_SHOWN:]
    others = data_table("More classes", headings, rest, numbers=3)
    more = folded(f"{len(rest)} more", others) if rest else None
    colours = legend(("before", "original"), ("after", "result"))
    note = f"Average precision of each class, as {precision} counts it." if precision else ""
    return card("Class by class", colours, table, more, note=note)


def _precisions_card(rows: Sequence[PrecisionRow]) -> Markup | None:
    """Draw the precision of both models against recall, and give it as a table."""
    if not rows:
        return None
    lines = (
        ("original", [(row.recall, row.baseline) for row in rows]),
        ("result", [(row.recall, row.candidate) for row in rows]),
    )
    drawn = shares_chart("Precision against recall", lines, ("recall", "precision"))
    cells = [[f"{v:.2f}", f"{b:.3f}", f"{c:.3f}"] for v, b, c in map(astuple, rows)]
    headings = ("recall", "original", "result")
    table = data_table("Precision against recall", headings, cells, numbers=3)
    return card(
        "Precision and recall",
        legend(("before", "original"), ("after", "result")),
        drawn,
        folded("as a table", table),
        note="Mean over the classes; at each recall the best that any higher one still has.",
    )


def _other_details(details: MetricDetails) -> list[Markup]:
    confusions = [asdict(row) for row in details.confusions or ()]
    named = {"confusions": confusions, **details.more}
    tables = ((name, _records(rows)) for name, rows in named.items())
    return [
        folded_card(_words(name).capitalize(), _table(_words(name), rows))
        for name, rows in tables
        if rows
    ]


def _records(rows: object) -> list[Mapping[str, object]]:
    """Return the value when it is a list of records: a metric of the user's may give anything."""
    is_records = isinstance(rows, list) and all(isinstance(row, dict) and row for row in rows)
    return rows if is_records and isinstance(rows, list) else []


def _table(caption: str, records: Sequence[Mapping[str, object]]) -> Markup:
    """Return columns of words first, then of numbers, each under its key."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    numeric = [
        key
        for key in keys
        if all(_is_number(record.get(key, 0)) or record[key] is None for record in records)
    ]
    ordered = [key for key in keys if key not in numeric] + numeric
    rows = [[_cell(record.get(key)) for key in ordered] for record in records]
    return data_table(caption, [_words(key) for key in ordered], rows, numbers=len(numeric))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _words(key: str) -> str:
    return key.replace("_db", " (dB)").replace("_", " ")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return "-" if finite(value) is None else f"{value:.4g}"
    return ", ".join(map(_cell, value)) if isinstance(value, (list, tuple)) else str(value)


def _samples_card(changed: ChangedSamples | None) -> Markup | None:
    """Draw the samples whose answer changed for the worse."""
    if changed is None or not (changed.lost or changed.gained):
        return None
    lost, gained = len(changed.lost), len(changed.gained)
    text = f"The result is worse on {lost} samples and better on {gained}."
    sheet = [_picture(sample, sample.image) for sample in changed.worst if sample.image]
    is_drawn = any(sample.is_drawn for sample in changed.worst)
    records = [asdict(sample) for sample in changed.worst]
    words = [
        {key: value for key, value in row.items() if key not in _OF_PICTURES} for row in records
    ]
    table = _table("Samples that flipped", words) if words else None
    if any(sheet):
        table = folded("in words", table)
    return card(
        "Samples that flipped",
        tag("p", text),
        _legend() if is_drawn else None,
        tag("ul", sheet, class_="sheet wide" if is_drawn else "sheet"),
        table,
    )


def _legend() -> Markup:
    text = "Drawn is what the result gives; dashed, and named lost, what the original had there."
    return tag("p", text, class_="muted small")


def _picture(sample: ChangedSample, image: str) -> Markup | None:
    """Draw one sample with its label and what both models say; the picture is inside the page."""
    if not _PICTURE.fullmatch(image):
        return None
    text = f"label {sample.label}: {sample.baseline} → {sample.candidate}"
    return tag(
        "li",
        tag("img", src=image, alt=f"sample {sample.sample}, {text}"),
        tag("div", text, class_="small"),
    )


def _drift_card(rows: Sequence[DriftRow]) -> Markup | None:
    """Draw each form of the model against the one before, and the layers that lose most in int8."""
    if not rows:
        return None
    cells: list[list[Markup | str]] = [
        [
            row.stage,
            number_text(row.value, ".4f"),
            number_text(row.change, "+.4f"),
            _decibel(row.step_db),
            _decibel(row.sqnr_db),
        ]
        for row in rows
        if row.layer is None
    ]
    headings = ("form", "metric", "change", "SQNR to the form before", "SQNR to the original")
    table = data_table("Form by form", headings, cells, numbers=4) if cells else None
    return card("Where along the chain it is lost", table, _layers(rows))


def _layers(rows: Sequence[DriftRow]) -> Markup | None:
    layers = [(row.layer, row) for row in rows if row.layer is not None]
    lost = [(name, row) for name, row in layers if finite(row.step_db) is not None]
    if not lost:
        return None
    most = max(abs(row.step_db) for _, row in lost) or 1
    drawn = [
        layer_row(
            name,
            row.operator or "",
            [bar(abs(row.step_db) / most, "bad")],
            f"{row.step_db:.1f} dB, to {number_text(row.sqnr_db, '.1f')}",
        )
        for name, row in lost
    ]
    return tag("div", tag("p", "Layers that add most noise in int8", class_="muted small"), drawn)


def _decibel(value: float) -> str:
    return "equal" if finite(value) is None else f"{value:.1f} dB"


def _robustness_card(rows: Sequence[RobustnessRow]) -> Markup | None:
    """Draw what is left of the original on clean and on worse images, with known intervals."""
    if not rows:
        return None
    if any(row.retention is not None for row in rows):
        intervals = [(corruption_name(row), row.retention, row.low, row.high) for row in rows]
        drawn, figure = (
            interval_rows(intervals, percent_text),
            "retention with its 95\u00a0% interval",
        )
    elif any(row.agreement is not None for row in rows):
        intervals = [
            (corruption_name(row), row.agreement, *agreement_interval(row.agreement, row.samples))
            for row in rows
        ]
        drawn = interval_rows(intervals, percent_text)
        figure = "agreement with the original and its 95\u00a0% interval"
    else:
        most = max([1.0, *(row.sqnr_db for row in rows if finite(row.sqnr_db) is not None)])
        parts = [(row, (finite(row.sqnr_db) or most) / most) for row in rows]
        drawn = [_bar_of(row, part, _decibel(row.sqnr_db)) for row, part in parts]
        figure = "SQNR of the outputs"
    note = f"{figure}, on {rows[0].samples} samples, in ONNX Runtime"
    values = [_both_values(rows)] if rows[0].metric is not None else []
    note = note[0].upper() + note[1:] + "."
    return card("On worse images", tag("div", drawn), *values, note=note)


def _both_values(rows: Sequence[RobustnessRow]) -> Markup:
    cells = [
        [corruption_name(row), value_text(row.baseline), value_text(row.candidate)] for row in rows
    ]
    headings = [str(rows[0].metric), "original", "result"]
    return data_table("On worse images", headings, cells, numbers=2)


def _bar_of(row: RobustnessRow, part: float, text: str) -> Markup:
    kind = "before" if row.corruption == "none" else "after"
    return bar_row(corruption_name(row), bar(part, kind), text)
