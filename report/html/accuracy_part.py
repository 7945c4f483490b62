"""The HTML report's figures at a glance, and its accuracy with the intervals drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...core.percents import limit_percent, percent_range, percent_text
from ...core.results.model_figures import LatencyFigure, ModelRow, RetentionFigure
from ...core.results.report import TargetReport
from ..text.latency_text import AN_APPLICATION, band_text, kind_text, rate_text
from ..text.model_table import change_text
from ..text.similarity_text import agreement_text, decibel_text, part_lines
from ..text.table import RUNNERS
from ..text.units import UNKNOWN, count_text, finite, memory_bytes, ms_text, size_text
from .charts import interval_chart
from .elements import card, interval_rows, tile
from .markup import Markup, tag


def tiles(target: TargetReport) -> Markup:
    """Return the result in a few figures, each with what it was or how certain it is."""
    result, ratios = target.models[-1], target.ratios
    reference = "the original" if target.target is None else "float16"
    size = tile("Size", size_text(result.bytes), _against(ratios.size, reference))
    drawn = [_retention_tile(target.retention), size]
    if result.predicted and result.predicted.cycles is not None:
        change = _against(ratios.cycles, reference)
        drawn.append(tile("NPU cycles", count_text(result.predicted.cycles), change))
    latency = result.latency[0] if result.latency else None
    if latency and latency.ms is not None:
        # a board's time has none of the original's beside it, so there is no change of it
        change = "" if latency.kind == "board" else _against(ratios.latency, reference)
        drawn.append(_latency_tile(latency, latency.ms, change))
    if rate := rate_text(result.throughput):
        drawn.append(tile("fps", rate, f"estimated, {AN_APPLICATION}"))
    if (taken := memory_bytes(result.memory)) is not None:
        drawn.append(tile("Memory", size_text(taken), "on the chip while it runs"))
    return tag("div", drawn, class_="tiles")


def _retention_tile(figure: RetentionFigure) -> Markup:
    if figure.value is not None:
        note = f"95\u00a0%: {_interval(figure)}"
        return tile("Retention", percent_text(figure.value), note)
    if figure.agreement is not None:
        agreed, _, interval = agreement_text(figure.agreement, figure.samples).partition(" (")
        note = f"with the original ({interval}, no labels" if interval else "with the original"
        return tile("Agreement", agreed, note)
    return tile("Similarity", _decibel(figure.sqnr_db), "SQNR of the outputs, no labels")


def _latency_tile(latency: LatencyFigure, ms: float, change: str) -> Markup:
    note = f"{kind_text(latency)}{band_text(latency)}"
    return tile("Latency", ms_text(ms), f"{change}; {note}" if change else note)


def _against(ratio: float | None, reference: str) -> str:
    """Return the change; of a ``.rknn`` against the original model compiled in float16."""
    return "" if ratio is None else f"{change_text(ratio)} against {reference}"


def _interval(figure: RetentionFigure) -> str:
    if figure.low is None or figure.high is None:
        return UNKNOWN
    return percent_range(figure.low, figure.high)


def _decibel(value: float) -> str:
    if math.isnan(value):
        return UNKNOWN
    return decibel_text(value) if finite(value) is None else f"{value:.1f} dB"


def accuracy_card(target: TargetReport) -> Markup:
    """Return the retention against its gate, and the metric of every form of the model."""
    limits = (gate.limit for gate in target.gates if gate.name == "min-retention")
    return card(
        "What is left of the accuracy",
        _retention(target.retention, next(limits, None)),
        _metrics(target.models),
        tag("p", _similarity(target.retention), class_="muted small"),
        *(tag("p", line, class_="muted small") for line in part_lines(target.parts)),
    )


def _retention(figure: RetentionFigure, limit: float | None) -> Markup:
    value, low, high = figure.value, figure.low, figure.high
    if value is None or low is None or high is None:
        why = "No labels were given, so accuracy is not known."
        if figure.metric:
            why = f"A model's {figure.metric} is not above 0, so there is no ratio."
        return tag("p", why)
    text = (
        f"{percent_text(value)} of the original's {figure.metric} is kept, on {figure.samples} "
        f"samples; the 95\u00a0% interval is {_interval(figure)}."
    )
    title = f"Retention {percent_text(value)}, 95 % interval {_interval(figure)}"
    if limit is not None:
        title += f", limit {limit_percent(limit)}"
    chart = interval_chart(title, value, low, high, limit)
    return tag("div", tag("p", text, _difference(figure)), chart)


def _difference(figure: RetentionFigure) -> str:
    """Return the change in the metric itself, and whether chance alone would explain it."""
    if figure.difference is None:
        return ""
    low, high = figure.difference_low, figure.difference_high
    text = f" The {figure.metric} changed by {figure.difference:+.4f}"
    if low is not None and high is not None:
        text += f" ({low:+.4f} to {high:+.4f})"
    if figure.mcnemar is not None:
        text += f"; so large a difference comes by chance with p = {figure.mcnemar:.2g} (McNemar)"
    return f"{text}."


def _metrics(models: Sequence[ModelRow]) -> Markup | None:
    """Draw the metric of each form with its interval, on one axis."""
    measured = [(row.stage, row.accuracy) for row in models if row.accuracy is not None]
    if not measured:
        return None
    figures = [figure for _, figure in measured]
    named = [(stage, figure.value, figure.low, figure.high) for stage, figure in measured]
    runners = ", ".join(
        dict.fromkeys(RUNNERS.get(figure.runner, f"in {figure.runner}") for figure in figures)
    )
    note = f"{figures[-1].metric} with its 95\u00a0% interval, measured {runners}"
    return tag("div", tag("p", note, class_="muted small"), interval_rows(named))


def _similarity(figure: RetentionFigure) -> str:
    text = f"Outputs differ from the original's by noise of {_decibel(figure.sqnr_db)} (SQNR)"
    if figure.agreement is not None:
        text += f"; agreement with the baseline {agreement_text(figure.agreement, figure.samples)}"
    return f"{text}."
