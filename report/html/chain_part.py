"""Where a result is lost along the chain, and what is left of it on worse images, for HTML."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results.sample_rows import DriftRow, RobustnessRow
from ..text.chain_text import corruption_name
from ..text.units import finite, number_text
from .charts import bar, scale_of, whisker
from .elements import STAGES, bar_row, card, data_table, layer_row
from .markup import Markup, tag


def drift_card(rows: Sequence[DriftRow]) -> Markup | None:
    """Draw each form of the model against the one before, and the layers that lose most in int8."""
    if not rows:
        return None
    cells: list[list[Markup | str]] = [
        [
            STAGES.get(row.stage, row.stage),
            number_text(row.value, ".4f"),
            number_text(row.change, "+.4f"),
            _decibel(row.step_db),
            _decibel(row.sqnr_db),
        ]
        for row in rows
        if row.layer is None
    ]
    headings = ("form", "metric", "change", "SQNR to the form before", "SQNR to the original")
    table = data_table(headings, cells, numbers=4) if cells else None
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
    return tag("div", tag("p", "Layers that lose most in int8", class_="muted small"), drawn)


def _decibel(value: float) -> str:
    return "equal" if finite(value) is None else f"{value:.1f} dB"


def robustness_card(rows: Sequence[RobustnessRow]) -> Markup | None:
    """Draw what is left of the original on clean and on worse images, with known intervals."""
    if not rows:
        return None
    if any(row.retention is not None for row in rows):
        drawn, figure = _retentions(rows), "retention with its 95\u00a0% interval"
    elif any(row.agreement is not None for row in rows):
        drawn, figure = _agreements(rows), "agreement with the original"
    else:
        drawn, figure = _similarities(rows), "SQNR of the outputs"
    note = f"{figure}, on {rows[0].samples} samples, in ONNX Runtime"
    return card("On worse images", tag("div", drawn), note=note[0].upper() + note[1:] + ".")


def _retentions(rows: Sequence[RobustnessRow]) -> list[Markup]:
    ends = [end for row in rows for end in (row.low, row.retention, row.high)]
    scale = scale_of([end for end in ends if end is not None])
    return [
        bar_row(
            corruption_name(row),
            whisker(scale, row.retention, row.low, row.high),
            f"{row.retention:.4f}",
        )
        for row in rows
        if row.retention is not None
    ]


def _agreements(rows: Sequence[RobustnessRow]) -> list[Markup]:
    return [
        bar_row(corruption_name(row), bar(row.agreement, _kind(row)), f"{row.agreement:.1%}")
        for row in rows
        if row.agreement is not None
    ]


def _similarities(rows: Sequence[RobustnessRow]) -> list[Markup]:
    most = max([1.0, *(row.sqnr_db for row in rows if finite(row.sqnr_db) is not None)])
    return [
        bar_row(
            corruption_name(row),
            bar((finite(row.sqnr_db) or most) / most, _kind(row)),
            _decibel(row.sqnr_db),
        )
        for row in rows
    ]


def _kind(row: RobustnessRow) -> str:
    return "before" if row.corruption == "none" else "after"
